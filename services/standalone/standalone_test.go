package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/standalone"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The names under which a test's network knows its hosts.
const (
	serverURL = "http://server"
	appURL    = "http://app/api/inngest"
)

// world is a whole system with an app, under fake time: every wait takes no time at all.
type world struct {
	t      *testing.T
	app    *app
	queue  *memqueue.Queue
	client http.Client
	begin  time.Time
	// seen is what was measured and traced, if a test wants that kept.
	seen *telemetrytest.Seen
	// traceparent is sent with requests.
	traceparent string
}

// inWorld runs a test in a bubble of fake time, with the functions of an app synced.
func inWorld(t *testing.T, functions map[string]function, test func(*testing.T, *world)) {
	t.Helper()
	inWorldWith(t, functions, func(*testing.T, *world, *standalone.Deps) {}, test)
}

// inWorldWith is inWorld with other dependencies.
func inWorldWith(
	t *testing.T, functions map[string]function, change func(*testing.T, *world, *standalone.Deps), test func(*testing.T, *world),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, app: &app{functions: functions}, queue: memqueue.New(), begin: time.Now()}
		hosts := map[string]*host{"app:80": newHost(), "server:80": newHost()}
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				host, known := hosts[address]
				if !known {
					return nil, errors.New("no such host")
				}
				return host.dial(ctx)
			},
			MaxIdleConnsPerHost: 200,
		}
		w.client.Transport = transport
		config := standalone.Config{Runner: rareDuties(), Executor: executor.DefaultConfig()}
		deps := standalone.Deps{
			Store: memstore.New(memstore.DefaultConfig()), Queue: w.queue, Keys: eventapi.OpenKeys{},
			HTTP: []net.Listener{hosts["server:80"]}, Transport: transport, Gateway: transport, ServerKind: sdk.KindDev,
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		}
		change(t, w, &deps)
		system, err := standalone.New(config, deps)
		require.NoError(t, err)
		appServer := &http.Server{Handler: w.app, ReadHeaderTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- appServer.Serve(hosts["app:80"]) }()
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- system.Run(ctx) }()

		w.post("/api/v1/functions", map[string]string{"url": appURL}, nil)
		test(t, w)

		transport.CloseIdleConnections()
		cancel()
		require.NoError(t, <-stopped)
		require.NoError(t, appServer.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

func (w *world) post(path string, body, out any) {
	w.t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(w.t, err)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, serverURL+path, bytes.NewReader(encoded))
	require.NoError(w.t, err)
	w.do(request, out)
}

func (w *world) get(path string, out any) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, serverURL+path, nil)
	require.NoError(w.t, err)
	w.do(request, out)
}

func (w *world) do(request *http.Request, out any) {
	w.t.Helper()
	if w.traceparent != "" {
		request.Header.Set("traceparent", w.traceparent)
	}
	response, err := w.client.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, response.StatusCode, "%s", body)
	if out != nil {
		require.NoError(w.t, json.Unmarshal(body, out))
	}
}

// send publishes an event and returns the runs that it started.
func (w *world) send(event map[string]any) []string {
	w.t.Helper()
	var published struct {
		IDs []string `json:"ids"`
	}
	w.post("/e/key", event, &published)
	require.Len(w.t, published.IDs, 1)
	var runs struct {
		Data []struct {
			ID string `json:"run_id"`
		} `json:"data"`
	}
	w.get("/v1/events/"+published.IDs[0]+"/runs", &runs)
	ids := make([]string, len(runs.Data))
	for i, run := range runs.Data {
		ids[i] = run.ID
	}
	return ids
}

// runState is what the API says of a run.
type runState struct {
	Status  string          `json:"status"`
	Output  json.RawMessage `json:"output"`
	EndedAt *time.Time      `json:"ended_at"`
}

// until lets time pass until the run has ended, at most a limit.
func (w *world) until(run string, limit time.Duration) runState {
	w.t.Helper()
	var answer struct {
		Data runState `json:"data"`
	}
	for passed := time.Duration(0); passed <= limit; passed += limit / 100 {
		synctest.Wait()
		w.get("/v1/runs/"+run, &answer)
		if answer.Data.Status != "Running" {
			return answer.Data
		}
		<-time.After(limit / 100)
	}
	w.t.Fatalf("run %s is still running after %s", run, limit)
	return runState{}
}

// settled checks that nothing is left in the queue (I8).
func (w *world) settled() {
	w.t.Helper()
	synctest.Wait()
	stats, err := w.queue.Stats(w.t.Context(), time.Now())
	require.NoError(w.t, err)
	stats.Shards = nil
	require.Equal(w.t, queue.Stats{}, stats)
}

const day = 24 * time.Hour

func TestSleepsOf30Days(t *testing.T) {
	t.Parallel()
	days := 30
	if testing.Short() {
		days = 3 // the server looks around twice in each second of them
	}
	month := fmt.Sprintf("%dd", days)
	inWorld(t, map[string]function{"nap": {event: "nap", code: func(s *steps) any {
		a := s.run("a", func() (any, error) { return "first", nil })
		s.sleep("month 1", month)
		b := s.run("b", func() (any, error) { return "second", nil })
		s.sleep("month 2", month)
		c := s.run("c", func() (any, error) { return "third", nil })
		return []json.RawMessage{a, b, c}
	}}}, func(t *testing.T, w *world) {
		runs := w.send(map[string]any{"name": "nap"})
		require.Len(t, runs, 1)
		run := w.until(runs[0], time.Duration(2*days+1)*day)
		require.Equal(t, "Completed", run.Status)
		require.JSONEq(t, `["first","second","third"]`, string(run.Output))
		require.Equal(t, time.Duration(2*days)*day, run.EndedAt.Sub(w.begin).Round(time.Hour), "no sleep wakes early (I17)")
		require.Len(t, w.app.callsOf(runs[0]), 6, "each step is run once, and asked about once")
		w.settled()
	})
}

func TestTwentyRetriesAtTheLongestBackoff(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"flaky": {event: "flaky", retries: 20, code: func(s *steps) any {
		return s.run("a", func() (any, error) {
			if s.Ctx.Attempt < 20 {
				return nil, fmt.Errorf("attempt %d", s.Ctx.Attempt)
			}
			return "at last", nil
		})
	}}}, func(t *testing.T, w *world) {
		runs := w.send(map[string]any{"name": "flaky"})
		run := w.until(runs[0], 3*day)
		require.Equal(t, "Completed", run.Status)
		require.JSONEq(t, `"at last"`, string(run.Output))
		calls := w.app.callsOf(runs[0])
		require.Len(t, calls, 22)
		table := []time.Duration{
			15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
			20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour,
		}
		for i := 1; i <= 20; i++ {
			require.Equal(t, i, calls[i].attempt)
			wait, least := calls[i].at.Sub(calls[i-1].at), table[min(i, len(table))-1]
			require.GreaterOrEqual(t, wait, least, "attempt %d", i)
			require.Less(t, wait, least+31*time.Second, "attempt %d", i)
		}
		w.settled()
	})
}

func TestRetriesEndAndTheErrorIsTheRuns(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"broken": {event: "broken", retries: 20, code: func(*steps) any {
		panic(answer{http.StatusInternalServerError, map[string]string{"name": "Error", "message": "always"}})
	}}}, func(t *testing.T, w *world) {
		runs := w.send(map[string]any{"name": "broken"})
		run := w.until(runs[0], 3*day)
		require.Equal(t, "Failed", run.Status)
		require.JSONEq(t, `{"error":{"name":"Error","message":"always","data":null}}`, string(run.Output))
		require.Len(t, w.app.callsOf(runs[0]), 21)
		w.settled()
	})
}

func TestThousandRunsAtOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"order": {event: "order", code: func(s *steps) any {
		s.run("charge", func() (any, error) { return 1, nil })
		parts := s.parallel(3, func(i int) any { return i })
		s.sleep("nap", "1h")
		return parts
	}}}, func(t *testing.T, w *world) {
		const count = 1000
		events := make([]map[string]any, count)
		for i := range events {
			events[i] = map[string]any{"name": "order", "data": map[string]int{"n": i}}
		}
		var published struct {
			IDs []string `json:"ids"`
		}
		w.post("/e/key", events, &published)
		require.Len(t, published.IDs, count)
		require.IsIncreasing(t, published.IDs)
		<-time.After(2 * time.Hour)
		w.settled()
		for _, id := range published.IDs {
			var runs struct {
				Data []runState `json:"data"`
			}
			w.get("/v1/events/"+id+"/runs", &runs)
			require.Len(t, runs.Data, 1)
			require.Equal(t, "Completed", runs.Data[0].Status)
			require.JSONEq(t, `[0,1,2]`, string(runs.Data[0].Output))
		}
		w.app.mu.Lock()
		defer w.app.mu.Unlock()
		require.Len(t, w.app.calls, 7*count, "charge, plan, three parts, nap, end")
	})
}

func TestFutureEventStartsThen(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"later": {event: "later", code: func(*steps) any { return "done" }}},
		func(t *testing.T, w *world) {
			runs := w.send(map[string]any{"name": "later", "ts": time.Now().Add(7 * day).UnixMilli()})
			run := w.until(runs[0], 8*day)
			require.Equal(t, "Completed", run.Status)
			require.GreaterOrEqual(t, w.app.callsOf(runs[0])[0].at.Sub(w.begin), 7*day)
			w.settled()
		})
}

func TestSameEventIDStartsOnceWithinADay(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"once": {event: "once", code: func(*steps) any { return "done" }}},
		func(t *testing.T, w *world) {
			event := map[string]any{"name": "once", "id": "order-1"}
			first := w.send(event)
			w.until(first[0], time.Minute)
			<-time.After(23 * time.Hour)
			require.Equal(t, first, w.send(event), "also after the run has ended (I3)")
			<-time.After(2 * time.Hour)
			again := w.send(event)
			require.NotEqual(t, first, again)
			w.until(again[0], time.Minute)
			w.settled()
		})
}

// TestUnreachableAppIsNamed: what people read when their app does not run.
func TestUnreachableAppIsNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"gone": {event: "gone", code: func(*steps) any { return nil }}},
		func(t *testing.T, w *world) {
			moved := w.app.registration()
			moved["functions"].([]map[string]any)[0]["steps"] = map[string]any{"step": map[string]any{
				"retries": map[string]int{"attempts": 0}, "runtime": map[string]string{"url": "http://elsewhere/?fnId=gone"},
			}}
			w.post("/api/v1/functions", moved, nil)
			runs := w.send(map[string]any{"name": "gone"})
			run := w.until(runs[0], time.Hour)
			require.Equal(t, "Failed", run.Status)
			require.Contains(t, string(run.Output), "http://elsewhere/")
			require.Contains(t, string(run.Output), "unreachable")
			w.settled()
		})
}

// rareDuties keeps months of fake time cheap.
func rareDuties() runner.Config {
	config := runner.DefaultConfig()
	config.FeedEvery = stepwell.Horizon - time.Minute
	config.RouteEvery, config.ReconcileEvery, config.RebuildEvery = time.Hour, time.Hour, time.Hour
	config.CronEvery = time.Hour
	return config
}
