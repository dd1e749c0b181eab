-- +goose Up

-- Times are kept to the microsecond. Ids of events and runs are ULIDs, which sort by time: the big tables are
-- partitioned by ranges of them, one a day, so that retention drops tables instead of deleting rows.

-- The revision of an environment's functions grows with every sync that changes one.
CREATE TABLE catalogs (
    environment_id uuid PRIMARY KEY,
    revision bigint NOT NULL CHECK (revision >= 0)
);

CREATE TABLE apps (
    id uuid PRIMARY KEY,
    environment_id uuid NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    sdk text NOT NULL,
    framework text NOT NULL,
    version text NOT NULL,
    checksum text NOT NULL,
    synced_at timestamptz NOT NULL
);
CREATE INDEX apps_environment ON apps (environment_id);

-- The latest version of each function.
CREATE TABLE functions (
    id uuid PRIMARY KEY,
    environment_id uuid NOT NULL,
    app_id uuid NOT NULL REFERENCES apps,
    slug text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    url text NOT NULL,
    retries integer NOT NULL CHECK (retries >= 0),
    triggers jsonb NOT NULL,
    flow_control jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX functions_environment ON functions (environment_id);
CREATE INDEX functions_app ON functions (app_id);

-- Every version that was synced.
CREATE TABLE function_versions (
    function_id uuid NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    retries integer NOT NULL,
    triggers jsonb NOT NULL,
    flow_control jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (function_id, version)
);

-- Payloads are bytea: returned byte for byte as received, whatever they hold.
CREATE TABLE events (
    id uuid NOT NULL,
    environment_id uuid NOT NULL,
    name text NOT NULL,
    key text,
    data bytea NOT NULL,
    user_data bytea NOT NULL,
    meta bytea,
    version text,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    routed boolean NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX events_environment ON events (environment_id, id);
CREATE INDEX events_name ON events (environment_id, name, id);
CREATE INDEX events_unrouted ON events (id) WHERE NOT routed;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- A run as it was started and as it ended. What changes in between is in its head.
CREATE TABLE runs (
    id uuid NOT NULL,
    environment_id uuid NOT NULL,
    function_id uuid NOT NULL,
    function_version integer NOT NULL,
    event_ids uuid[] NOT NULL,
    event_name text NOT NULL,
    status smallint NOT NULL,
    output bytea,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    priority_nanos bigint NOT NULL,
    limits jsonb,
    request_version integer,
    discovery_count integer,
    step_count integer,
    state_bytes bigint,
    CONSTRAINT i5_ended_with_status CHECK ((status = 0) = (ended_at IS NULL)),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX runs_environment ON runs (environment_id, id);
CREATE INDEX runs_function ON runs (function_id, id);
CREATE TABLE runs_default PARTITION OF runs DEFAULT WITH (fillfactor = 85);

-- Runs that an event was found to have started before, by its key. Those that an event started itself are found by
-- their ids, which begin with the event's time.
CREATE TABLE event_runs (
    event_id uuid NOT NULL,
    run_id uuid NOT NULL,
    PRIMARY KEY (event_id, run_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE event_runs_default PARTITION OF event_runs DEFAULT;

-- The changing part of a live run: one row, updated in place. open are its open items; due_minute is when the first of
-- them is due, in minutes since 1970, so that the index is not touched by each step; parked_minute is the same of those
-- that are parked, if any is.
CREATE TABLE heads (
    run_id uuid PRIMARY KEY,
    environment_id uuid NOT NULL,
    function_id uuid NOT NULL,
    priority_nanos bigint NOT NULL,
    limits jsonb,
    started_at timestamptz,
    request_version integer NOT NULL,
    open jsonb NOT NULL,
    discovery_count integer NOT NULL,
    rediscover boolean NOT NULL,
    step_count integer NOT NULL,
    state_bytes bigint NOT NULL,
    due_minute integer NOT NULL,
    parked_minute integer,
    CONSTRAINT i7_has_open_item CHECK (open <> '[]')
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX heads_due ON heads (due_minute, run_id);
CREATE INDEX heads_parked ON heads (parked_minute) WHERE parked_minute IS NOT NULL;

CREATE TABLE steps (
    run_id uuid NOT NULL,
    step_id text NOT NULL,
    name text NOT NULL,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    result_kind smallint,
    result bytea,
    opened_at timestamptz,
    opened_order smallint NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    due_at timestamptz,
    event_id uuid,
    recorded_order integer NOT NULL,
    CONSTRAINT recorded_with_result CHECK ((status = 0) = (recorded_order = 0)),
    PRIMARY KEY (run_id, step_id)
) PARTITION BY RANGE (run_id);
CREATE TABLE steps_default PARTITION OF steps DEFAULT;

-- One row for each call to an app that was settled.
CREATE TABLE attempts (
    run_id uuid NOT NULL,
    item text NOT NULL,
    step_id text,
    step_name text,
    number integer NOT NULL,
    status smallint NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    next_at timestamptz,
    http_status smallint NOT NULL,
    error bytea,
    CONSTRAINT i11_settled_once PRIMARY KEY (run_id, item)
) PARTITION BY RANGE (run_id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- Which run a start key led to, for the dedupe window. Keys that an event's own id would be are not here: such a run's
-- id is derived from the event's.
CREATE TABLE start_keys (
    function_id uuid NOT NULL,
    key_hash bytea NOT NULL,
    run_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (function_id, key_hash)
);
CREATE INDEX start_keys_started ON start_keys (started_at);

-- Runs that wait for something from outside. since is set as long as stored events are to be looked at.
CREATE TABLE waits (
    run_id uuid NOT NULL,
    step_id text NOT NULL,
    environment_id uuid NOT NULL,
    kind smallint NOT NULL,
    name text NOT NULL,
    shape text NOT NULL,
    key_hash bytea NOT NULL,
    expression text NOT NULL,
    since timestamptz,
    PRIMARY KEY (run_id, step_id)
);
CREATE INDEX waits_match ON waits (environment_id, kind, name, shape, key_hash, run_id, step_id);
CREATE INDEX waits_look_back ON waits (run_id) WHERE since IS NOT NULL;

-- The shapes of waits for events by what they wait for. There are as many as apps have expressions, so they are kept.
CREATE TABLE wait_shapes (
    environment_id uuid NOT NULL,
    name text NOT NULL,
    shape text NOT NULL,
    PRIMARY KEY (environment_id, name, shape)
);

-- +goose StatementBegin
DO $$
DECLARE
    payload record;
BEGIN
    -- lz4 is cheaper than the default on both sides; a server built without it keeps the default.
    FOR payload IN SELECT * FROM (VALUES ('events', 'data'), ('events', 'user_data'), ('runs', 'output'),
        ('steps', 'result'), ('attempts', 'error')) AS p (tbl, col)
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET COMPRESSION lz4', payload.tbl, payload.col);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET COMPRESSION lz4', payload.tbl || '_default', payload.col);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE waits, wait_shapes, start_keys, attempts, steps, heads, event_runs, runs, events, function_versions, functions, apps,
    catalogs;
