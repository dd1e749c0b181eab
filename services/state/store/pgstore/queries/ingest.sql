-- name: InsertEvents :many
-- Returns the ids of those that were not stored before.
INSERT INTO events (id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, routed)
SELECT unnest(@ids::uuid[]), unnest(@environment_ids::uuid[]), unnest(@names::text[]), NULLIF(unnest(@keys::text[]), ''),
    unnest(@data::bytea[]), unnest(@user_data::bytea[]), unnest(@meta::bytea[]), NULLIF(unnest(@versions::text[]), ''),
    unnest(@occurred_at::timestamptz[]), unnest(@received_at::timestamptz[]), unnest(@routed::boolean[])
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: RouteEvents :many
-- Returns the ids of those that were stored unrouted, and are routed now.
UPDATE events SET routed = true
WHERE id = ANY(@ids::uuid[]) AND id BETWEEN @first::uuid AND @last::uuid AND NOT routed
RETURNING id;

-- name: PutStartKeys :many
-- Returns the keys that lead to their new run: those that were free, or older than the window.
INSERT INTO start_keys (function_id, key_hash, run_id, started_at)
SELECT unnest(@function_ids::uuid[]), unnest(@key_hashes::bytea[]), unnest(@run_ids::uuid[]), @now::timestamptz
ON CONFLICT (function_id, key_hash) DO UPDATE SET run_id = excluded.run_id, started_at = excluded.started_at
    WHERE start_keys.started_at <= @expired::timestamptz
RETURNING function_id, key_hash;

-- name: StartKeys :many
SELECT s.function_id, s.key_hash, s.run_id
FROM start_keys AS s
JOIN (SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash) AS k
    ON s.function_id = k.function_id AND s.key_hash = k.key_hash;

-- name: DropStartKeys :execrows
DELETE FROM start_keys WHERE (function_id, key_hash) IN (
    SELECT s.function_id, s.key_hash FROM start_keys AS s WHERE s.started_at <= @expired::timestamptz LIMIT @most::integer
);

-- name: KnownRuns :many
SELECT id, environment_id, status FROM runs
WHERE id = ANY(@ids::uuid[]) AND id BETWEEN @first::uuid AND @last::uuid;

-- name: InsertRuns :exec
-- A run's event ids come as the text of an array.
INSERT INTO runs (id, environment_id, function_id, function_version, event_ids, event_name, status, created_at,
    priority_nanos, limits)
SELECT r.id, r.environment_id, r.function_id, r.function_version, r.event_ids::uuid[], r.event_name, 0, r.created_at,
    r.priority_nanos, r.limits
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@environment_ids::uuid[]) AS environment_id,
        unnest(@function_ids::uuid[]) AS function_id, unnest(@function_versions::integer[]) AS function_version,
        unnest(@event_ids::text[]) AS event_ids, unnest(@event_names::text[]) AS event_name,
        unnest(@created_at::timestamptz[]) AS created_at, unnest(@priority_nanos::bigint[]) AS priority_nanos,
        unnest(@limits::jsonb[]) AS limits
) AS r;

-- name: InsertEventRuns :exec
INSERT INTO event_runs (event_id, run_id)
SELECT unnest(@event_ids::uuid[]), unnest(@run_ids::uuid[])
ON CONFLICT DO NOTHING;
