package runner_test

import (
	"context"
	"strings"
	"sync/atomic"
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

// run runs the runner's duties until the function that it returns is called.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- r.service.Run(ctx) }() // awaited by stop
	return func() {
		cancel()
		require.NoError(r.t, <-stopped)
	}
}

// broken is a queue that takes nothing while it is down.
type broken struct {
	runner.Queue
	down atomic.Bool
}

func (b *broken) Enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error {
	if b.down.Load() {
		return stepwell.ErrUnavailable
	}
	return b.Queue.Enqueue(ctx, now, items)
}

func (b *broken) TryLock(ctx context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	if b.down.Load() {
		return false, stepwell.ErrUnavailable
	}
	return b.Queue.TryLock(ctx, lock, lasts)
}

// unrouted stores events as the event-api does when no runner answers.
func (r *rig) unrouted(events ...stepwell.Event) {
	r.t.Helper()
	request := store.Ingest{Environment: events[0].Environment, Unrouted: true, Now: time.Now()}
	for _, e := range events {
		request.Events = append(request.Events, store.IngestEvent{Event: e})
	}
	results, err := r.Ingest(r.t.Context(), []store.Ingest{request})
	require.NoError(r.t, err)
	require.NoError(r.t, results[0].Err)
}

func TestI2_UnroutedEventIsRouted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		early, quiet, late := event("a"), event("quiet"), event("a")
		elsewhere := event("a")
		elsewhere.Environment = stepwell.EnvironmentID{UUID: on("x").ID.UUID}
		r.unrouted(early, quiet)
		r.unrouted(elsewhere)
		require.Empty(t, r.started(early))
		defer r.run()()
		synctest.Wait()
		require.Equal(t, []string{"charge"}, r.started(early), "at once when a runner starts")
		r.unrouted(late)
		<-time.After(runner.DefaultConfig().RouteEvery)
		synctest.Wait()
		require.Equal(t, []string{"charge"}, r.started(late))
		require.Equal(t, queue.Stats{Ready: 2}, r.stats())
		left, err := r.UnroutedEvents(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, left)
		require.Contains(t, r.log.String(), "event_count=3")
	})
}

// inParts is a state service that finds one unrouted event at a time.
type inParts struct{ runner.State }

func (p inParts) UnroutedEvents(ctx context.Context, _ int) ([]stepwell.Event, error) {
	return p.State.UnroutedEvents(ctx, 1)
}

func TestI2_UnroutedEventsThatComeInPartsAreAllRoutedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		r.between.State = inParts{r.Store}
		events := []stepwell.Event{event("a"), event("a"), event("a")}
		r.unrouted(events...)
		defer r.run()()
		synctest.Wait()
		for _, e := range events {
			require.Equal(t, []string{"charge"}, r.started(e))
		}
	})
}

func TestI7_ItemThatIsMissingIsPutBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		defer r.run()()
		synctest.Wait()
		e := event("a")
		require.NoError(t, r.publish(e))
		leased := r.lease()
		require.Len(t, leased, 1)
		require.NoError(t, r.Remove(t.Context(), []stepwell.ItemID{leased[0].Item.ID}))
		require.Equal(t, queue.Stats{}, r.stats())
		<-time.After(30 * time.Second)
		require.Equal(t, queue.Stats{Ready: 1}, r.stats())
		leased = r.lease()
		<-time.After(15 * time.Second)
		require.Equal(t, queue.Stats{Leased: 1}, r.stats(), "what is there is left as it is")
		require.Len(t, leased, 1)
	})
}

func (r *rig) lease() []queue.Lease {
	r.t.Helper()
	now := time.Now()
	leased, err := r.Lease(r.t.Context(), queue.LeaseRequest{Now: now, Max: 10, Until: now.Add(time.Hour)})
	require.NoError(r.t, err)
	return leased.Leases
}

func TestI7_ManyItemsThatAreMissingArePutBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 3*store.PageMax + 10
		r := newRig(t, on("charge", "a"))
		var many []stepwell.Event
		for range events {
			many = append(many, event("a"))
		}
		require.NoError(t, r.publish(many...))
		var ids []stepwell.ItemID
		for page := (store.DueQuery{Before: time.Now().Add(time.Hour), Limit: store.PageMax}); ; {
			items, next, err := r.DueItems(t.Context(), page)
			require.NoError(t, err)
			for _, item := range items {
				ids = append(ids, item.ID)
			}
			if page.Cursor = next; next == "" {
				break
			}
		}
		require.NoError(t, r.Remove(t.Context(), ids))
		defer r.run()()
		synctest.Wait()
		require.Equal(t, queue.Stats{Ready: events}, r.stats(), "a new queue is filled at once")
		require.Contains(t, r.log.String(), "item_count=3010")
		require.NoError(t, r.Remove(t.Context(), ids))
		<-time.After(30 * time.Second)
		require.Equal(t, queue.Stats{Ready: events}, r.stats())
	})
}

func TestI8_ParkedItemIsInTheQueueBeforeItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		defer r.run()()
		e := event("a")
		e.Time = e.Time.Add(24 * time.Hour)
		require.NoError(t, r.publish(e))
		<-time.After(24*time.Hour - stepwell.Horizon - time.Second)
		require.Equal(t, queue.Stats{}, r.stats())
		<-time.After(runner.DefaultConfig().FeedEvery + time.Second)
		synctest.Wait()
		require.Equal(t, queue.Stats{Delayed: 1}, r.stats())
		<-time.After(stepwell.Horizon)
		leased := r.lease()
		require.Len(t, leased, 1)
		require.False(t, leased[0].Item.Parked)
		parked, err := r.ParkedItems(t.Context(), time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.Empty(t, parked)
	})
}

func TestDutiesGoOnWhenTheQueueIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		between := &broken{}
		between.down.Store(true)
		r := newRigWith(t, memstore.DefaultConfig(), between)
		between.Queue = r.Queue
		r.sync(on("charge", "a"))
		defer r.run()()
		e, far := event("a"), event("a")
		far.Time = far.Time.Add(stepwell.Horizon + 5*time.Minute)
		require.NoError(t, r.publish(e))
		require.NoError(t, r.publish(far))
		<-time.After(stepwell.Horizon)
		require.Equal(t, queue.Stats{}, r.stats())
		between.down.Store(false)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, queue.Stats{Ready: 1, Delayed: 1}, r.stats())
		for _, text := range []string{
			`"a duty fails, trying again" duty="rebuild the queue"`,
			`"a duty works again" duty="rebuild the queue"`,
			`"a duty works again" duty="feed the queue"`,
		} {
			require.Equal(t, 1, strings.Count(r.log.String(), text), text)
		}
	})
}

func TestOneRunnerKeepsTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		stop := r.run()
		synctest.Wait()
		other, err := runner.New(runner.DefaultConfig(), runner.Deps{State: r.Store, Queue: r.Queue, Log: r.logger()})
		require.NoError(t, err)
		second := &rig{Store: r.Store, Queue: r.Queue, t: t, service: other}
		defer second.run()()
		<-time.After(time.Minute)
		require.NoError(t, r.publish(event("a")))
		taken, err := r.TryLock(t.Context(), queue.Lock{Name: "keeper", Owner: "test"}, time.Second)
		require.NoError(t, err)
		require.False(t, taken)
		stop()
		require.NoError(t, r.Remove(t.Context(), []stepwell.ItemID{r.lease()[0].Item.ID}))
		<-time.After(30 * time.Second)
		require.Equal(t, queue.Stats{Ready: 1}, r.stats(), "the other one goes on at once")
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	config := runner.DefaultConfig()
	require.NoError(t, config.Validate())
	config.FeedEvery, config.RouteEvery = stepwell.Horizon, 0
	err := config.Validate()
	require.ErrorContains(t, err, "feed_every is 10m0s, it must be above 0 and at most 9m59s")
	require.ErrorContains(t, err, "route_every is 0s")
	config = runner.DefaultConfig()
	config.CronCatchUp = 25 * time.Hour
	require.EqualError(t, config.Validate(), "cron_catch_up is 25h0m0s, it must be between 0 and 24h0m0s")
	config.CronCatchUp = 0
	require.NoError(t, config.Validate())
}
