package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
)

// pages is how many pages of items backlog publishes.
const pages = 4

// backlog is a rig with runs whose items are some pages.
func backlog(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, on("charge", "a"))
	var many []stepwell.Event
	for range pages * store.PageMax {
		many = append(many, event("a"))
	}
	require.NoError(t, r.publish(many...))
	return r
}

// rebuilder is another runner, which finds its queue lost. Its store takes 10 s for a page.
func (r *rig) rebuilder(lost runner.Queue) *rig {
	r.t.Helper()
	slow := &state{State: r.Store}
	slow.dueItems = func(ctx context.Context, query store.DueQuery) ([]stepwell.Item, string, error) {
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
		return r.DueItems(ctx, query)
	}
	config := runner.DefaultConfig()
	// The reconciler would put the same items back.
	config.ReconcileEvery = time.Hour
	service, err := runner.New(config, runner.Deps{State: slow, Queue: lost, Log: r.logger()})
	require.NoError(r.t, err)
	return &rig{Store: r.Store, t: r.t, service: service}
}

func lostShards(t *testing.T, q runner.Queue) []int {
	t.Helper()
	lost, err := q.Lost(t.Context(), time.Now())
	require.NoError(t, err)
	return lost.Items
}

func TestI7_SlowRebuildKeepsItsLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := backlog(t)
		q := memqueue.New()
		defer r.rebuilder(q).run()()
		<-time.After(time.Second)
		other := queue.Lock{Name: "rebuild", Owner: "test"}
		for len(lostShards(t, q)) > 0 {
			taken, err := q.TryLock(t.Context(), other, time.Second)
			require.NoError(t, err)
			require.False(t, taken, "it takes longer than a lock lasts, and stays locked")
			<-time.After(time.Second)
		}
		stats, err := q.Stats(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, pages*store.PageMax, stats.Ready)
	})
}

// thief takes the rebuilder's lock away while it works on its n-th page.
type thief struct {
	*memqueue.Queue
	page, n  int
	enqueued atomic.Int64
}

func (q *thief) Enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error {
	q.enqueued.Add(int64(len(items)))
	return q.Queue.Enqueue(ctx, now, items)
}

func (q *thief) Prolong(ctx context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	if q.page++; q.page == q.n {
		if err := q.Unlock(ctx, lock); err != nil {
			return false, err
		}
		if _, err := q.TryLock(ctx, queue.Lock{Name: lock.Name, Owner: "thief"}, time.Minute); err != nil {
			return false, err
		}
	}
	return q.Queue.Prolong(ctx, lock, lasts)
}

func TestI7_RebuildIsGivenUpWithItsLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := backlog(t)
		q := &thief{Queue: memqueue.New(), n: 2}
		defer r.rebuilder(q).run()()
		<-time.After(50 * time.Second)
		synctest.Wait()
		require.EqualValues(t, store.PageMax, q.enqueued.Load(), "nothing after the lock was lost")
		require.NotEmpty(t, lostShards(t, q), "and it is not marked as rebuilt")
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Empty(t, lostShards(t, q), "it begins anew when the other gives up")
		require.EqualValues(t, (1+pages)*store.PageMax, q.enqueued.Load())
		require.Contains(t, r.log.String(), `duty="rebuild the queue"`)
	})
}

// A lease that the queue lost may still have a holder, who knows nothing of that. Whoever gets the item next must claim
// it, which only the first lease does not, and not under the number of another lease that was lost.
func TestI12_LeasesOfLostItemsAreNotTheirFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		require.NoError(t, r.publish(event("a")))
		generations := map[int]bool{}
		for range 3 {
			q := memqueue.New() // what was in the one before is lost
			stop := r.rebuilder(q).run()
			<-time.After(time.Minute)
			stop()
			got, err := q.Lease(t.Context(), queue.LeaseRequest{
				Now: time.Now(), Max: 1, Until: time.Now().Add(time.Minute),
			})
			require.NoError(t, err)
			require.Len(t, got.Leases, 1)
			require.Greater(t, got.Leases[0].Generation, 1)
			generations[got.Leases[0].Generation] = true
		}
		require.Len(t, generations, 3)
	})
}

// TestBacklogIsLookedAtNowAndThen: what waits for long is in the queue, and is put back in full only once.
func TestBacklogIsLookedAtNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := backlog(t)
		<-time.After(10 * time.Minute)
		q := &thief{Queue: memqueue.New()} // steals nothing, and counts
		lock := queue.Lock{Name: "rebuild", Owner: "test"}
		taken, err := q.TryLock(t.Context(), lock, time.Second)
		require.NoError(t, err)
		require.True(t, taken)
		require.NoError(t, q.MarkRebuilt(t.Context(), lock, time.Now()))
		service, err := runner.New(runner.DefaultConfig(), runner.Deps{State: r.Store, Queue: q, Log: r.logger()})
		require.NoError(t, err)
		defer (&rig{Store: r.Store, t: t, service: service}).run()()
		every := runner.DefaultConfig().ReconcileEvery
		<-time.After(every / 2)
		synctest.Wait()
		require.EqualValues(t, pages*store.PageMax, q.enqueued.Load())
		for n := 1; n < 4; n++ {
			<-time.After(every)
			synctest.Wait()
			require.EqualValues(t, (pages+2*n)*store.PageMax, q.enqueued.Load())
		}
	})
}
