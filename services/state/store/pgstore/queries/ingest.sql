-- name: InsertEvents :many
-- Returns those that were not stored before. One for which there may be waits is not routed; wait_names are the names by
-- which waits may have asked for it, one a line. The order has Postgres take the index: without it, it expects to find one
-- soon by reading the table.
INSERT INTO events (id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace, routed)
SELECT e.id, e.environment_id, e.name, NULLIF(e.key, ''), e.data, e.user_data, e.meta, NULLIF(e.version, ''),
    e.occurred_at, e.received_at, e.trace, e.routed AND NOT EXISTS (
        SELECT 1 FROM unnest(string_to_array(e.wait_names, E'\n')) AS n (name) CROSS JOIN LATERAL (
            SELECT 1 FROM waits AS f
            WHERE f.environment_id = e.environment_id AND f.kind <> 1 AND f.name = n.name ORDER BY f.shape, f.key_hash LIMIT 1
        ) AS w
    )
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@environment_ids::uuid[]) AS environment_id, unnest(@names::text[]) AS name,
        unnest(@keys::text[]) AS key, unnest(@data::bytea[]) AS data, unnest(@user_data::bytea[]) AS user_data,
        unnest(@meta::bytea[]) AS meta, unnest(@versions::text[]) AS version,
        unnest(@occurred_at::timestamptz[]) AS occurred_at, unnest(@received_at::timestamptz[]) AS received_at,
        unnest(@routed::boolean[]) AS routed, unnest(@wait_names::text[]) AS wait_names,
        unnest(@traces::bytea[]) AS trace
) AS e
ON CONFLICT (id) DO NOTHING
RETURNING id, routed;

-- name: RouteEvents :many
-- Returns those that were stored unrouted. They are routed now, unless there may be waits for them.
UPDATE events AS e SET routed = NOT EXISTS (
    SELECT 1 FROM unnest(string_to_array(r.wait_names, E'\n')) AS n (name) CROSS JOIN LATERAL (
        SELECT 1 FROM waits AS f
        WHERE f.environment_id = e.environment_id AND f.kind <> 1 AND f.name = n.name ORDER BY f.shape, f.key_hash LIMIT 1
    ) AS w
)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@wait_names::text[]) AS wait_names) AS r
WHERE e.id = r.id AND e.id BETWEEN @first::uuid AND @last::uuid AND NOT e.routed
RETURNING e.id, e.routed;

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

-- name: RateStarts :many
-- Of each key the number of the last start, and when those were that are as many starts back as the limit says, for as many
-- starts as are to come. The bounds have Postgres take the index.
SELECT k.position::integer AS position, l.number AS last, COALESCE(s.number, 0)::bigint AS number, s.started_at
FROM (
    SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash,
        unnest(@limits::bigint[]) AS most, unnest(@counts::bigint[]) AS count, generate_subscripts(@limits::bigint[], 1) AS position
) AS k
CROSS JOIN LATERAL (
    SELECT r.number FROM rate_starts AS r WHERE r.function_id = k.function_id AND r.key_hash = k.key_hash
    ORDER BY r.number DESC LIMIT 1
) AS l
LEFT JOIN LATERAL (
    SELECT r.number, r.started_at FROM rate_starts AS r
    WHERE r.function_id = k.function_id AND r.key_hash = k.key_hash
        AND r.number > l.number - k.most AND r.number <= l.number - k.most + k.count
    ORDER BY r.number LIMIT k.count
) AS s ON true;

-- name: InsertRateStarts :exec
INSERT INTO rate_starts (function_id, key_hash, number, started_at)
SELECT unnest(@function_ids::uuid[]), unnest(@key_hashes::bytea[]), unnest(@numbers::bigint[]), unnest(@started_at::timestamptz[]);

-- name: DropRateStarts :execrows
DELETE FROM rate_starts WHERE (function_id, key_hash, number) IN (
    SELECT r.function_id, r.key_hash, r.number FROM rate_starts AS r
    WHERE r.started_at <= @expired::timestamptz LIMIT @most::integer
);

-- name: InsertRuns :exec
-- A run's event ids come as the text of an array. Those that are skipped have ended.
INSERT INTO runs (id, environment_id, function_id, function_version, event_ids, event_name, status, created_at,
    priority_nanos, limits, notes, ended_at, skip, existing_id, request_version, discovery_count, step_count, state_bytes)
SELECT r.id, r.environment_id, r.function_id, r.function_version, r.event_ids::uuid[], r.event_name, r.status, r.created_at,
    r.priority_nanos, r.limits, r.notes, CASE WHEN r.skip <> 0 THEN r.created_at END, NULLIF(r.skip, 0), r.existing_id, CASE WHEN r.skip <> 0 THEN -1 END,
    CASE WHEN r.skip <> 0 THEN 0 END, CASE WHEN r.skip <> 0 THEN 0 END, CASE WHEN r.skip <> 0 THEN 0 END
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@environment_ids::uuid[]) AS environment_id,
        unnest(@function_ids::uuid[]) AS function_id, unnest(@function_versions::integer[]) AS function_version,
        unnest(@event_ids::text[]) AS event_ids, unnest(@event_names::text[]) AS event_name,
        unnest(@created_at::timestamptz[]) AS created_at, unnest(@priority_nanos::bigint[]) AS priority_nanos,
        unnest(@statuses::smallint[]) AS status, unnest(@skips::smallint[]) AS skip, unnest(@existing_ids::uuid[]) AS existing_id,
        unnest(@limits::jsonb[]) AS limits, unnest(@notes::jsonb[]) AS notes
) AS r;

-- name: InsertEventRuns :exec
INSERT INTO event_runs (event_id, run_id)
SELECT unnest(@event_ids::uuid[]), unnest(@run_ids::uuid[])
ON CONFLICT DO NOTHING;
