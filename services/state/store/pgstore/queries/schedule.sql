-- name: DueSchedules :many
SELECT environment_id, function_id, cron, next_at
FROM schedules WHERE next_at <= @until::timestamptz ORDER BY next_at, function_id, cron LIMIT @most::integer;

-- name: OutdatedCatalogs :many
SELECT environment_id FROM catalogs WHERE revision <> scheduled_revision ORDER BY environment_id LIMIT @most::integer;

-- name: DeleteSchedules :exec
-- All but these.
DELETE FROM schedules
WHERE environment_id = @environment_id
    AND NOT (function_id, cron) IN (SELECT unnest(@function_ids::uuid[]), unnest(@crons::text[]));

-- name: InsertSchedules :exec
INSERT INTO schedules (environment_id, function_id, cron, next_at)
SELECT @environment_id, unnest(@function_ids::uuid[]), unnest(@crons::text[]), unnest(@next_at::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: MarkScheduled :exec
UPDATE catalogs SET scheduled_revision = @revision WHERE environment_id = @environment_id;

-- name: AdvanceSchedules :exec
UPDATE schedules SET next_at = a.next_at
FROM (
    SELECT unnest(@environment_ids::uuid[]) AS environment_id, unnest(@function_ids::uuid[]) AS function_id,
        unnest(@crons::text[]) AS cron, unnest(@done_at::timestamptz[]) AS done_at, unnest(@next_at::timestamptz[]) AS next_at
) AS a
WHERE schedules.environment_id = a.environment_id AND schedules.function_id = a.function_id AND schedules.cron = a.cron
    AND schedules.next_at = a.done_at;

-- name: EndSchedules :exec
DELETE FROM schedules
WHERE (environment_id, function_id, cron, next_at) IN (
    SELECT unnest(@environment_ids::uuid[]), unnest(@function_ids::uuid[]), unnest(@crons::text[]), unnest(@done_at::timestamptz[])
);
