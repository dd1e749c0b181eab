package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/redistest"
)

// TestStart: on an empty database it makes the schema, finds the app, takes an event and has its run done.
func TestStart(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	p := startProduction(t, map[string]string{"STEPWELL_APPS_URLS": app.URL + "/api/inngest", "STEPWELL_APPS_POLL_INTERVAL": "200ms"})
	p.readiness(http.StatusOK, readyBody)
	p.says(`msg="schema migrated" version=1`)
	for _, path := range []string{"/health", "/livez", "/ready"} {
		status, _, body := p.ask(http.MethodGet, path, "", "")
		require.Equal(t, http.StatusOK, status, body)
	}
	p.says("app synced")
	require.NotContains(t, p.log.String(), "level=WARN", "there is nothing to complain about")
	require.Equal(t, 1, p.runs(p.publishes("shop/order")))

	out, err := stepwellIn(t, map[string]string{"STEPWELL_SERVER": p.origin, "STEPWELL_SIGNING_KEY": signingKey}, "runs", "show")
	require.NoError(t, err)
	require.Contains(t, out, "Completed")
	for _, secret := range []string{eventKey, "00112233445566778899aabbccddeeff"} {
		require.NotContains(t, p.log.String(), secret)
	}
}

// TestStartIsNeverOpen (I25).
func TestStartIsNeverOpen(t *testing.T) {
	t.Parallel()
	p := startProduction(t, nil)
	p.readiness(http.StatusOK, readyBody)
	const other = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
	for _, route := range []struct{ method, path string }{
		{http.MethodPost, "/e/" + other},
		{http.MethodPost, "/e/" + signingKey},
		{http.MethodPost, "/fn/register"},
		{http.MethodPost, "/api/v1/functions"},
		{http.MethodGet, "/api/v1/functions"},
		{http.MethodPost, "/api/v1/events"},
		{http.MethodGet, "/api/v1/runs"},
		{http.MethodGet, "/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV"},
	} {
		for _, key := range []string{"", other, eventKey} {
			status, _, body := p.ask(route.method, route.path, key, `{"name":"shop/order","data":{}}`)
			require.Equal(t, http.StatusUnauthorized, status, "%s %s: %s", route.method, route.path, body)
		}
	}
	status, _, body := p.ask(http.MethodGet, "/api/v1/runs", signingKey, "")
	require.Equal(t, http.StatusOK, status, body)
}

// TestStartWithoutPostgres (I31): it waits, says which setting it is about, takes no event, and goes on when Postgres is
// there, with the schema made then; also when Postgres goes away later.
func TestStartWithoutPostgres(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	instance.Stop()
	p := startProduction(t, map[string]string{"DATABASE_URL": instance.URL()})
	const notReady = `{"status":"not ready","dependencies":{"postgres":false,"redis":true}}`
	p.readiness(http.StatusServiceUnavailable, notReady)
	p.says(`msg="not ready" dependency=postgres`, "Postgres cannot be reached (database_url)")
	status, _, _ := p.ask(http.MethodGet, "/livez", "", "")
	require.Equal(t, http.StatusOK, status, "it lives")
	p.refuses("shop/order", "order-1")

	instance.Start(t)
	p.readiness(http.StatusOK, readyBody)
	p.publishes("shop/order")
	instance.Stop()
	p.refuses("shop/order", "order-2")
	p.readiness(http.StatusServiceUnavailable, notReady)
	instance.Start(t)
	p.readiness(http.StatusOK, readyBody)
	p.publishes("shop/order")
	_, _, body := p.ask(http.MethodGet, "/readyz", "", "")
	require.NotContains(t, body, "database_url", "who has no key is told no reasons")
}

// soon makes what is missing from the queue be found soon.
func soon(settings map[string]string) map[string]string {
	settings["STEPWELL_RUNNER_RECONCILE_EVERY"], settings["STEPWELL_RUNNER_OVERDUE_AFTER"] = "200ms", "200ms"
	return settings
}

// TestStartWithoutRedis: events are taken, since Postgres is the truth; their runs go on when Redis is there.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	app, server := startApp(t), redistest.Start(t)
	g := newGate(t, server)
	p := startProduction(t, soon(map[string]string{"REDIS_URL": g.url(), "STEPWELL_APPS_URLS": app.URL + "/api/inngest"}))
	p.readiness(http.StatusServiceUnavailable, `{"status":"not ready","dependencies":{"postgres":true,"redis":false}}`)
	p.says(`msg="not ready" dependency=redis`, "(redis_url)")
	p.says("app synced")
	event := p.publishes("shop/order")
	g.set(true)
	p.readiness(http.StatusOK, readyBody)
	require.Equal(t, 1, p.runs(event))
	g.set(false)
	event = p.publishes("shop/order")
	g.set(true)
	require.Equal(t, 1, p.runs(event))
}

// TestRedisWithoutMemory keeps no event from being taken, and no run from ending once there is room.
func TestRedisWithoutMemory(t *testing.T) {
	t.Parallel()
	app, server := startApp(t), redistest.Start(t)
	p := startProduction(t, soon(map[string]string{"REDIS_URL": server.URL, "STEPWELL_APPS_URLS": app.URL + "/api/inngest"}))
	p.says("app synced")
	p.readiness(http.StatusOK, readyBody)
	client := server.Client(t)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	event := p.publishes("shop/order")
	p.says("items not queued, they wait in the store", "redis is full: raise its maxmemory")
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.Equal(t, 1, p.runs(event))
}

// TestPostgresThatIsReadOnly (I31): after a failover, or when its disk is full.
func TestPostgresThatIsReadOnly(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	p := startProduction(t, map[string]string{"DATABASE_URL": instance.URL()})
	p.readiness(http.StatusOK, readyBody)
	set := func(value string) {
		pgtest.Execute(t, instance.URL(), "ALTER SYSTEM SET default_transaction_read_only = "+value)
		pgtest.Execute(t, instance.URL(), "SELECT pg_reload_conf()")
	}
	set("on")
	p.readiness(http.StatusServiceUnavailable, `{"status":"not ready","dependencies":{"postgres":false,"redis":true}}`)
	p.says("Postgres is read-only: database_url must name the primary")
	p.refuses("shop/order", "order-1")
	set("off")
	p.readiness(http.StatusOK, readyBody)
	p.publishes("shop/order")
}

// TestSchemaThatIsBehind: whoever migrates apart is told to, and nothing is to be restarted then.
func TestSchemaThatIsBehind(t *testing.T) {
	t.Parallel()
	database := postgres.Database(t)
	p := startProduction(t, map[string]string{"DATABASE_URL": database, "STEPWELL_MIGRATE": "false"})
	p.readiness(http.StatusServiceUnavailable, `{"status":"not ready","dependencies":{"postgres":false,"redis":true}}`)
	p.says("the schema is at version 0, this release needs", "run `stepwell migrate`")
	p.refuses("shop/order", "order-1")
	settings := map[string]string{"DATABASE_URL": database}
	out, err := stepwellIn(t, settings, "migrate")
	require.NoError(t, err)
	require.Contains(t, out, "migrated by 00001_create_tables.sql\n")
	p.readiness(http.StatusOK, readyBody)
	p.publishes("shop/order")
	out, err = stepwellIn(t, settings, "migrate")
	require.NoError(t, err)
	require.Equal(t, "there is nothing to migrate\n", out)
}

// TestQueueWithOtherShards is refused by readiness, with both ways out.
func TestQueueWithOtherShards(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	require.NoError(t, server.Client(t).Set(t.Context(), "stepwell:shards", "7", 0).Err())
	p := startProduction(t, map[string]string{"REDIS_URL": server.URL})
	p.readiness(http.StatusServiceUnavailable, `{"status":"not ready","dependencies":{"postgres":true,"redis":false}}`)
	p.says("set redis.shards to 7, or choose another redis.prefix")
}

// TestWrongSettingsOfTheServer are told all at once, each with its place, and without secrets.
func TestWrongSettingsOfTheServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stepwell.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`database_url: postgres://stepwell:sesame@db:port/stepwell
redis_ulr: redis://localhost:6379
port: 0
executor:
  worker: 7
apps:
  urls: [localhost:3000]
`), 0o600))
	settings := map[string]string{"STEPWELL_EVENT_KEY": "sesame", "STEPWELL_CONFIG": path}
	for _, command := range []string{"start", "config"} {
		_, err := stepwellIn(t, settings, command)
		for _, problem := range []string{
			" of the settings are wrong:\n",
			path + ":2: redis_ulr is not a setting; did you mean redis_url?",
			path + ":5: executor.worker is not a setting; did you mean executor.workers?",
			path + ":3: port is 0, it must be 1 to 65535",
			path + ":7: apps.urls: \"localhost:3000\" is not a URL such as http://localhost:3000/api/inngest",
			path + ":1: database_url cannot be read: write it as postgres://user:password@host:5432/database",
			"event key 1 has 6 characters, it must have at least 16; make one with: openssl rand -hex 32",
			"signing_keys is empty, so no app could register; make one with: openssl rand -hex 32",
			"redis_url is empty, it must be one of: redis://user:password@host:port/db",
			"`stepwell " + command + " --help` lists all settings",
		} {
			require.ErrorContains(t, err, problem)
		}
		require.NotContains(t, err.Error(), "sesame")
	}
}

// TestConfigOfTheServer is what is in effect, in a form that can be read back, without secrets.
func TestConfigOfTheServer(t *testing.T) {
	t.Parallel()
	out, err := stepwellIn(t, map[string]string{
		"DATABASE_URL": "postgres://stepwell:sesame@db/stepwell", "REDIS_URL": "redis://:sesame@redis:6379",
		"STEPWELL_EVENT_KEY": eventKey, "STEPWELL_SIGNING_KEY": signingKey, "STEPWELL_EXECUTOR_WORKERS": "7",
	}, "config", "--drain-delay=5s")
	require.NoError(t, err)
	for _, line := range []string{
		"  workers: 7 # environment variable STEPWELL_EXECUTOR_WORKERS\n",
		"drain_delay: 5s # flag --drain-delay\n",
		"database_url: '[hidden]' # environment variable DATABASE_URL\n",
		"migrate: true # default\n",
	} {
		require.Contains(t, out, line)
	}
	for _, secret := range []string{"sesame", eventKey, "00112233445566778899aabbccddeeff"} {
		require.NotContains(t, out, secret)
	}
}
