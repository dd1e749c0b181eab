-- name: LatestBuffers :many
-- Of each key the latest buffer, the only one that may take more events.
SELECT b.run_id, b.environment_id, b.function_id, b.function_version, b.key_hash, b.batch, b.event_ids, b.event_name, b.event_at,
    b.bytes, b.created_at, b.first_at, b.fire_at, b.invoker, b.displaced
FROM (SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash) AS k
CROSS JOIN LATERAL (
    SELECT * FROM buffers AS f WHERE f.function_id = k.function_id AND f.key_hash = k.key_hash
    ORDER BY f.fire_at DESC LIMIT 1
) AS b;

-- name: InsertBuffers :exec
-- A buffer's event ids come as the text of an array.
INSERT INTO buffers (run_id, environment_id, function_id, function_version, key_hash, batch, event_ids, event_name, event_at,
    bytes, created_at, first_at, fire_at, invoker, displaced)
SELECT b.run_id, b.environment_id, b.function_id, b.function_version, b.key_hash, b.batch, b.event_ids::uuid[], b.event_name,
    b.event_at, b.bytes, b.created_at, b.first_at, b.fire_at, NULLIF(b.invoker, ''), b.displaced
FROM (
    SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@environment_ids::uuid[]) AS environment_id,
        unnest(@function_ids::uuid[]) AS function_id, unnest(@function_versions::integer[]) AS function_version,
        unnest(@key_hashes::bytea[]) AS key_hash, unnest(@batches::boolean[]) AS batch,
        unnest(@event_ids::text[]) AS event_ids, unnest(@event_names::text[]) AS event_name,
        unnest(@event_at::timestamptz[]) AS event_at, unnest(@bytes::bigint[]) AS bytes,
        unnest(@created_at::timestamptz[]) AS created_at, unnest(@first_at::timestamptz[]) AS first_at,
        unnest(@fire_at::timestamptz[]) AS fire_at, unnest(@invokers::text[]) AS invoker,
        unnest(@displaced::bytea[]) AS displaced
) AS b;

-- name: DeleteBuffers :exec
DELETE FROM buffers WHERE run_id = ANY(@run_ids::uuid[]);

-- name: TakeBuffers :many
-- Removes buffers that have as many events as they had when they were read.
DELETE FROM buffers AS b
USING (SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@counts::integer[]) AS count) AS k
WHERE b.run_id = k.run_id AND cardinality(b.event_ids) = k.count
RETURNING b.run_id;

-- name: MoveStartKeys :exec
-- Has start keys lead to the runs of the batches that took their events.
UPDATE start_keys AS s SET run_id = k.run_id
FROM (
    SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash, unnest(@run_ids::uuid[]) AS run_id
) AS k
WHERE s.function_id = k.function_id AND s.key_hash = k.key_hash;

-- name: DueBuffers :many
SELECT run_id, environment_id, function_id, function_version, key_hash, batch, event_ids, event_name, event_at, bytes, created_at,
    first_at, fire_at, invoker, displaced
FROM buffers WHERE fire_at <= @now::timestamptz ORDER BY fire_at, run_id LIMIT @most::integer;

-- name: NextBuffer :many
SELECT fire_at FROM buffers ORDER BY fire_at LIMIT 1;
