-- +goose Up

-- What a run holds beside its head and gives up when it ends: whether it has a deadline. Null for nothing, so that ends
-- of other runs need not look.
ALTER TABLE heads ADD COLUMN timed boolean;

-- +goose Down
ALTER TABLE heads DROP COLUMN timed;
