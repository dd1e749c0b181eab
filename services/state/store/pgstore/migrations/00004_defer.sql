-- +goose Up

-- How many records of deferred functions a live run has among its steps, and how many bytes these take.
ALTER TABLE heads ADD COLUMN defer_count integer NOT NULL DEFAULT 0, ADD COLUMN defer_bytes integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE heads DROP COLUMN defer_count, DROP COLUMN defer_bytes;
