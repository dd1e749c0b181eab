-- name: InsertThrottleStarts :exec
INSERT INTO throttle_starts (function_id, started_at, run_id, limits)
SELECT unnest(@function_ids::uuid[]), unnest(@started_at::timestamptz[]), unnest(@run_ids::uuid[]), unnest(@limits::jsonb[]);

-- name: ThrottleStarts :many
-- The bounds have Postgres take the index.
SELECT started_at, run_id, limits FROM throttle_starts
WHERE function_id = @function_id AND started_at >= @since::timestamptz
    AND (started_at, run_id) > (@cursor_at::timestamptz, @cursor_run::uuid)
ORDER BY started_at, run_id LIMIT @most::integer;

-- name: DropThrottleStarts :execrows
DELETE FROM throttle_starts WHERE (function_id, started_at, run_id) IN (
    SELECT t.function_id, t.started_at, t.run_id FROM throttle_starts AS t
    WHERE t.started_at <= @expired::timestamptz LIMIT @most::integer
);
