package daemon_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/httpserver"
)

// ask asks the probes, which answer at once.
func ask(t *testing.T, probes *daemon.Probes, path string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	httpserver.Beside(probes.Routes(), http.NotFoundHandler()).ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

const checkEvery = 2 * time.Second

// TestReadinessFollowsWhatTheProgramDependsOn. The log has a line for each change, with the reason; the answers, which
// need no key, have none.
func TestReadinessFollowsWhatTheProgramDependsOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var probes *daemon.Probes
		var down atomic.Pointer[string]
		begin := make(chan struct{})
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			probes = p.Probes()
			p.NeedsReady("bank", func(context.Context) error { <-begin; return nil })
			p.NeedsReady("till", func(context.Context) error {
				if why := down.Load(); why != nil {
					return errors.New(*why)
				}
				return nil
			})
			return nil
		})
		stop, wait := p.start(t)
		expect := func(wanted int, body string, log ...string) {
			t.Helper()
			synctest.Wait()
			status, said := ask(t, probes, "/readyz")
			require.Equal(t, wanted, status)
			require.JSONEq(t, body, said)
			require.ElementsMatch(t, log, p.log.with("ready"))
			status, said = ask(t, probes, "/livez")
			require.Equal(t, http.StatusOK, status)
			require.JSONEq(t, `{"status":"alive"}`, said)
		}
		expect(503, `{"status":"starting","dependencies":{"bank":false,"till":false}}`, "INFO msg=ready dependency=till")
		close(begin)
		expect(200, `{"status":"ready","dependencies":{"bank":true,"till":true}}`, "INFO msg=ready dependency=bank")
		<-time.After(3 * checkEvery)
		expect(200, `{"status":"ready","dependencies":{"bank":true,"till":true}}`)

		down.Store(new("no key to it (till.key)"))
		<-time.After(checkEvery)
		const notReady = `{"status":"not ready","dependencies":{"bank":true,"till":false}}`
		expect(503, notReady, `WARN msg="not ready" dependency=till error="no key to it (till.key)"`)
		<-time.After(3 * checkEvery)
		expect(503, notReady)
		down.Store(new("it is empty"))
		<-time.After(checkEvery)
		expect(503, notReady, `WARN msg="not ready" dependency=till error="it is empty"`)

		down.Store(nil)
		<-time.After(checkEvery)
		expect(200, `{"status":"ready","dependencies":{"bank":true,"till":true}}`, "INFO msg=ready dependency=till")
		stop()
		require.NoError(t, wait())
	})
}

// TestNotReadyFromTheBeginning is told once.
func TestNotReadyFromTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			p.NeedsReady("till", func(context.Context) error { return errBroken })
			return nil
		})
		stop, wait := p.start(t)
		<-time.After(5 * checkEvery)
		require.Equal(t, []string{`WARN msg="not ready" dependency=till error="till is broken"`}, p.log.with("ready"))
		stop()
		require.NoError(t, wait())
	})
}

// TestHangingCheckIsBounded, and keeps nobody from stopping the program.
func TestHangingCheckIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var probes *daemon.Probes
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			probes = p.Probes()
			p.NeedsReady("bank", func(context.Context) error { return nil })
			p.NeedsReady("till", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			return nil
		})
		stop, wait := p.start(t)
		synctest.Wait()
		began := time.Now()
		_, body := ask(t, probes, "/readyz")
		require.Contains(t, body, "starting")
		<-time.After(checkEvery)
		synctest.Wait()
		_, body = ask(t, probes, "/readyz")
		require.JSONEq(t, `{"status":"not ready","dependencies":{"bank":true,"till":false}}`, body)
		require.Equal(t, checkEvery, time.Since(began), "it was given as long, and probes do not wait for it")
		<-time.After(time.Second)
		began = time.Now()
		stop()
		require.NoError(t, wait())
		require.Zero(t, time.Since(began))
	})
}
