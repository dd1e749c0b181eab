-- name: InsertDeadlines :exec
INSERT INTO deadlines (run_id, due_at) SELECT unnest(@run_ids::uuid[]), unnest(@due_at::timestamptz[]);

-- name: Deadlines :many
SELECT run_id, due_at FROM deadlines WHERE due_at <= @until::timestamptz ORDER BY due_at LIMIT @most::integer;

-- name: MoveDeadlines :exec
UPDATE deadlines AS d SET due_at = m.due_at
FROM (SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@due_at::timestamptz[]) AS due_at) AS m WHERE d.run_id = m.run_id;

-- name: DeleteDeadlines :exec
DELETE FROM deadlines WHERE run_id = ANY(@run_ids::uuid[]);
