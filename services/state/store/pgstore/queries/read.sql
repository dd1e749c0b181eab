-- name: Runs :many
SELECT r.id, r.environment_id, r.function_id, r.function_version, r.event_ids, r.event_name, r.status, r.output,
    r.created_at, r.ended_at, r.priority_nanos, r.limits, r.notes,
    COALESCE(h.started_at, r.started_at) AS started_at, h.open,
    COALESCE(h.request_version, r.request_version) AS request_version,
    COALESCE(h.discovery_count, r.discovery_count) AS discovery_count, h.rediscover,
    COALESCE(h.step_count, r.step_count) AS step_count, COALESCE(h.state_bytes, r.state_bytes) AS state_bytes,
    COALESCE(h.defer_count, 0)::integer AS defer_count, COALESCE(h.defer_bytes, 0)::integer AS defer_bytes,
    COALESCE(r.skip, 0)::smallint AS skip, r.existing_id
FROM runs AS r LEFT JOIN heads AS h ON h.run_id = r.id
WHERE r.id = ANY(@ids::uuid[]) AND r.id BETWEEN @first::uuid AND @last::uuid;

-- name: ListRuns :many
SELECT r.id, r.environment_id, r.function_id, r.function_version, r.event_ids, r.event_name, r.status, r.output,
    r.created_at, r.ended_at, r.priority_nanos, r.limits, r.notes,
    COALESCE(h.started_at, r.started_at) AS started_at, h.open,
    COALESCE(h.request_version, r.request_version) AS request_version,
    COALESCE(h.discovery_count, r.discovery_count) AS discovery_count, h.rediscover,
    COALESCE(h.step_count, r.step_count) AS step_count, COALESCE(h.state_bytes, r.state_bytes) AS state_bytes,
    COALESCE(h.defer_count, 0)::integer AS defer_count, COALESCE(h.defer_bytes, 0)::integer AS defer_bytes,
    COALESCE(r.skip, 0)::smallint AS skip, r.existing_id
FROM runs AS r LEFT JOIN heads AS h ON h.run_id = r.id
WHERE r.environment_id = @environment_id AND r.id < @before::uuid
    AND (NOT @by_status::boolean OR r.status = ANY(@statuses::smallint[]))
ORDER BY r.id DESC LIMIT @most::integer;

-- name: ListRunsOfFunction :many
SELECT r.id, r.environment_id, r.function_id, r.function_version, r.event_ids, r.event_name, r.status, r.output,
    r.created_at, r.ended_at, r.priority_nanos, r.limits, r.notes,
    COALESCE(h.started_at, r.started_at) AS started_at, h.open,
    COALESCE(h.request_version, r.request_version) AS request_version,
    COALESCE(h.discovery_count, r.discovery_count) AS discovery_count, h.rediscover,
    COALESCE(h.step_count, r.step_count) AS step_count, COALESCE(h.state_bytes, r.state_bytes) AS state_bytes,
    COALESCE(h.defer_count, 0)::integer AS defer_count, COALESCE(h.defer_bytes, 0)::integer AS defer_bytes,
    COALESCE(r.skip, 0)::smallint AS skip, r.existing_id
FROM runs AS r LEFT JOIN heads AS h ON h.run_id = r.id
WHERE r.environment_id = @environment_id AND r.function_id = @function_id AND r.id < @before::uuid
    AND (NOT @by_status::boolean OR r.status = ANY(@statuses::smallint[]))
ORDER BY r.id DESC LIMIT @most::integer;

-- name: RunsOfEvent :many
-- The runs that the event started itself lie in its own millisecond.
SELECT r.id FROM runs AS r
WHERE r.id BETWEEN @first::uuid AND @last::uuid AND @event_id::uuid = ANY(r.event_ids)
UNION
SELECT e.run_id FROM event_runs AS e WHERE e.event_id = @event_id::uuid;

-- name: FunctionsOfRuns :many
SELECT id, environment_id, app_id, slug, name, version, url, retries, triggers, flow_control, created_at, archived_at,
    hold
FROM functions WHERE id IN (
    SELECT r.function_id FROM runs AS r
    WHERE r.id = ANY(@run_ids::uuid[]) AND r.id BETWEEN @first::uuid AND @last::uuid
);

-- name: AppsOfRuns :many
SELECT id, environment_id, name, url, sdk, framework, version, checksum, synced_at
FROM apps WHERE id IN (
    SELECT f.app_id FROM functions AS f JOIN runs AS r ON r.function_id = f.id
    WHERE r.id = ANY(@run_ids::uuid[]) AND r.id BETWEEN @first::uuid AND @last::uuid
);

-- name: EventsOfRuns :many
-- Those between two ids: Postgres would look into all days for ids that it finds itself.
SELECT e.id, e.environment_id, e.name, e.key, e.data, e.user_data, e.meta, e.version, e.occurred_at, e.received_at, e.trace
FROM events AS e
WHERE e.id BETWEEN @first_event::uuid AND @last_event::uuid AND e.id = ANY(ARRAY(
    SELECT unnest(r.event_ids) FROM runs AS r
    WHERE r.id = ANY(@run_ids::uuid[]) AND r.id BETWEEN @first::uuid AND @last::uuid
));

-- name: Events :many
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE id = ANY(@ids::uuid[]) AND id BETWEEN @first::uuid AND @last::uuid;

-- name: RecordedStepsOfRuns :many
SELECT run_id, step_id, name, kind, status, result_kind, result, opened_at, started_at, ended_at, due_at, event_id,
    recorded_order
FROM steps
WHERE run_id = ANY(@run_ids::uuid[]) AND run_id BETWEEN @first::uuid AND @last::uuid AND status <> 0
ORDER BY run_id, recorded_order;

-- name: StepsOfRun :many
SELECT run_id, step_id, name, kind, status, result_kind, result, opened_at, started_at, ended_at, due_at, event_id,
    recorded_order
FROM steps WHERE run_id = @run_id ORDER BY opened_at, opened_order, step_id;

-- name: AttemptsOfRun :many
SELECT run_id, item, step_id, step_name, number, status, started_at, ended_at, next_at, http_status, error
FROM attempts WHERE run_id = @run_id ORDER BY ended_at, item;

-- name: GetEvent :one
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE id = @id AND environment_id = @environment_id;

-- name: ListEvents :many
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE environment_id = @environment_id AND id < @before::uuid
ORDER BY id DESC LIMIT @most::integer;

-- name: ListEventsByName :many
SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
FROM events WHERE environment_id = @environment_id AND name = @name AND id < @before::uuid
ORDER BY id DESC LIMIT @most::integer;

-- name: UnroutedEvents :many
-- The oldest, until their payloads reach a number of bytes. Their sizes are known without reading them.
SELECT p.id, p.environment_id, p.name, p.key, p.data, p.user_data, p.meta, p.version, p.occurred_at, p.received_at, p.trace
FROM (
    SELECT e.*, sum(octet_length(e.data) + octet_length(e.user_data)) OVER (ORDER BY e.id) AS bytes
    FROM (
        SELECT id, environment_id, name, key, data, user_data, meta, version, occurred_at, received_at, trace
        FROM events WHERE NOT routed ORDER BY id LIMIT @most::integer
    ) AS e
) AS p
WHERE p.bytes - octet_length(p.data) - octet_length(p.user_data) < @bytes_max::bigint ORDER BY p.id;
