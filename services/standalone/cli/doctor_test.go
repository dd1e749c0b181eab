package cli_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/certtest"
	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/sdk"
)

// patient is who a doctor examines: good settings, but what a test says otherwise.
func patient(t *testing.T, settings map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{
		"STEPWELL_EVENT_KEY": eventKey, "STEPWELL_SIGNING_KEY": signingKey, "REDIS_URL": redis.URL,
		"STEPWELL_REDIS_PREFIX": redis.Prefix(t), "STEPWELL_PORT": free(t),
	}
	maps.Copy(all, settings)
	if all["DATABASE_URL"] == "" {
		all["DATABASE_URL"] = postgres.Database(t)
	}
	return all
}

// linesOf are the doctor's lines about something.
func linesOf(report, check string) []string {
	var lines []string
	for line := range strings.Lines(report) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == check {
			lines = append(lines, strings.Join(fields, " "))
		}
	}
	return lines
}

// The servers of tests do not wait for the disk, which is a problem that the doctor sees.
const noDisk = "problem postgres fsync or synchronous_commit is off: events that were answered with 200 are lost if it " +
	"crashes; turn both on"

// schemaNeeded is the version of the last migration that there is.
func schemaNeeded(t *testing.T) string {
	t.Helper()
	migrations, err := filepath.Glob("../../state/store/pgstore/migrations/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, migrations)
	version, _, _ := strings.Cut(filepath.Base(migrations[len(migrations)-1]), "_")
	return strings.TrimLeft(version, "0")
}

// TestDoctor finds nothing else on an installation that is well, whether the server runs or not.
func TestDoctor(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	settings := patient(t, map[string]string{"STEPWELL_APPS_URLS": app.URL + "/api/inngest"})
	out, err := stepwellIn(t, settings, "doctor")
	require.EqualError(t, err, "problems: 1, warnings: 1")
	require.Equal(t, []string{
		"warning postgres the schema is at version 0; `stepwell start` will bring it to " + schemaNeeded(t), noDisk,
	}, linesOf(out, "postgres"))
	require.Contains(t, linesOf(out, "redis")[0], "ok redis version ")
	require.Contains(t, linesOf(out, "redis")[0], " is not used yet")
	require.Equal(t, []string{
		"ok app " + app.URL + "/api/inngest: an SDK answers (test:v1) and accepts our signature",
	}, linesOf(out, "app"))
	require.Equal(t, []string{"ok server none runs at http://localhost:" + settings["STEPWELL_PORT"] +
		"; `stepwell start` starts it, --server says where else it is"}, linesOf(out, "server"))
	require.Equal(t, []string{"ok keys event keys: 1, signing keys: 1; the first signing key signs calls to apps"},
		linesOf(out, "keys"))
	require.NotContains(t, out, eventKey)

	p := startProduction(t, settings)
	p.readiness(http.StatusOK, readyBody)
	out, err = stepwellIn(t, settings, "doctor", "--json", "--server", p.origin)
	require.EqualError(t, err, "problems: 1, warnings: 0")
	var report []struct{ Verdict, Check, Text string }
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report, 6)
	require.Equal(t, "problem", report[2].Verdict)
	require.Contains(t, report[3].Text, "with 4 shards")
	require.Equal(t, "ready at "+p.origin, report[5].Text)
}

func TestDoctorOfPostgres(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	settings := patient(t, map[string]string{"DATABASE_URL": instance.URL(), "STEPWELL_MIGRATE": "false"})
	out, _ := stepwellIn(t, settings, "doctor")
	require.Equal(t, []string{
		"problem postgres the schema is at version 0, this release needs " + schemaNeeded(t) + ": run `stepwell migrate`", noDisk,
	}, linesOf(out, "postgres"))
	_, err := stepwellIn(t, map[string]string{"DATABASE_URL": instance.URL()}, "migrate")
	require.NoError(t, err)
	out, _ = stepwellIn(t, settings, "doctor", "--database-connections-max=900", "--database-read-url="+instance.URL())
	require.Equal(t, []string{noDisk, "problem postgres it gives 297 connections, and the pools take 904: raise " +
		"max_connections, or lower database.connections_max"}, linesOf(out, "postgres"))
	require.Contains(t, linesOf(out, "replica")[0], "ok replica version ")

	pgtest.Execute(t, instance.URL(), "ALTER SYSTEM SET default_transaction_read_only = on")
	instance.Stop()
	out, err = stepwellIn(t, settings, "doctor")
	require.Error(t, err)
	require.Contains(t, linesOf(out, "postgres")[0], "problem postgres ask Postgres about itself:")
	require.Contains(t, out, "Postgres cannot be reached (database_url)")
	instance.Start(t)
	out, err = stepwellIn(t, settings, "doctor")
	require.Error(t, err)
	require.Contains(t, linesOf(out, "postgres"), "problem postgres it is read-only: database_url must name the primary")
}

func TestDoctorOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	require.NoError(t, server.Client(t).Set(t.Context(), "own:shards", "7", 0).Err())
	settings := patient(t, map[string]string{"REDIS_URL": server.URL, "STEPWELL_REDIS_PREFIX": "own"})
	out, err := stepwellIn(t, settings, "doctor")
	require.Error(t, err)
	require.Equal(t, []string{
		"problem redis maxmemory-policy is allkeys-lru, which deletes parts of the queue: set it to noeviction",
		`problem redis the queue "own" has 7 shards and redis.shards is 4: set it to 7, or choose another redis.prefix`,
	}, linesOf(out, "redis"))
	server.Stop()
	out, err = stepwellIn(t, settings, "doctor")
	require.Error(t, err)
	require.Contains(t, linesOf(out, "redis")[0], "(redis_url)")
}

// TestDoctorOfAppsAndServers: what answers must be the right thing.
func TestDoctorOfAppsAndServers(t *testing.T) {
	t.Parallel()
	refusing := newServer(t, map[string][]string{})
	gone := newServer(t, nil)
	gone.Close()
	strict := startStrict(t, http.StatusUnauthorized)
	broken := startStrict(t, http.StatusInternalServerError)
	settings := patient(t, map[string]string{
		"STEPWELL_APPS_URLS": strings.Join([]string{refusing.URL, gone.URL, strict, broken}, ","),
	})
	out, err := stepwellIn(t, settings, "doctor", "--server", refusing.URL)
	require.ErrorContains(t, err, "problems: 6")
	require.Equal(t, []string{
		"problem app " + refusing.URL + ": nothing is served there (404). Is the path right, as in /api/inngest?",
		"problem app " + gone.URL + ": nobody listens there: start the app, or correct apps.urls",
		"problem app " + strict + ": it refuses the signature: its INNGEST_SIGNING_KEY must be the first of signing_keys, and " +
			"both clocks right",
		"problem app " + broken + ": the app answered 500:",
	}, linesOf(out, "app"))
	require.Equal(t, []string{"problem server what answers at " + refusing.URL +
		" is none (HTTP 404): choose another port, or say where it is with --server"}, linesOf(out, "server"))
	for answer, line := range map[string]string{
		`503 {"status":"not ready","dependencies":{"postgres":false,"redis":true}}`: "problem server not ready at %, for want of postgres: its log says why",
		`503 {"status":"draining","dependencies":{"postgres":true}}`:                "warning server draining at %",
	} {
		s := newServer(t, map[string][]string{"GET /readyz": {answer}})
		out, _ = stepwellIn(t, settings, "doctor", "--server", s.URL)
		require.Equal(t, []string{strings.ReplaceAll(line, "%", s.URL)}, linesOf(out, "server"))
	}
}

// TestDoctorOfTheCertificate: it says when it ends, and asks the server at its own address, whose name the certificate
// need not have.
func TestDoctorOfTheCertificate(t *testing.T) {
	t.Parallel()
	folder, authority := t.TempDir(), certtest.New(t)
	files := authority.Write(t, folder, nil, "events.example.com")
	settings := patient(t, map[string]string{
		"STEPWELL_TLS_CERTIFICATE": files.Certificate, "STEPWELL_TLS_KEY": files.Key, "STEPWELL_HOST": "127.0.0.1",
	})
	p := startProduction(t, settings)
	p.says("msg=ready", "dependency=postgres")
	settings["STEPWELL_PORT"] = p.port
	out, _ := stepwellIn(t, settings, "doctor")
	require.Contains(t, linesOf(out, "tls")[0], "ok tls the certificate is good for 0 days, until ")
	require.Equal(t, []string{"ok server ready at https://127.0.0.1:" + p.port}, linesOf(out, "server"))

	soon, key := authority.Issue(t, 10*time.Minute, "events.example.com")
	certtest.Put(t, folder, "tls.crt", soon)
	out, _ = stepwellIn(t, settings, "doctor")
	require.Contains(t, linesOf(out, "tls")[0], "problem tls tls_certificate, tls_key: ")
	require.Contains(t, linesOf(out, "tls")[0], "private key does not match public key")
	certtest.Put(t, folder, "tls.key", key)
	require.Eventually(t, func() bool { // the server looks at its files once a second
		out, _ = stepwellIn(t, settings, "doctor")
		return linesOf(out, "server")[0] == "ok server ready at https://127.0.0.1:"+p.port
	}, patience, 100*time.Millisecond)
	require.Contains(t, linesOf(out, "tls")[0], "warning tls the certificate ends in 0 days, at ")

	other := authority.Write(t, t.TempDir(), nil, "127.0.0.1")
	settings["STEPWELL_TLS_CERTIFICATE"], settings["STEPWELL_TLS_KEY"] = other.Certificate, other.Key
	out, _ = stepwellIn(t, settings, "doctor")
	require.Contains(t, linesOf(out, "server")[0], "it shows another certificate than the one in tls_certificate")
}

// startStrict serves an SDK that always answers with a status.
func startStrict(t *testing.T, status int) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(sdk.HeaderSDK, "test:v1")
		w.WriteHeader(status)
	}))
	t.Cleanup(app.Close)
	return app.URL
}

// TestDoctorOfSettings tells what is wrong with them as `start` does.
func TestDoctorOfSettings(t *testing.T) {
	t.Parallel()
	out, err := stepwellIn(t, map[string]string{"STEPWELL_SIGNING_KEY": "abcd"}, "doctor")
	require.Empty(t, out)
	for _, text := range []string{
		"event_keys is empty", "signing key 1 has 4 digits", "database_url is empty", "redis_url is empty",
		"`stepwell doctor --help` lists all settings",
	} {
		require.ErrorContains(t, err, text)
	}
}
