-- +goose Up

-- The starts that rate limits count, numbered within function and key, for as long as the longest period.
CREATE TABLE rate_starts (
    function_id uuid NOT NULL,
    key_hash bytea NOT NULL,
    number bigint NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (function_id, key_hash, number)
);
CREATE INDEX rate_starts_started ON rate_starts (started_at);

-- Why a run was skipped; null if it was not.
ALTER TABLE runs ADD COLUMN skip smallint;

-- +goose Down
ALTER TABLE runs DROP COLUMN skip;
DROP TABLE rate_starts;
