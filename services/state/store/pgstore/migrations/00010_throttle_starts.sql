-- +goose Up

-- The starts that throttles count, for as long as the longest period: the queue counts them, and learns them from here when
-- it lost them.
CREATE TABLE throttle_starts (
    function_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    limits jsonb NOT NULL,
    PRIMARY KEY (function_id, started_at, run_id)
);
CREATE INDEX throttle_starts_started ON throttle_starts (started_at);

-- +goose Down
DROP TABLE throttle_starts;
