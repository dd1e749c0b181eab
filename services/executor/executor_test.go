package executor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app answers calls; it is the whole network of a test.
type app func(r *http.Request) (*http.Response, error)

func (a app) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// answer is an SDK's answer.
func answer(status int, body string) *http.Response {
	header := http.Header{}
	header.Set(sdk.HeaderSDK, "test:v1")
	header.Set(sdk.HeaderRequestVersion, "2")
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewBufferString(body))}
}

// rig is an executor with a store and a queue in memory, and one function.
type rig struct {
	*memstore.Store
	*memqueue.Queue
	t        *testing.T
	function stepwell.Function
	synced   int
	service  *executor.Service
	stop     context.CancelFunc
	stopped  chan error
	runner   fakeRunner
}

// fakeRunner counts how often it was told that there is something to look at.
type fakeRunner struct{ nudges atomic.Int32 }

func (r *fakeRunner) Nudge(context.Context) error {
	r.nudges.Add(1)
	return nil
}

// state lets a test stand between the executor and the store.
type state struct {
	store.Committer
	commit func(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error)
}

func (s *state) Commit(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	return s.commit(ctx, transitions)
}

func newRig(t *testing.T, network app, between func(store.Committer) store.Committer) *rig {
	t.Helper()
	r := &rig{Store: memstore.New(memstore.DefaultConfig()), Queue: memqueue.New(), t: t}
	environment := stepwell.DefaultEnvironment()
	shop := stepwell.NewAppID(environment, "shop")
	r.function = stepwell.Function{
		ID: stepwell.NewFunctionID(shop, "shop-charge"), Slug: "shop-charge", App: shop, Environment: environment,
		URL: "http://app/api/inngest?fnId=shop-charge&stepId=step", Version: 1, Retries: 4,
	}
	r.sync(r.function)
	var committer store.Committer = r.Store
	if between != nil {
		committer = between(r.Store)
	}
	r.connect(network, committer, r.Queue)
	return r
}

// connect makes the executor anew.
func (r *rig) connect(network app, state store.Committer, q executor.Queue) {
	r.t.Helper()
	var err error
	r.service, err = executor.New(executor.DefaultConfig(), executor.Deps{
		State: state, Queue: q, Runner: &r.runner, Transport: network, Gateway: network, Random: func() float64 { return 0 },
		ServerKind: sdk.KindDev, Log: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	})
	require.NoError(r.t, err)
}

// sync makes the app's functions these.
func (r *rig) sync(functions ...stepwell.Function) {
	r.t.Helper()
	r.synced++
	app := stepwell.App{
		ID: r.function.App, Environment: r.function.Environment, Name: "shop", Checksum: strconv.Itoa(r.synced),
	}
	_, err := r.SyncApp(r.t.Context(), app, functions)
	require.NoError(r.t, err)
}

// run starts the executor; the test ends it with halt.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop, r.stopped = cancel, make(chan error, 1)
	go func() { r.stopped <- r.service.Run(ctx) }()
}

func (r *rig) halt() {
	r.t.Helper()
	r.stop()
	require.NoError(r.t, <-r.stopped)
}

// start starts a run and queues its first item.
func (r *rig) start() stepwell.Run {
	r.t.Helper()
	now := time.Now()
	id, err := ulid.New(ulid.Timestamp(now), nil)
	require.NoError(r.t, err)
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: r.function.Environment, Name: "order/paid", Time: now, ReceivedAt: now,
		Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`),
	}
	start := engine.Start(r.function, event, now)
	results, err := r.Ingest(r.t.Context(), []store.Ingest{{
		Environment: event.Environment, Revision: int64(r.synced), Now: now,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(r.t, err)
	require.NoError(r.t, results[0].Err)
	require.NoError(r.t, r.Enqueue(r.t.Context(), now, results[0].Opened))
	return start.Run
}

func (r *rig) loadRun(id stepwell.RunID) stepwell.RunState {
	r.t.Helper()
	state, err := store.LoadRun(r.t.Context(), r, id)
	require.NoError(r.t, err)
	return state
}

func (r *rig) stats() queue.Stats {
	r.t.Helper()
	stats, err := r.Stats(r.t.Context(), time.Now())
	require.NoError(r.t, err)
	stats.Shards = nil
	return stats
}

func TestRunIsWorkedToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var targets []string
		r := newRig(t, func(r *http.Request) (*http.Response, error) {
			targets = append(targets, r.URL.Query().Get("stepId"))
			switch len(targets) {
			case 1:
				return answer(206, `[{"op":"StepRun","id":"a","data":1}]`), nil
			case 2:
				return answer(206, `[{"op":"Sleep","id":"z","name":"9m"}]`), nil
			}
			return answer(200, `"done"`), nil
		}, nil)
		r.run()
		run := r.start()
		<-time.After(2 * time.Hour)
		r.halt()
		require.Equal(t, []string{"step", "step", "step"}, targets)
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

func TestUnavailableStateIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, failures := 0, 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			calls++
			return answer(200, `"done"`), nil
		}, func(next store.Committer) store.Committer {
			return &state{next, func(ctx context.Context, ts []stepwell.Transition) ([]store.Committed, error) {
				if failures++; failures < 5 {
					return nil, stepwell.ErrUnavailable
				}
				return next.Commit(ctx, ts)
			}}
		})
		r.run()
		run := r.start()
		<-time.After(time.Minute)
		r.halt()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		require.Equal(t, 1, calls, "the answer was kept, the app not asked again")
	})
}

func TestItemThatCannotBeCommittedEndsAmongTheDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			calls++
			return answer(200, `"done"`), nil
		}, func(next store.Committer) store.Committer {
			return &state{next, func(context.Context, []stepwell.Transition) ([]store.Committed, error) {
				return nil, errors.New("poison")
			}}
		})
		r.run()
		r.start()
		<-time.After(time.Hour)
		r.halt()
		require.Equal(t, queue.LeasesMax, calls)
		require.Equal(t, queue.Stats{Dead: 1}, r.stats())
	})
}

func TestLongCallKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			calls++
			<-time.After(90 * time.Minute)
			return answer(200, `"done"`), nil
		}, nil)
		r.run()
		run := r.start()
		<-time.After(2 * time.Hour)
		r.halt()
		require.Equal(t, 1, calls)
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
	})
}

func TestCallThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, nil)
		r.run()
		run := r.start()
		<-time.After(executor.DefaultConfig().CallTimeout + time.Second)
		history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
		require.NoError(t, err)
		require.Len(t, history.Attempts, 1)
		require.Contains(t, string(history.Attempts[0].Error), "call_timeout")
		r.halt()
	})
}

// TestLateHolderLoses: an executor that was frozen in a call commits nothing when another took over (I12).
func TestLateHolderLoses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls := 0
		release := make(chan struct{})
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			mu.Lock()
			calls++
			first := calls == 1
			mu.Unlock()
			if first {
				<-release
				return answer(206, `[{"op":"StepRun","id":"a","data":"late"}]`), nil
			}
			return answer(206, `[{"op":"StepRun","id":"a","data":"in time"},{"op":"RunComplete","id":"end"}]`), nil
		}, nil)
		r.run()
		run := r.start()
		synctest.Wait()
		// The queue is lost and rebuilt while the first holder is in its call.
		require.NoError(t, r.Remove(t.Context(), []stepwell.ItemID{run.Progress.Open[0].ID}))
		require.NoError(t, r.Enqueue(t.Context(), time.Now(), run.Progress.Open))
		synctest.Wait()
		close(release)
		synctest.Wait()
		state := r.loadRun(run.ID)
		require.Equal(t, stepwell.RunCompleted, state.Run.Status)
		require.Equal(t, `"in time"`, string(state.Steps[0].Result.JSON))
		r.halt()
		require.Equal(t, 2, calls)
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

// TestDrainFinishesOrHandsBack: a stopping executor waits for its calls, but not for ever.
func TestDrainFinishesOrHandsBack(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		takes  time.Duration
		status stepwell.RunStatus
		left   queue.Stats
	}{
		"finishes":   {5 * time.Second, stepwell.RunCompleted, queue.Stats{}},
		"hands back": {time.Hour, stepwell.RunRunning, queue.Stats{Delayed: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(r *http.Request) (*http.Response, error) {
					select {
					case <-time.After(test.takes):
						return answer(200, `"done"`), nil
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				}, nil)
				r.run()
				run := r.start()
				synctest.Wait()
				r.halt()
				require.Equal(t, test.status, r.loadRun(run.ID).Run.Status)
				require.Equal(t, test.left, r.stats())
				history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
				require.NoError(t, err)
				if test.status == stepwell.RunRunning {
					require.Empty(t, history.Attempts, "it costs the run no attempt")
				}
			})
		})
	}
}

// frozen is the queue of a process that stood still: its leases have expired by the time that it goes on.
type frozen struct{ *memqueue.Queue }

func (q frozen) Lease(ctx context.Context, request queue.LeaseRequest) (queue.Leased, error) {
	leased, err := q.Queue.Lease(ctx, request)
	for i := range leased.Leases {
		leased.Leases[i].ExpiresAt = request.Now.Add(-time.Millisecond)
	}
	return leased, err
}

// TestI20_ExpiredLeaseCallsNobody: limits count the one who has the item now.
func TestI20_ExpiredLeaseCallsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		network := app(func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			return answer(200, `"done"`), nil
		})
		r := newRig(t, network, nil)
		r.connect(network, r.Store, frozen{r.Queue})
		run := r.start()
		r.run()
		<-time.After(time.Minute)
		r.halt()
		require.Zero(t, calls.Load())
		require.Equal(t, stepwell.RunRunning, r.loadRun(run.ID).Run.Status)
		r.connect(network, r.Store, r.Queue)
		r.run()
		<-time.After(time.Minute)
		r.halt()
		require.EqualValues(t, 1, calls.Load(), "another goes on")
	})
}

func TestSettledItemIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			return nil, errors.New("nobody is to be called")
		}, nil)
		run := r.start()
		results, err := r.Commit(t.Context(), []stepwell.Transition{{
			Run: run.ID, At: time.Now(), End: &stepwell.End{Status: stepwell.RunCancelled},
		}})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		unknown := stepwell.NewDiscovery(stepwell.Run{ID: stepwell.NewRunID(time.Now(), r.function.ID, "?")}, 1, time.Now())
		require.NoError(t, r.Enqueue(t.Context(), time.Now(), []stepwell.Item{unknown}))
		r.run()
		synctest.Wait()
		r.halt()
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := executor.New(executor.Config{RetryInterval: -1}, executor.Deps{})
	require.ErrorContains(t, err, "workers")
	require.ErrorContains(t, err, "lease_for")
	require.ErrorContains(t, err, "retry_interval")
	require.ErrorContains(t, err, "call_timeout")
}
