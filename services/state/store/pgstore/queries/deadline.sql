-- name: InsertDeadlines :exec
INSERT INTO deadlines (run_id, due_at) SELECT unnest(@run_ids::uuid[]), unnest(@due_at::timestamptz[]);

-- name: Deadlines :many
SELECT run_id, due_at FROM deadlines WHERE due_at <= @until::timestamptz ORDER BY due_at LIMIT @most::integer;

-- name: MoveDeadlines :exec
-- Those of runs that end at this moment are passed over, so that nobody waits for each other.
UPDATE deadlines AS d SET due_at = m.due_at
FROM (
    SELECT f.run_id, u.due_at
    FROM deadlines AS f
    JOIN (SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@due_at::timestamptz[]) AS due_at) AS u ON f.run_id = u.run_id
    FOR UPDATE OF f SKIP LOCKED
) AS m
WHERE d.run_id = m.run_id;

-- name: DropDeadlines :exec
-- Passes over the same ones as MoveDeadlines.
DELETE FROM deadlines WHERE run_id IN (
    SELECT f.run_id FROM deadlines AS f WHERE f.run_id = ANY(@run_ids::uuid[]) FOR UPDATE SKIP LOCKED
);

-- name: EndDeadlines :exec
-- Of runs that end, whose heads are locked.
DELETE FROM deadlines WHERE run_id = ANY(@run_ids::uuid[]);
