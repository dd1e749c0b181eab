-- name: Holders :many
-- The live runs that have places. The limits have Postgres take the indexes.
SELECT k.position::integer AS position, s.run_id
FROM (
    SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash,
        generate_subscripts(@key_hashes::bytea[], 1) AS position
) AS k
CROSS JOIN LATERAL (
    SELECT f.run_id FROM singletons AS f WHERE f.function_id = k.function_id AND f.key_hash = k.key_hash LIMIT 1
) AS s
CROSS JOIN LATERAL (SELECT 1 FROM heads AS l WHERE l.run_id = s.run_id LIMIT 1) AS h;

-- name: PutHolders :exec
-- Of places that are free.
INSERT INTO singletons (function_id, key_hash, run_id)
SELECT unnest(@function_ids::uuid[]), unnest(@key_hashes::bytea[]), unnest(@run_ids::uuid[])
ON CONFLICT (function_id, key_hash) DO UPDATE SET run_id = excluded.run_id;

-- name: DeleteHolders :exec
DELETE FROM singletons AS s
USING (
    SELECT unnest(@function_ids::uuid[]) AS function_id, unnest(@key_hashes::bytea[]) AS key_hash, unnest(@run_ids::uuid[]) AS run_id
) AS e
WHERE s.function_id = e.function_id AND s.key_hash = e.key_hash AND s.run_id = e.run_id;
