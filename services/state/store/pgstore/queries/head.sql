-- name: InsertHeads :exec
INSERT INTO heads (run_id, environment_id, function_id, priority_nanos, limits, request_version, open, discovery_count,
    rediscover, step_count, state_bytes, due_minute, parked_minute, timed, place)
SELECT unnest(@run_ids::uuid[]), unnest(@environment_ids::uuid[]), unnest(@function_ids::uuid[]),
    unnest(@priority_nanos::bigint[]), unnest(@limits::jsonb[]), unnest(@request_versions::integer[]),
    unnest(@open::jsonb[]), unnest(@discovery_counts::integer[]), false, 0, 0, unnest(@due_minutes::integer[]),
    NULLIF(unnest(@parked_minutes::integer[]), 0), NULLIF(unnest(@timed::boolean[]), false),
    unnest(@places::bytea[]);

-- name: LockHeads :many
-- In the order of ids, so that two batches cannot wait for each other.
SELECT run_id, environment_id, function_id, priority_nanos, limits, started_at, request_version, open, discovery_count,
    rediscover, step_count, state_bytes, defer_count, defer_bytes, timed, place
FROM heads WHERE run_id = ANY(@run_ids::uuid[]) ORDER BY run_id FOR UPDATE;

-- name: UpdateHeads :exec
UPDATE heads SET
    started_at = u.started_at, request_version = u.request_version, open = u.open, discovery_count = u.discovery_count,
    rediscover = u.rediscover, step_count = u.step_count, state_bytes = u.state_bytes, due_minute = u.due_minute,
    parked_minute = NULLIF(u.parked_minute, 0), defer_count = u.defer_count, defer_bytes = u.defer_bytes
FROM (
    SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@started_at::timestamptz[]) AS started_at,
        unnest(@request_versions::integer[]) AS request_version, unnest(@open::jsonb[]) AS open,
        unnest(@discovery_counts::integer[]) AS discovery_count, unnest(@rediscover::boolean[]) AS rediscover,
        unnest(@step_counts::integer[]) AS step_count, unnest(@state_bytes::bigint[]) AS state_bytes,
        unnest(@due_minutes::integer[]) AS due_minute, unnest(@parked_minutes::integer[]) AS parked_minute,
        unnest(@defer_counts::integer[]) AS defer_count, unnest(@defer_bytes::integer[]) AS defer_bytes
) AS u
WHERE heads.run_id = u.run_id;

-- name: DeleteHeads :exec
DELETE FROM heads WHERE run_id = ANY(@run_ids::uuid[]);

-- name: DueHeads :many
-- From a cursor on: the head that the cursor is in comes again, since it may have more items.
SELECT run_id, function_id, priority_nanos, limits, open, due_minute
FROM heads
WHERE due_minute <= @before_minute::integer AND (due_minute, run_id) >= (@cursor_minute::integer, @cursor_run::uuid)
ORDER BY due_minute, run_id LIMIT @most::integer;

-- name: ParkedHeads :many
SELECT run_id, function_id, priority_nanos, limits, open, due_minute
FROM heads WHERE parked_minute <= @before_minute::integer ORDER BY parked_minute LIMIT @most::integer;
