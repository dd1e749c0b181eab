-- +goose Up

-- What was found when a run was started, as an array of texts; null for nothing.
ALTER TABLE runs ADD COLUMN notes jsonb;

-- +goose Down
ALTER TABLE runs DROP COLUMN notes;
