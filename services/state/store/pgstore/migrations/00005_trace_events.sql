-- +goose Up

-- No constraint: checking it would read the table while nobody else may. The trace that an event belongs to: trace id, span id and flags as in the header traceparent, 25 bytes; null if none.
ALTER TABLE events ADD COLUMN trace bytea;

-- +goose Down
ALTER TABLE events DROP COLUMN trace;
