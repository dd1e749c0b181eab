-- +goose Up

-- Events that wait for others: a debounce has the latest of its key, a batch all. run_id is the run that they are to start. A
-- buffer takes events until fire_at. invoker is the item of another run that waits for what the event starts, and displaced is
-- what it gets if a later event takes the place of this one.
CREATE TABLE buffers (
    run_id uuid PRIMARY KEY,
    environment_id uuid NOT NULL,
    function_id uuid NOT NULL,
    function_version integer NOT NULL,
    key_hash bytea NOT NULL,
    batch boolean NOT NULL,
    event_ids uuid[] NOT NULL,
    event_name text NOT NULL,
    event_at timestamptz NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamptz NOT NULL,
    first_at timestamptz NOT NULL,
    fire_at timestamptz NOT NULL,
    invoker text,
    displaced bytea,
    CONSTRAINT i19_has_an_event CHECK (cardinality(event_ids) > 0)
);
CREATE INDEX buffers_key ON buffers (function_id, key_hash, fire_at);
CREATE INDEX buffers_fire ON buffers (fire_at);

-- +goose Down
DROP TABLE buffers;
