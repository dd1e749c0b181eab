package daemon_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

const adminToken = "0123456789abcdef0123456789abcdef"

func TestAdminIsChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, daemon.Admin{}.Validate())
	require.NoError(t, daemon.Admin{Address: ":9090", Token: config.NewSecret(adminToken)}.Validate())
	for problem, admin := range map[string]daemon.Admin{
		"token is empty, and admin.address is open to nobody without one": {Address: ":9090"},
		`address is "9090", it must be like :9090`:                        {Address: "9090", Token: config.NewSecret(adminToken)},
		"token has 6 characters, it must have at least 16":                {Address: ":9090", Token: config.NewSecret("sesame")},
	} {
		require.ErrorContains(t, admin.Validate(), problem)
	}
	p := newProgram(enough)
	_, err := p.run(t.Context(), p.Command(), "--admin-address=:9090")
	require.ErrorContains(t, err, "\ndefault: admin.token is empty, and admin.address")
}

// request is what somebody asks of the admin listener.
type request struct{ method, path, token, body string }

// admin starts a program with an admin listener and returns how to ask it.
func admin(t *testing.T, compose func(*daemon.Process)) (do func(r request) (int, string)) {
	t.Helper()
	d, _, _ := startAtFreePorts(t, func(_ context.Context, p *daemon.Process, _ daemon.Door) error {
		compose(p)
		return nil
	}, "--admin-address", "ADDRESS", "--admin-token", adminToken)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(r request) (int, string) {
		asked, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+d.HTTPAddress()+r.path, strings.NewReader(r.body))
		require.NoError(t, err)
		if r.token != "" {
			asked.Header.Set("Authorization", r.token)
		}
		answer, err := client.Do(asked)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(body)
	}
}

// TestAdminIsOpenToNobodyWithoutTheToken, not even to find out what there is (I25).
func TestAdminIsOpenToNobodyWithoutTheToken(t *testing.T) {
	t.Parallel()
	do := admin(t, func(*daemon.Process) {})
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/cmdline", "/debug/pprof/symbol",
		"/debug/pprof/trace", "/log-level", "/", "/livez", "/nothing", "/metrics/", "//metrics",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
			for _, token := range []string{
				"", "Bearer", "Bearer ", "Bearer " + adminToken + "0", "Bearer " + adminToken[1:], "Basic " + adminToken, adminToken,
			} {
				status, body := do(request{method, path, token, `{"level":"debug"}`})
				require.Equal(t, http.StatusUnauthorized, status, "%s %s %q", method, path, token)
				require.NotContains(t, body, adminToken)
			}
		}
	}
	for _, known := range []struct {
		request
		status int
	}{
		{request{method: http.MethodGet, path: "/metrics"}, 200},
		{request{method: http.MethodGet, path: "/debug/pprof/"}, 200},
		{request{method: http.MethodGet, path: "/debug/pprof/goroutine?debug=1"}, 200},
		{request{method: http.MethodGet, path: "/debug/pprof/symbol"}, 200},
		{request{method: http.MethodGet, path: "/debug/pprof/cmdline"}, 404},
		{request{method: http.MethodGet, path: "/nothing"}, 404},
		{request{method: http.MethodDelete, path: "/log-level"}, 405},
	} {
		known.token = "bearer " + adminToken
		status, _ := do(known.request)
		require.Equal(t, known.status, status, known.path)
	}
}

func TestMetricsOfTheProgramAreServed(t *testing.T) {
	t.Parallel()
	do := admin(t, func(p *daemon.Process) {
		p.Telemetry.Meter().Counter("stepwell.sales", "{sale}", "Sales").Add(context.Background(), 3, telemetry.Labels{})
		require.Nil(t, p.Telemetry.Tracers)
	})
	status, body := do(request{method: http.MethodGet, path: "/metrics", token: "Bearer " + adminToken})
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "\nstepwell_sales_total 3\n")
	require.Contains(t, body, `service_name="stepwell-shop"`)
	require.Contains(t, body, `service_version="v1.2.3"`)
}

// TestLogLevelChangesWhileTheProgramRuns, and the log says so.
func TestLogLevelChangesWhileTheProgramRuns(t *testing.T) {
	t.Parallel()
	var log *slog.Logger
	do := admin(t, func(p *daemon.Process) { log = p.Log })
	token := "Bearer " + adminToken
	ask := func(method, body string) string {
		status, answer := do(request{method, "/log-level", token, body})
		require.Equal(t, http.StatusOK, status, answer)
		return answer
	}
	require.JSONEq(t, `{"level":"INFO"}`, ask(http.MethodGet, ""))
	require.False(t, log.Enabled(t.Context(), slog.LevelDebug))
	require.JSONEq(t, `{"level":"DEBUG"}`, ask(http.MethodPut, `{"level":"debug"}`))
	require.True(t, log.Enabled(t.Context(), slog.LevelDebug))
	require.JSONEq(t, `{"level":"DEBUG"}`, ask(http.MethodGet, ""))
	for _, body := range []string{"", "debug", `{}`, `{"level":"loud"}`, `{"level":null}`, strings.Repeat(" ", 1<<20)} {
		status, answer := do(request{http.MethodPut, "/log-level", token, body})
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, answer, "debug, info, warn or error")
	}
	require.JSONEq(t, `{"level":"ERROR"}`, ask(http.MethodPut, `{"level":"ERROR"}`))
	require.False(t, log.Enabled(t.Context(), slog.LevelWarn))
}

// TestCollectorIsNamedAsEverywhere: the variable that every program with OpenTelemetry has is taken, too.
func TestCollectorIsNamedAsEverywhere(t *testing.T) {
	t.Parallel()
	p := newProgram(enough, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317", "STEPWELL_TELEMETRY_TRACE_RATIO=0.25")
	_, err := p.run(t.Context(), p.Command())
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, telemetry.Config{OTLPEndpoint: "http://collector:4317", TraceRatio: 0.25}, p.settings.Telemetry)
}

// TestStartedIsForGood: once everything was ready, it stays so whatever happens.
func TestStartedIsForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var probes *daemon.Probes
		var problem atomic.Pointer[error]
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			probes = p.Probes()
			p.NeedsReady("till", func(context.Context) error { return *problem.Load() })
			return nil
		})
		broken, fine := errBroken, error(nil)
		problem.Store(&broken)
		stop, wait := p.start(t, "--drain-delay=20s")
		set := func(now *error) {
			problem.Store(now)
			<-time.After(2 * checkEvery)
		}
		set(&broken)
		status, body := ask(t, probes, "/startupz")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.JSONEq(t, `{"status":"not ready","dependencies":{"till":false}}`, body)
		set(&fine)
		started := func() {
			t.Helper()
			status, body := ask(t, probes, "/startupz")
			require.Equal(t, http.StatusOK, status)
			require.JSONEq(t, `{"status":"started"}`, body)
		}
		started()
		set(&broken)
		status, _ = ask(t, probes, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, status)
		started()
		stop()
		synctest.Wait()
		started()
		require.NoError(t, wait())
	})
}
