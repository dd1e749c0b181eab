-- +goose Up

-- When each cron expression of a function fires next. All instants before are done.
CREATE TABLE schedules (
    environment_id uuid NOT NULL,
    function_id uuid NOT NULL,
    cron text COLLATE "C" NOT NULL,
    next_at timestamptz NOT NULL,
    PRIMARY KEY (environment_id, function_id, cron)
);
CREATE INDEX schedules_next ON schedules (next_at, function_id, cron);

-- The revision of the catalog that the schedules are of.
ALTER TABLE catalogs ADD COLUMN scheduled_revision bigint NOT NULL DEFAULT 0;
CREATE INDEX catalogs_outdated ON catalogs (environment_id) WHERE revision <> scheduled_revision;

-- +goose Down
DROP TABLE schedules;
ALTER TABLE catalogs DROP COLUMN scheduled_revision;
