package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestEventIsStoredAsItCame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := event("a", `{"big": 12345678901234567890.10}`)
	e.Key, e.Version, e.Meta = "order-1", "2", []byte(`{"sessions":{}}`)
	require.NoError(t, r.publish(e))
	got, err := r.Event(t.Context(), e.Environment, e.ID)
	require.NoError(t, err)
	require.Equal(t, e, got)
	require.Zero(t, r.stats(), "nobody asked for it")
}

func TestStartedRunIsQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	e := event("a")
	require.NoError(t, r.publish(e))
	runs, err := r.Runs(t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, stepwell.RunRunning, runs[0].Status)
	require.Equal(t, 1, runs[0].FunctionVersion)
	leased, err := r.Lease(t.Context(), queue.LeaseRequest{Now: time.Now(), Max: 10, Until: time.Now().Add(time.Minute)})
	require.NoError(t, err)
	require.Len(t, leased.Leases, 1)
	require.Equal(t, leased.Leases[0].Item, runs[0].Progress.Open[0])
}

// TestFutureEventWaits: its `ts` delays the start.
func TestFutureEventWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	near, far, past := event("a"), event("a"), event("a")
	near.Time = near.Time.Add(stepwell.Horizon - time.Minute)
	require.NoError(t, r.publish(near))
	require.Equal(t, queue.Stats{Delayed: 1}, r.stats())
	past.Time = past.Time.Add(-time.Hour)
	require.NoError(t, r.publish(past))
	require.Equal(t, queue.Stats{Delayed: 1, Ready: 1}, r.stats())
	far.Time = far.Time.Add(time.Hour)
	require.NoError(t, r.publish(far))
	require.Equal(t, queue.Stats{Delayed: 1, Ready: 1}, r.stats(), "it is parked")
}

func TestSameKeyStartsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"), on("mail", "*/x", "a"))
	first, second, other := event("a"), event("a"), event("a")
	first.Key, second.Key, other.Key = "order-1", "order-1", "order-2"
	require.Equal(t, []string{"charge", "mail"}, r.starts(first))
	require.Equal(t, []string{"charge", "mail"}, r.starts(second), "the runs of the first time")
	require.True(t, r.stored(second))
	require.Equal(t, queue.Stats{Ready: 2}, r.stats())
	require.NoError(t, r.publish(other))
	require.Equal(t, queue.Stats{Ready: 4}, r.stats())

	twice := event("a")
	twice.Key = "order-3"
	again := event("a")
	again.Key = "order-3"
	require.NoError(t, r.publish(twice, again), "also within one request")
	require.Equal(t, queue.Stats{Ready: 6}, r.stats())
}

// TestSameKeyStartsAgainAfterADay: the window counts from the first start.
func TestSameKeyStartsAgainAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		send := func() queue.Stats {
			e := event("a")
			e.Key = "order-1"
			require.NoError(t, r.publish(e))
			return r.stats()
		}
		require.Equal(t, queue.Stats{Ready: 1}, send())
		<-time.After(24*time.Hour - time.Millisecond)
		require.Equal(t, queue.Stats{Ready: 1}, send())
		<-time.After(time.Millisecond)
		require.Equal(t, queue.Stats{Ready: 2}, send())
	})
}

// TestRepeatedRequestIsHarmless: the same event ids start nothing new, also by functions that came since.
func TestRepeatedRequestIsHarmless(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	a, b := event("a"), event("a")
	require.NoError(t, r.publish(a, b))
	r.sync(on("charge", "a"), on("late", "a"))
	require.NoError(t, r.publish(a, b))
	require.Equal(t, []string{"charge"}, r.started(a))
	require.Equal(t, []string{"charge"}, r.started(b))
	require.Equal(t, queue.Stats{Ready: 2}, r.stats())
}

// TestChangedCatalogIsNoticedAtOnce: the runner decides by an index that it keeps; the store refuses one that is stale.
func TestChangedCatalogIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Empty(t, r.starts(event("a")), "nothing is there yet")
	require.EqualValues(t, 1, r.between.ingests.Load())

	r.sync(on("charge", "a"), on("mail", "a"))
	require.Equal(t, []string{"charge", "mail"}, r.starts(event("a")))
	require.EqualValues(t, 3, r.between.ingests.Load(), "the stale decision, and the one that counts")

	require.Equal(t, []string{"charge", "mail"}, r.starts(event("a")))
	require.EqualValues(t, 4, r.between.ingests.Load(), "the index is kept")

	r.sync(on("charge", "b"))
	require.Equal(t, []string{}, r.starts(event("a")), "an archived function starts nothing, nor does an old trigger")
	b := event("b")
	require.Equal(t, []string{"charge"}, r.starts(b))
	runs, err := r.Runs(t.Context(), store.RunQuery{Environment: b.Environment, Event: b.ID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 2, runs[0].FunctionVersion)

	r.sync(on("charge", "b"), on("mail", "a"))
	require.Equal(t, []string{"mail"}, r.starts(event("a")), "it is back")
}

// TestStaleAnswerWithoutAChange: the store that refused and the one that was asked may differ for a moment; the functions
// that are known are not forgotten.
func TestStaleAnswerWithoutAChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	require.Equal(t, []string{"charge"}, r.starts(event("a")))
	r.between.ingest = func(context.Context, []store.Ingest) ([]store.Ingested, error) {
		r.between.ingest = nil
		return []store.Ingested{{Err: stepwell.ErrStale}}, nil
	}
	require.Equal(t, []string{"charge"}, r.starts(event("a")))
	require.EqualValues(t, 3, r.between.ingests.Load())
}

// TestCatalogThatNeverRestsIsUnavailable: deciding again is bounded, and nothing is stored.
func TestCatalogThatNeverRestsIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
		r.sync(on("charge", "a", fmt.Sprintf("b%d", r.syncs)))
		return r.Ingest(ctx, requests)
	}
	e := event("a")
	err := r.publish(e)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "functions changed 10 times meanwhile")
	require.EqualValues(t, 10, r.between.ingests.Load())
	require.False(t, r.stored(e))
	require.Zero(t, r.stats())
}

// TestRequestIsAllOrNothing (I4).
func TestRequestIsAllOrNothing(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, memstore.Config{RunsMax: 10, LiveRunsMax: 2, BytesMax: 1 << 20}, nil)
	r.sync(on("charge", "a"))
	a, b := event("a"), event("quiet")
	require.NoError(t, r.publish(a, b))
	require.Equal(t, []string{"charge"}, r.started(a))
	require.True(t, r.stored(b))
	require.NoError(t, r.publish(event("a")))

	c, d := event("a"), event("quiet")
	err := r.publish(d, c)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.False(t, r.stored(c))
	require.False(t, r.stored(d))
	require.Equal(t, queue.Stats{Ready: 2}, r.stats())
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	events := make([]stepwell.Event, stepwell.EventsPerRequestMax+1)
	for i := range events {
		events[i] = event("a")
	}
	err := r.publish(events...)
	require.ErrorIs(t, err, stepwell.ErrTooLarge)
	require.ErrorContains(t, err, "5001 events in one request, at most 5000 are allowed")
	require.Zero(t, r.between.ingests.Load())
	require.NoError(t, r.publish(events[1:]...))
	require.Equal(t, queue.Stats{Ready: stepwell.EventsPerRequestMax}, r.stats())
	require.EqualValues(t, 1, r.between.ingests.Load())

	require.NoError(t, r.publish())
	require.EqualValues(t, 1, r.between.ingests.Load(), "nothing to store")
}

// TestQueueThatFailsDoesNotFailThePublish: the items are found in the store again.
func TestQueueThatFailsDoesNotFailThePublish(t *testing.T) {
	t.Parallel()
	var asked []int
	r := newRigWith(t, memstore.DefaultConfig(), producer{
		enqueue: func(_ context.Context, _ time.Time, items []stepwell.Item) error {
			asked = append(asked, len(items))
			return stepwell.ErrUnavailable
		},
	})
	r.sync(on("charge", "a"))
	require.Equal(t, []string{"charge"}, r.starts(event("a")))
	require.Equal(t, []int{1}, asked)
	require.Contains(t, r.log.String(), "items not queued, they wait in the store")
	require.Contains(t, r.log.String(), "item_count=1")
	due, _, err := r.DueItems(t.Context(), store.DueQuery{Before: time.Now().Add(time.Second), Limit: 10})
	require.NoError(t, err)
	require.Len(t, due, 1)

	require.Empty(t, r.starts(event("quiet")))
	require.Equal(t, []int{1}, asked, "a queue is not asked to take nothing")
}

// TestPublisherThatGoesAwayDoesNotKeepItemsFromTheQueue: what is stored is queued.
func TestPublisherThatGoesAwayDoesNotKeepItemsFromTheQueue(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	queued := 0
	r := newRigWith(t, memstore.DefaultConfig(), producer{
		enqueue: func(ctx context.Context, _ time.Time, items []stepwell.Item) error {
			queued += len(items)
			return ctx.Err()
		},
	})
	r.sync(on("charge", "a"))
	r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
		defer cancel()
		return r.Ingest(ctx, requests)
	}
	require.NoError(t, r.publishIn(ctx, event("a")))
	require.Equal(t, 1, queued)
	require.NotContains(t, r.log.String(), "items not queued")
}

func TestStateThatFailsFailsThePublish(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	fails := func(r *rig) map[string]func(error) {
		return map[string]func(error){
			"catalog": func(err error) {
				r.between.functions = func(context.Context, stepwell.EnvironmentID, int64) (store.Functions, error) {
					return store.Functions{}, err
				}
			},
			"ingest": func(err error) {
				r.between.ingest = func(context.Context, []store.Ingest) ([]store.Ingested, error) { return nil, err }
			},
			"request": func(err error) {
				r.between.ingest = func(context.Context, []store.Ingest) ([]store.Ingested, error) {
					return []store.Ingested{{Err: err}}, nil
				}
			},
			"catalog, when it is stale": func(err error) {
				r.between.functions = func(
					ctx context.Context, e stepwell.EnvironmentID, known int64,
				) (store.Functions, error) {
					if known >= 0 {
						return store.Functions{}, err
					}
					return r.Functions(ctx, e, known)
				}
				r.between.ingest = func(context.Context, []store.Ingest) ([]store.Ingested, error) {
					return []store.Ingested{{Err: stepwell.ErrStale}}, nil
				}
			},
		}
	}
	for name := range fails(newRig(t)) {
		for _, want := range []error{stepwell.ErrUnavailable, odd} {
			t.Run(fmt.Sprintf("%s: %s", name, want), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, on("charge", "a"))
				fails(r)[name](want)
				e := event("a")
				require.ErrorIs(t, r.publish(e), want)
				require.Zero(t, r.stats())
				require.False(t, r.stored(e))
			})
		}
	}
}

// TestOlderCatalogDoesNotReplaceANewerOne: two publishers may load it at once, and the answers may cross.
func TestOlderCatalogDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	old, err := r.Functions(t.Context(), shop().Environment, -1)
	require.NoError(t, err)
	asked, answer := make(chan struct{}), make(chan struct{})
	var first sync.Once
	r.between.functions = func(ctx context.Context, e stepwell.EnvironmentID, known int64) (store.Functions, error) {
		slow := false
		first.Do(func() { slow = true })
		if slow {
			close(asked)
			<-answer
			return old, nil
		}
		return r.Functions(ctx, e, known)
	}
	r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
		if requests[0].Events[0].Event.Name == "slow" {
			return nil, stepwell.ErrUnavailable
		}
		return r.Ingest(ctx, requests)
	}
	done := make(chan error, 1)
	go func() { done <- r.publish(event("slow")) }() // awaited below
	<-asked
	r.sync(on("charge", "a"), on("mail", "a"))
	require.Equal(t, []string{"charge", "mail"}, r.starts(event("a")))
	close(answer)
	require.ErrorIs(t, <-done, stepwell.ErrUnavailable)
	before := r.between.ingests.Load()
	require.Equal(t, []string{"charge", "mail"}, r.starts(event("a")))
	require.Equal(t, before+1, r.between.ingests.Load(), "the newer one was kept")
}

// TestManyPublishersWhileFunctionsChange: every event that is taken is decided by functions that are there. No publisher
// can meet so many changes that it gives up.
func TestManyPublishersWhileFunctionsChange(t *testing.T) {
	t.Parallel()
	const publishers, each, changes = 4, 50, 9
	r := newRig(t, on("charge", "a"))
	published := make(chan error)
	for range publishers {
		go func() { // awaited below
			for range each {
				published <- r.publish(event("a"))
			}
		}()
	}
	for i := range publishers * each {
		require.NoError(t, <-published)
		if i%(publishers*each/changes) == 0 && i/(publishers*each/changes) < changes {
			r.sync(on("charge", "a", fmt.Sprintf("b%d", i)))
		}
	}
	require.Equal(t, queue.Stats{Ready: publishers * each}, r.stats())
}

func TestRunnerNeedsItsDependencies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := runner.Deps{State: r.Store, Queue: r.Queue, Log: slog.New(slog.DiscardHandler)}
	_, err := runner.New(runner.DefaultConfig(), all)
	require.NoError(t, err)
	for _, without := range []func(*runner.Deps){
		func(d *runner.Deps) { d.State = nil }, func(d *runner.Deps) { d.Queue = nil }, func(d *runner.Deps) { d.Log = nil },
	} {
		deps := all
		without(&deps)
		_, err := runner.New(runner.DefaultConfig(), deps)
		require.EqualError(t, err, "runner: state, queue and log are needed")
	}
}
