package queuetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func testAckTakesOutAndEnqueues(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	lease := f.leaseOne(at(0))
	next := []stepwell.Item{newItem("a", 2, at(0)), newItem("a", 3, at(100))}
	acked, err := f.Ack(f.ctx, queue.AckRequest{Now: at(1), Lease: lease, Next: next})
	require.NoError(t, err)
	require.Nil(t, acked.Held)
	require.Equal(t, queue.Stats{Ready: 1, Delayed: 1, OldestDueAt: at(0)}, f.stats(at(1)))
	_, err = f.Ack(f.ctx, queue.AckRequest{Now: at(1), Lease: lease, Next: next})
	require.NoError(t, err, "acking again is harmless")
	require.Equal(t, queue.Stats{Ready: 1, Delayed: 1, OldestDueAt: at(0)}, f.stats(at(1)))
}

func testAckAfterLossTakesOut(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	first := f.leaseOne(at(0))
	second := f.leaseOne(at(60))
	// The store accepted the first holder's settlement, so nobody needs the item any more.
	_, err := f.Ack(f.ctx, queue.AckRequest{Now: at(61), Lease: first})
	require.NoError(t, err)
	require.Equal(t, queue.Stats{}, f.stats(at(61)))
	lost, err := f.Extend(f.ctx, []queue.Lease{second}, at(61), at(121))
	require.NoError(t, err)
	require.Len(t, lost, 1)
}

func testAckHoldsOneThatIsDue(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	lease := f.leaseOne(at(0))
	later, next, other := newItem("a", 2, at(100)), newItem("a", 3, at(1)), newItem("a", 4, at(1))
	request := queue.AckRequest{
		Now: at(1), Lease: lease, Next: []stepwell.Item{later, next, other}, Hold: true, HoldUntil: at(61),
	}
	acked, err := f.Ack(f.ctx, request)
	require.NoError(t, err)
	require.NotNil(t, acked.Held)
	require.Equal(t, next.ID, acked.Held.Item.ID)
	require.Equal(t, 1, acked.Held.Generation)
	require.Equal(t, at(61), acked.Held.ExpiresAt.UTC())
	require.Equal(t, queue.Stats{Ready: 1, Delayed: 1, Leased: 1, OldestDueAt: at(1)}, f.stats(at(1)))

	require.Equal(t, []stepwell.ItemID{other.ID}, ids(f.lease(at(2), 5)))
	require.Equal(t, next.ID, f.leaseOne(at(61)).Item.ID, "a crash returns it to others")

	request.Lease, request.Next = *acked.Held, []stepwell.Item{later}
	acked, err = f.Ack(f.ctx, request)
	require.NoError(t, err)
	require.Nil(t, acked.Held, "it is not due")
}

// testAckEnqueuesForOtherRuns: a run that ends may wake its parent, which is of another function and another shard.
func testAckEnqueuesForOtherRuns(t *testing.T, f *fixture) {
	for n := range 20 {
		f.enqueue(at(0), newItem("child", n, at(0)))
	}
	opened := map[stepwell.ItemID]bool{}
	for n, lease := range f.lease(at(0), 20) {
		own := stepwell.NewDiscovery(stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function}, 2, at(0))
		next := []stepwell.Item{newItem("parent", 2*n, at(100)), newItem("parent", 2*n+1, at(0)), own}
		acked, err := f.Ack(f.ctx, queue.AckRequest{Now: at(1), Lease: lease, Next: next, Hold: true, HoldUntil: at(61)})
		require.NoError(t, err)
		require.NotNil(t, acked.Held)
		require.Equal(t, next[1], acked.Held.Item, "the first that is due, of whatever run")
		opened[own.ID] = true
	}
	require.Equal(t, queue.Stats{Ready: 20, Delayed: 20, Leased: 20, OldestDueAt: at(0)}, f.stats(at(1)))
	for _, lease := range f.lease(at(1), 100) {
		require.True(t, opened[lease.Item.ID])
		delete(opened, lease.Item.ID)
	}
	require.Empty(t, opened)
}

// testConcurrentAcksKeepApart: a driver may do the work of many calls at once, but each gets what is its own.
func testConcurrentAcksKeepApart(t *testing.T, f *fixture) {
	const count = 200
	f.enqueue(at(0), newItems("a", count, at(-1))...)
	var wg sync.WaitGroup
	for n, lease := range f.lease(at(0), count) {
		wg.Go(func() {
			run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function}
			request := queue.AckRequest{Now: at(1), Lease: lease, Hold: n%2 == 0, HoldUntil: at(61)}
			request.Next = []stepwell.Item{stepwell.NewDiscovery(run, 2, at(0)), stepwell.NewDiscovery(run, 3, at(0))}
			acked, err := f.Ack(f.ctx, request)
			switch {
			case err != nil:
				t.Error(err)
			case (acked.Held != nil) != request.Hold:
				t.Errorf("held %v, asked %v", acked.Held, request.Hold)
			case request.Hold && acked.Held.Item.ID != request.Next[0].ID:
				t.Errorf("%s held for %s", acked.Held.Item.ID, request.Next[0].ID)
			}
		})
	}
	wg.Wait()
	require.Equal(t, queue.Stats{Ready: count * 3 / 2, Leased: count / 2, OldestDueAt: at(0)}, f.stats(at(1)))
}

func testReleaseWithDelay(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	require.NoError(t, f.Release(f.ctx, f.leaseOne(at(0)), at(1), at(30)))
	require.Empty(t, f.lease(at(29), 1))
	require.Equal(t, 2, f.leaseOne(at(30)).Generation)
}

func testBuriedIsDeadUntilRedriven(t *testing.T, f *fixture) {
	items := newItems("a", 2, at(-1))
	f.enqueue(at(0), items...)
	leases := f.lease(at(0), 2)
	require.NoError(t, f.Bury(f.ctx, leases[0], at(1), "first reason"))
	require.NoError(t, f.Bury(f.ctx, leases[1], at(2), "second reason"))
	require.Empty(t, f.lease(at(1000), 2))

	dead, err := f.Dead(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, dead, 2)
	require.Equal(t, "second reason", dead[0].Reason, "the latest first")
	require.Equal(t, at(2), dead[0].At.UTC())
	require.Equal(t, leases[1].Item.ID, dead[0].Item.ID)
	dead, err = f.Dead(f.ctx, 1)
	require.NoError(t, err)
	require.Len(t, dead, 1)

	require.NoError(t, f.Redrive(f.ctx, at(2000), items[0].ID))
	require.ErrorIs(t, f.Redrive(f.ctx, at(2000), items[0].ID), stepwell.ErrNotFound)
	again := f.leaseOne(at(2000))
	require.Equal(t, items[0].ID, again.Item.ID)
	require.Equal(t, 2, again.Generation)
	require.Equal(t, queue.Stats{Leased: 1, Dead: 1}, f.stats(at(2000)))
}

func testRemoveTakesOutInAnyState(t *testing.T, f *fixture) {
	ready, delayed := newItem("a", 1, at(0)), newItem("a", 2, at(100))
	leased, dead := newItem("b", 1, at(0)), newItem("c", 1, at(0))
	f.enqueue(at(0), leased)
	f.leaseOne(at(0))
	f.enqueue(at(0), dead)
	require.NoError(t, f.Bury(f.ctx, f.leaseOne(at(0)), at(0), "poison"))
	f.enqueue(at(0), ready, delayed)
	require.Equal(t, queue.Stats{Ready: 1, Delayed: 1, Leased: 1, Dead: 1, OldestDueAt: at(0)}, f.stats(at(0)))

	all := []stepwell.ItemID{ready.ID, delayed.ID, leased.ID, dead.ID, "unknown"}
	require.NoError(t, f.Remove(f.ctx, all))
	require.Equal(t, queue.Stats{}, f.stats(at(0)))
	require.Empty(t, f.lease(at(1000), 5))
}

// patience bounds the tests that block in real time; they normally return at once.
const patience = 30 * time.Second

func testWaitReturnsWhenEnqueued(t *testing.T, f *fixture) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	// No item is missed between a Lease that came back empty and Wait, however they interleave.
	for n := range 50 {
		require.Empty(t, f.lease(time.Now(), 1))
		enqueued := make(chan error, 1)
		go func() { enqueued <- f.Enqueue(ctx, time.Now(), []stepwell.Item{newItem("a", n, time.Now())}) }()
		var leases []queue.Lease
		for len(leases) == 0 {
			require.NoError(t, f.Wait(ctx, time.Time{}))
			leases = f.lease(time.Now(), 1)
		}
		require.NoError(t, <-enqueued)
		_, err := f.Ack(ctx, queue.AckRequest{Now: time.Now(), Lease: leases[0]})
		require.NoError(t, err)
	}
}

func testWaitReturnsWhenDue(t *testing.T, f *fixture) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	f.enqueue(time.Now(), newItem("late", 1, time.Now().Add(time.Hour)))
	for len(f.lease(time.Now(), 1)) == 0 {
		// An item that becomes due earlier shortens a wait that is under way.
		enqueued := make(chan error, 1)
		due := time.Now().Add(10 * time.Millisecond)
		go func() { enqueued <- f.Enqueue(ctx, time.Now(), []stepwell.Item{newItem("soon", 1, due)}) }()
		require.NoError(t, f.Wait(ctx, time.Now().Add(time.Hour)))
		require.NoError(t, <-enqueued)
	}
}

func testWaitReturnsAtOnceWhenReady(t *testing.T, f *fixture) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	f.enqueue(time.Now(), newItem("a", 1, time.Now()))
	require.NoError(t, f.Wait(ctx, time.Time{}))
}

func testWaitEndsWithItsContext(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() { done <- f.Wait(ctx, time.Time{}) }()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}
