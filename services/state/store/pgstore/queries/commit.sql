-- name: RecordedSteps :many
-- Which of these steps have their result.
SELECT s.run_id, s.step_id
FROM steps AS s
JOIN (SELECT unnest(@run_ids::uuid[]) AS run_id, unnest(@step_ids::text[]) AS step_id) AS c
    ON s.run_id = c.run_id AND s.step_id = c.step_id
WHERE s.status <> 0;

-- name: SpentEvents :many
-- Which of these events ended a wait of which of these runs.
SELECT run_id, event_id FROM steps
WHERE run_id = ANY(@run_ids::uuid[]) AND run_id BETWEEN @first::uuid AND @last::uuid AND status <> 0
    AND event_id = ANY(@event_ids::uuid[]);

-- name: OpenSteps :exec
INSERT INTO steps (run_id, step_id, name, kind, status, opened_at, opened_order, started_at, due_at, recorded_order)
SELECT unnest(@run_ids::uuid[]), unnest(@step_ids::text[]), unnest(@names::text[]), unnest(@kinds::smallint[]), 0,
    unnest(@opened_at::timestamptz[]), unnest(@opened_orders::smallint[]), unnest(@started_at::timestamptz[]),
    unnest(@due_at::timestamptz[]), 0
ON CONFLICT (run_id, step_id) DO NOTHING;

-- name: RecordSteps :exec
-- I10: a recorded step keeps its result, whatever comes later.
INSERT INTO steps (run_id, step_id, name, kind, status, result_kind, result, opened_at, opened_order, started_at, ended_at,
    due_at, event_id, recorded_order)
SELECT unnest(@run_ids::uuid[]), unnest(@step_ids::text[]), unnest(@names::text[]), unnest(@kinds::smallint[]),
    unnest(@statuses::smallint[]), unnest(@result_kinds::smallint[]), unnest(@results::bytea[]),
    unnest(@opened_at::timestamptz[]), unnest(@opened_orders::smallint[]), unnest(@started_at::timestamptz[]),
    unnest(@ended_at::timestamptz[]), unnest(@due_at::timestamptz[]), unnest(@event_ids::uuid[]),
    unnest(@recorded_orders::integer[])
ON CONFLICT (run_id, step_id) DO UPDATE SET
    status = excluded.status, result_kind = excluded.result_kind, result = excluded.result,
    started_at = COALESCE(steps.started_at, excluded.started_at), ended_at = excluded.ended_at,
    event_id = excluded.event_id, recorded_order = excluded.recorded_order
    WHERE steps.status = 0;

-- name: InsertAttempts :exec
INSERT INTO attempts (run_id, item, step_id, step_name, number, status, started_at, ended_at, next_at, http_status, error)
SELECT unnest(@run_ids::uuid[]), unnest(@items::text[]), NULLIF(unnest(@step_ids::text[]), ''),
    NULLIF(unnest(@step_names::text[]), ''), unnest(@numbers::integer[]), unnest(@statuses::smallint[]),
    unnest(@started_at::timestamptz[]), unnest(@ended_at::timestamptz[]), unnest(@next_at::timestamptz[]),
    unnest(@http_statuses::smallint[]), unnest(@errors::bytea[]);

-- name: EndRuns :exec
-- first and last are the least and the greatest id, so that Postgres plans for their days only.
UPDATE runs SET
    status = u.status, output = u.output, started_at = u.started_at, ended_at = u.ended_at,
    request_version = u.request_version, discovery_count = u.discovery_count, step_count = u.step_count,
    state_bytes = u.state_bytes
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@statuses::smallint[]) AS status, unnest(@outputs::bytea[]) AS output,
        unnest(@started_at::timestamptz[]) AS started_at, unnest(@ended_at::timestamptz[]) AS ended_at,
        unnest(@request_versions::integer[]) AS request_version, unnest(@discovery_counts::integer[]) AS discovery_count,
        unnest(@step_counts::integer[]) AS step_count, unnest(@state_bytes::bigint[]) AS state_bytes
) AS u
WHERE runs.id = u.id AND runs.id BETWEEN @first::uuid AND @last::uuid AND runs.status = 0;
