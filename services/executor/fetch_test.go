package executor_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// plain is an answer of a server that is no app.
func plain(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// gateways are as many operations that fetch.
func gateways(n int) string {
	ops := make([]string, n)
	for i := range ops {
		ops[i] = fmt.Sprintf(`{"op":"Gateway","id":"f%d","opts":{"url":"http://web/%d","method":"GET"}}`, i, i)
	}
	return "[" + strings.Join(ops, ",") + "]"
}

// fetching is an app that first wants what ops say and then is done.
func fetching(ops string, web app) app {
	return func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "app" {
			return web(r)
		}
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			return nil, err
		case bytes.Contains(body, []byte(`"steps":{}`)):
			return answer(206, ops), nil
		}
		return answer(200, `"done"`), nil
	}
}

// TestFetchesAreMadeAtOnceAndAFew: requests of one answer do not wait for each other, but only so many are under way.
func TestFetchesAreMadeAtOnceAndAFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		r := newRig(t, fetching(gateways(35), func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			<-time.After(time.Second)
			now.Add(-1)
			return plain(r, 404, r.URL.Path), nil
		}), nil)
		r.run()
		run := r.start()
		<-time.After(time.Minute)
		r.halt()
		require.EqualValues(t, 10, most.Load())
		state := r.loadRun(run.ID)
		require.Equal(t, stepwell.RunCompleted, state.Run.Status)
		require.Len(t, state.Steps, 35)
		for i, step := range state.Steps {
			require.JSONEq(t, fmt.Sprintf(`{"body":"/%d","headers":{},"status_code":404,"url":"http://web/%d"}`, i, i),
				string(step.Result.JSON))
		}
		history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
		require.NoError(t, err)
		require.Equal(t, stepwell.StepFetch, history.Steps[0].Kind)
		require.Equal(t, time.Second, history.Steps[0].EndedAt.Sub(history.Steps[0].StartedAt))
	})
}

// TestLongFetchKeepsItsLease: the item stays with the executor, which asks the app once.
func TestLongFetchKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		r := newRig(t, fetching(gateways(1), func(r *http.Request) (*http.Response, error) {
			fetches++
			<-time.After(90 * time.Minute)
			return plain(r, 200, ""), nil
		}), nil)
		r.run()
		run := r.start()
		<-time.After(2 * time.Hour)
		r.halt()
		require.Equal(t, 1, fetches)
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
	})
}

// TestFetchThatIsGivenUp: one that takes too long has failed; one that is under way when the executor stops is handed
// back and costs no attempt.
func TestFetchThatIsGivenUp(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fetching(gateways(1), hang), nil)
		r.run()
		run := r.start()
		<-time.After(executor.DefaultConfig().CallTimeout + time.Second)
		attempts := func() []stepwell.Attempt {
			history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
			require.NoError(t, err)
			return history.Attempts
		}
		require.Len(t, attempts(), 1)
		require.JSONEq(t, `{"name":"GatewayError","message":"Error making gateway request: GET web: `+
			`no answer in time (call_timeout)","data":null}`, string(attempts()[0].Error))
		<-time.After(time.Minute) // into the second attempt
		r.halt()
		require.Len(t, attempts(), 1)
	})
}

// TestKeyOfAProviderIsNeverTold: not in the run's history, not in the log; nor does a redirect take it elsewhere.
func TestKeyOfAProviderIsNeverTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ops = `[{"op":"AIGateway","id":"i","opts":{"url":"http://ai/v1","format":"gemini","auth_key":"k3y","body":{}}}]`
		var log strings.Builder
		var hosts []string
		r := newRig(t, refuse, nil)
		network := fetching(ops, func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			switch len(hosts) {
			case 1:
				return nil, fmt.Errorf("no route to %s", r.URL)
			case 2:
				redirect := plain(r, 302, "moved, "+r.URL.String())
				redirect.Header.Set("Location", "http://elsewhere/?"+r.URL.RawQuery)
				return redirect, nil
			}
			return plain(r, 401, "bad key k3y"), nil
		})
		r.serve(executor.Deps{Transport: network, Gateway: network, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.run()
		run := r.start()
		<-time.After(2 * time.Hour)
		r.halt()
		require.Equal(t, []string{"ai", "ai", "ai", "ai", "ai"}, hosts)
		history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
		require.NoError(t, err)
		require.Equal(t, stepwell.RunCompleted, history.Run.Status, "the app caught it")
		require.Len(t, history.Attempts, 6)
		require.Contains(t, string(history.Attempts[0].Error), "POST ai: no route to http://ai/v1?key=(key)")
		require.Contains(t, string(history.Attempts[1].Error), "the provider answered HTTP 302")
		require.NotContains(t, fmt.Sprintf("%+v", history), "k3y")
		for _, attempt := range history.Attempts {
			require.NotContains(t, string(attempt.Error), "k3y")
		}
		for _, step := range history.Steps {
			require.Equal(t, stepwell.StepInfer, step.Kind)
			require.NotContains(t, string(step.Result.JSON), "k3y")
		}
		require.NotContains(t, log.String(), "k3y")
	})
}

// TestResultsOfFetchesAreBounded: when they are too large for a run, the rest are not made.
func TestResultsOfFetchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		fetches := 0
		megabytes := strings.Repeat("x", 3<<20)
		r := newRig(t, fetching(gateways(1000), func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			fetches++
			return plain(r, 200, megabytes), nil
		}), nil)
		r.run()
		run := r.start()
		<-time.After(time.Minute)
		r.halt()
		state := r.loadRun(run.ID)
		require.Equal(t, stepwell.RunFailed, state.Run.Status)
		require.Contains(t, string(state.Run.Output), "state_too_large")
		require.Less(t, fetches, 40)
	})
}

// TestFetchReallyMade: over the transport that servers use, redirects are followed, keys of users stay with their host,
// what is too large or of a forbidden address fails at once.
func TestFetchReallyMade(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s auth=%q", r.Method, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Header.Get("User-Agent"), r.Header.Get("X-Mine"), body)
		case "/away":
			// Another port is the same host; another name is not.
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "/large":
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 64 {
				if _, err := w.Write(chunk); err != nil {
					return // the server has had enough
				}
			}
		}
	}))
	defer web.Close()
	op := func(id, url string) string {
		return fmt.Sprintf(`{"op":"Gateway","id":%q,"opts":{"url":%q,"method":"POST","body":"hi",`+
			`"headers":{"X-Mine":"1","Authorization":"Bearer k3y","Accept-Encoding":"br"}}}`, id, url)
	}
	results := fetchAll(t, op("echo", web.URL+"/echo"), op("away", web.URL+"/away"), op("loop", web.URL+"/loop"),
		op("metadata", web.URL+"/metadata"), op("large", web.URL+"/large"), op("forbidden", "http://169.254.169.254/"))
	require.Contains(t, results["echo"], `{"data":{"body":"POST Stepwell 1 hi",`)
	require.Contains(t, results["away"], `{"data":{"body":"GET auth=\"\"",`)
	require.Contains(t, results["loop"], "more than 10 redirects")
	require.Contains(t, results["large"], "larger than the 4194304 bytes")
	for _, id := range []string{"metadata", "forbidden"} {
		require.Contains(t, results[id], `{"error":{"name":"GatewayError","message":"Error making gateway request: `)
		require.Contains(t, results[id], "link-local and metadata addresses are never called")
	}
}

// fetchAll has an app ask for all of this and returns the results of the steps.
func fetchAll(t *testing.T, ops ...string) map[string]string {
	t.Helper()
	transport := executor.NewTransport()
	defer transport.CloseIdleConnections()
	r := newRig(t, refuse, nil)
	r.serve(executor.Deps{
		Transport: fetching("["+strings.Join(ops, ",")+"]", nil), Gateway: transport,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	r.run()
	run := r.start()
	require.Eventually(t, func() bool { return r.loadRun(run.ID).Run.Status.Ended() }, 20*time.Second, time.Millisecond)
	r.halt()
	results := map[string]string{}
	for _, step := range r.loadRun(run.ID).Steps {
		results[string(step.ID)] = string(step.Result.AppendMemo(nil))
	}
	return results
}

// serve replaces the rig's executor by one that works with these.
func (r *rig) serve(deps executor.Deps) {
	r.t.Helper()
	deps.State, deps.Queue, deps.Runner, deps.Random = r.Store, r.Queue, &r.runner, func() float64 { return 0 }
	deps.ServerKind = sdk.KindDev
	var err error
	r.service, err = executor.New(executor.DefaultConfig(), deps)
	require.NoError(r.t, err)
}

func TestGatewayIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := executor.New(executor.DefaultConfig(), executor.Deps{
		State: memstore.New(memstore.DefaultConfig()), Queue: memqueue.New(), Transport: http.DefaultTransport,
		Random: rand.Float64, ServerKind: sdk.KindDev, Log: slog.New(slog.DiscardHandler),
	})
	require.ErrorContains(t, err, "gateway")
}

// refuse is the network of a rig whose executor is replaced.
func refuse(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported }
