-- name: InsertWaits :many
-- Returns whether each has to look back. A wait has to look back if there are events since then that may end it. first_ids are the first ids that those may have;
-- prefixes are what names with a wildcard begin with, empty for others. last is beyond all there are, so that days to come
-- are not looked into.
INSERT INTO waits (run_id, step_id, environment_id, kind, name, shape, key_hash, expression, until, since)
SELECT w.run_id, w.step_id, w.environment_id, w.kind, w.name, w.shape, w.key_hash, w.expression, w.until,
    CASE WHEN EXISTS (
        SELECT 1 FROM events AS e
        WHERE w.prefix = '' AND e.environment_id = w.environment_id AND e.name = w.name
            AND e.id BETWEEN w.first_id AND @last::uuid
    ) OR EXISTS (
        SELECT 1 FROM events AS e
        WHERE w.prefix <> '' AND e.environment_id = w.environment_id AND e.id BETWEEN w.first_id AND @last::uuid
            AND starts_with(e.name, w.prefix)
    ) THEN w.since END
FROM (
    SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@step_ids::text[]) AS step_id,
        unnest(@environment_ids::uuid[]) AS environment_id, unnest(@kinds::smallint[]) AS kind,
        unnest(@names::text[]) AS name, unnest(@prefixes::text[]) AS prefix, unnest(@shapes::text[]) AS shape,
        unnest(@key_hashes::bytea[]) AS key_hash, unnest(@expressions::text[]) AS expression,
        unnest(@since::timestamptz[]) AS since, unnest(@first_ids::uuid[]) AS first_id,
        unnest(@until::timestamptz[]) AS until
) AS w
ON CONFLICT DO NOTHING
RETURNING (since IS NOT NULL)::boolean AS looks_back;

-- name: InsertWaitShapes :exec
INSERT INTO wait_shapes (environment_id, name, shape)
SELECT unnest(@environment_ids::uuid[]), unnest(@names::text[]), unnest(@shapes::text[])
ON CONFLICT DO NOTHING;

-- name: DeleteWaits :exec
DELETE FROM waits WHERE (run_id, step_id) IN (SELECT unnest(@run_ids::uuid[]), unnest(@step_ids::text[]));

-- name: DeleteWaitsOfRuns :exec
DELETE FROM waits WHERE run_id = ANY(@run_ids::uuid[]);

-- name: DeleteSignalWaits :exec
-- Of signals that other waits take over.
DELETE FROM waits WHERE kind = 1 AND (environment_id, name) IN (SELECT unnest(@environment_ids::uuid[]), unnest(@names::text[]));

-- name: SignalWaits :many
SELECT run_id, step_id, environment_id, kind, name, shape, key_hash, expression, since, until
FROM waits
WHERE kind = 1 AND (environment_id, name) IN (SELECT unnest(@environment_ids::uuid[]), unnest(@names::text[]));

-- name: HeardNames :many
-- To which of these events of ours somebody listens: a function with a trigger of the name, or a run that waits.
SELECT n.environment_id::uuid AS environment_id, n.name::text AS name
FROM (SELECT unnest(@environment_ids::uuid[]) AS environment_id, unnest(@names::text[]) AS name) AS n
WHERE EXISTS (
    SELECT 1 FROM functions AS f
    WHERE f.environment_id = n.environment_id AND f.archived_at IS NULL AND f.triggers::text LIKE '%inngest/%'
        AND f.triggers @> jsonb_build_array(jsonb_build_object('Event', n.name))
) OR EXISTS (
    SELECT 1 FROM (SELECT) AS one CROSS JOIN LATERAL ( -- the order has Postgres take the index
        SELECT 1 FROM waits AS f WHERE f.environment_id = n.environment_id AND f.name = n.name AND f.kind <> 1
        ORDER BY f.shape, f.key_hash LIMIT 1
    ) AS w
);

-- name: WaitShapes :many
SELECT name, shape FROM wait_shapes WHERE environment_id = @environment_id AND name = ANY(@names::text[]);

-- name: WaitsFor :many
-- Of each name and shape the first ones after a cursor, so that no more are read than a page has.
SELECT w.run_id, w.step_id, w.environment_id, w.kind, w.name, w.shape, w.key_hash, w.expression, w.since, w.until
FROM (
    SELECT unnest(@names::text[]) AS name, unnest(@shapes::text[]) AS shape, unnest(@key_hashes::bytea[]) AS key_hash
) AS k
CROSS JOIN LATERAL (
    SELECT f.run_id, f.step_id, f.environment_id, f.kind, f.name, f.shape, f.key_hash, f.expression, f.since, f.until
    FROM waits AS f
    WHERE f.environment_id = @environment_id AND f.name = k.name AND f.shape = k.shape AND f.key_hash = k.key_hash
        AND (f.run_id, f.step_id) > (@cursor_run::uuid, @cursor_step::text) AND f.kind <> 1
    ORDER BY f.run_id, f.step_id LIMIT @most::integer
) AS w
ORDER BY w.run_id, w.step_id LIMIT @most::integer;

-- name: LookBacks :many
SELECT run_id, step_id, environment_id, kind, name, shape, key_hash, expression, since, until
FROM waits WHERE since IS NOT NULL ORDER BY run_id LIMIT @most::integer;

-- name: LookedBack :exec
UPDATE waits SET since = l.since
FROM (
    SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@step_ids::text[]) AS step_id, unnest(@since::timestamptz[]) AS since
) AS l
WHERE waits.run_id = l.run_id AND waits.step_id = l.step_id AND waits.since IS NOT NULL;

-- name: EventsSince :many
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE environment_id = @environment_id AND name = @name AND id BETWEEN @first::uuid AND @last::uuid
ORDER BY id LIMIT @most::integer;

-- name: EventsSinceByPrefix :many
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE environment_id = @environment_id AND id BETWEEN @first::uuid AND @last::uuid AND starts_with(name, @prefix::text)
ORDER BY id LIMIT @most::integer;

-- name: MarkRouted :exec
UPDATE events SET routed = true
WHERE id = ANY(@ids::uuid[]) AND id BETWEEN @first::uuid AND @last::uuid AND NOT routed;

-- name: LockNames :exec
-- Until the end of the transaction. The keys are in order, so that two transactions cannot wait for each other.
SELECT CASE WHEN k.exclusive THEN pg_advisory_xact_lock(k.key) ELSE pg_advisory_xact_lock_shared(k.key) END
FROM (SELECT unnest(@keys::bigint[]) AS key, unnest(@exclusive::boolean[]) AS exclusive) AS k;
