-- name: CatalogRevisions :many
SELECT environment_id, revision FROM catalogs WHERE environment_id = ANY(@environment_ids::uuid[]);

-- name: LockCatalog :one
-- The row lock makes syncs of one environment take turns.
INSERT INTO catalogs (environment_id, revision) VALUES (@environment_id, 0)
ON CONFLICT (environment_id) DO UPDATE SET revision = catalogs.revision
RETURNING revision;

-- name: BumpCatalog :exec
UPDATE catalogs SET revision = revision + 1 WHERE environment_id = @environment_id;

-- name: AppChecksum :one
SELECT checksum FROM apps WHERE id = @id;

-- name: TouchApp :exec
UPDATE apps SET synced_at = @synced_at WHERE id = @id;

-- name: PutApp :exec
INSERT INTO apps (id, environment_id, name, url, sdk, framework, version, checksum, synced_at)
VALUES (@id, @environment_id, @name, @url, @sdk, @framework, @version, @checksum, @synced_at)
ON CONFLICT (id) DO UPDATE SET
    url = excluded.url, sdk = excluded.sdk, framework = excluded.framework, version = excluded.version,
    checksum = excluded.checksum, synced_at = excluded.synced_at;

-- name: PutFunctions :exec
INSERT INTO functions (id, environment_id, app_id, slug, name, version, url, retries, triggers, flow_control, created_at)
SELECT f.id, @environment_id, @app_id, f.slug, f.name, f.version, f.url, f.retries, f.triggers, f.flow_control, @created_at
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@slugs::text[]) AS slug, unnest(@names::text[]) AS name,
        unnest(@versions::integer[]) AS version, unnest(@urls::text[]) AS url, unnest(@retries::integer[]) AS retries,
        unnest(@triggers::jsonb[]) AS triggers, unnest(@flow_controls::jsonb[]) AS flow_control
) AS f
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, version = excluded.version, url = excluded.url, retries = excluded.retries,
    triggers = excluded.triggers, flow_control = excluded.flow_control, created_at = excluded.created_at,
    archived_at = NULL;

-- name: PutFunctionVersions :exec
INSERT INTO function_versions (function_id, version, name, url, retries, triggers, flow_control, created_at)
SELECT id, version, name, url, retries, triggers, flow_control, created_at FROM functions WHERE id = ANY(@ids::uuid[])
ON CONFLICT DO NOTHING;

-- name: ArchiveFunctions :exec
UPDATE functions SET archived_at = @archived_at
WHERE app_id = @app_id AND archived_at IS NULL AND NOT id = ANY(@active_ids::uuid[]);

-- name: ListApps :many
SELECT id, environment_id, name, url, sdk, framework, version, checksum, synced_at
FROM apps WHERE environment_id = @environment_id ORDER BY name;

-- name: ListFunctions :many
SELECT id, environment_id, app_id, slug, name, version, url, retries, triggers, flow_control, created_at, archived_at,
    hold
FROM functions WHERE environment_id = @environment_id ORDER BY slug COLLATE "C";

-- name: FunctionsOfApp :many
SELECT id, environment_id, app_id, slug, name, version, url, retries, triggers, flow_control, created_at, archived_at,
    hold
FROM functions WHERE app_id = @app_id;

-- name: FunctionHold :one
SELECT hold FROM functions WHERE id = @id AND environment_id = @environment_id;

-- name: HoldFunction :exec
UPDATE functions SET hold = @hold WHERE id = @id;
