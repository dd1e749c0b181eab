-- +goose Up

-- The run that has the place of a singleton, for each key that has one. A row counts as long as its run has a head: a
-- release that knows of no singletons leaves the rows of runs that it ends.
CREATE TABLE singletons (
    function_id uuid NOT NULL,
    key_hash bytea NOT NULL,
    run_id uuid NOT NULL,
    CONSTRAINT i22_one_holder PRIMARY KEY (function_id, key_hash)
);

-- What a run has beside its head and gives up when it ends: whether it has a deadline, and the key of its place as a
-- singleton. Null for nothing, so that ends of other runs need not look.
ALTER TABLE heads ADD COLUMN timed boolean, ADD COLUMN place bytea;

-- The run because of which a run was skipped; null if none was.
ALTER TABLE runs ADD COLUMN existing_id uuid;

-- What an operator has a function do; 0 for nothing else.
ALTER TABLE functions ADD COLUMN hold smallint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE functions DROP COLUMN hold;
ALTER TABLE runs DROP COLUMN existing_id;
ALTER TABLE heads DROP COLUMN place, DROP COLUMN timed;
DROP TABLE singletons;
