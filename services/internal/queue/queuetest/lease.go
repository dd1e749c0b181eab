package queuetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func testEnqueueTwiceIsOnce(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(0))
	f.enqueue(at(0), item, item)
	f.enqueue(at(0), item)
	require.Equal(t, queue.Stats{Ready: 1, OldestDueAt: item.DueAt}, f.stats(at(0)))
}

func testLeasedAndDeadAreNotEnqueued(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(0))
	f.enqueue(at(0), item)
	lease := f.leaseOne(at(0))
	f.enqueue(at(0), item)
	require.Empty(t, f.lease(at(0), 1))
	require.NoError(t, f.Bury(f.ctx, lease, at(0), "poison"))
	f.enqueue(at(0), item)
	require.Equal(t, queue.Stats{Dead: 1}, f.stats(at(0)))
}

func testLeasedIsNotLeasedAgain(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(0))
	f.enqueue(at(0), item)
	lease := f.leaseOne(at(0))
	require.Equal(t, item.ID, lease.Item.ID)
	require.Equal(t, item.Function, lease.Item.Function)
	require.Equal(t, 1, lease.Generation)
	require.Equal(t, at(60), lease.ExpiresAt.UTC())
	require.Empty(t, f.lease(at(59), 1))
}

func testConcurrentLeasesShareNothing(t *testing.T, f *fixture) {
	f.enqueue(at(100), newItems("a", 500, at(0))...)
	var mu sync.Mutex
	seen := map[stepwell.ItemID]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: at(100), Max: 7, Until: at(160)})
				if err != nil || len(leased.Leases) == 0 {
					return
				}
				mu.Lock()
				for _, lease := range leased.Leases {
					seen[lease.Item.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 500)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

func testExpiredIsLeasedAgain(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	first := f.leaseOne(at(0))
	leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: at(1), Max: 1, Until: at(61)})
	require.NoError(t, err)
	require.Equal(t, at(60), leased.NextAt.UTC(), "when the lease expires")
	second := f.leaseOne(at(60))
	require.Equal(t, first.Item.ID, second.Item.ID)
	require.Equal(t, 2, second.Generation)
}

func testGenerationGoesOn(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(0))
	item.Generation = 3 // claimed in the store, then the queue was lost and the item put back
	f.enqueue(at(0), item)
	require.Equal(t, 4, f.leaseOne(at(0)).Generation)
}

func testExtendedIsKept(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	lease := f.leaseOne(at(0))
	lost, err := f.Extend(f.ctx, []queue.Lease{lease}, at(50), at(110))
	require.NoError(t, err)
	require.Empty(t, lost)
	require.Empty(t, f.lease(at(109), 1))
	require.Equal(t, 2, f.leaseOne(at(110)).Generation)
}

func testLostLeaseIsReported(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItems("a", 2, at(-1))...)
	leases := f.lease(at(0), 2)
	require.Len(t, leases, 2)
	_, err := f.Ack(f.ctx, queue.AckRequest{Now: at(1), Lease: leases[1]})
	require.NoError(t, err)
	f.leaseOne(at(60))
	lost, err := f.Extend(f.ctx, leases, at(61), at(121))
	require.NoError(t, err)
	require.Equal(t, ids(leases), ids(lost), "one is with somebody else, one is gone")

	// The old holder cannot touch what the new one holds.
	require.NoError(t, f.Release(f.ctx, leases[0], at(61), at(61)))
	require.NoError(t, f.Bury(f.ctx, leases[0], at(61), "late"))
	require.Equal(t, queue.Stats{Leased: 1}, f.stats(at(61)))
}

// testLeaseReturnsTheItem: a driver that keeps less than the item puts it together again.
func testLeaseReturnsTheItem(t *testing.T, f *fixture) {
	id := stepwell.NewFunctionID(stepwell.AppID{}, "a")
	run := stepwell.Run{ID: stepwell.NewRunID(epoch(), id, "run"), Function: id, Priority: -time.Second}
	limited := run
	limited.ID = stepwell.NewRunID(epoch(), id, "limited")
	limited.Limits = []stepwell.LimitKey{
		{LimitName: stepwell.LimitName{Key: "k"}, Value: "any; \"text\"/cf=\n\x00\xff\u2028"}, {Value: "b"},
	}
	f.rebuild(at(0))
	f.limit("a", 1)
	race := stepwell.NewStepItem(run, stepwell.ItemStep, "any; step\x00.\xff", at(0))
	race.Race = true
	items := []stepwell.Item{
		stepwell.NewDiscovery(run, 3, at(0)).Next(at(0)), race, stepwell.NewDiscovery(limited, 1, at(0).Add(time.Microsecond)),
		stepwell.NewStepItem(run, stepwell.ItemSleep, "z", at(1)), stepwell.NewStepItem(limited, stepwell.ItemTimeout, "t", at(1)),
	}
	f.enqueue(at(0), items...)
	for round := range 2 { // also what was leased and expired
		leases := f.lease(at(1+60*round), 10)
		require.Len(t, leases, len(items))
		for _, lease := range leases {
			want := items[slices.IndexFunc(items, func(i stepwell.Item) bool { return i.ID == lease.Item.ID })]
			lease.Item.DueAt = lease.Item.DueAt.UTC()
			require.Equal(t, want, lease.Item)
		}
	}
	for _, lease := range f.lease(at(121), 10) {
		require.NoError(t, f.Bury(f.ctx, lease, at(121), "poison"))
	}
	dead, err := f.Dead(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, dead, len(items))
	for _, d := range dead {
		want := items[slices.IndexFunc(items, func(i stepwell.Item) bool { return i.ID == d.Item.ID })]
		d.Item.DueAt = d.Item.DueAt.UTC()
		require.Equal(t, want, d.Item)
		require.NoError(t, f.Redrive(f.ctx, at(122), d.Item.ID))
	}
	require.Len(t, f.lease(at(122), 10), len(items))
}

// testInstantsAreMicroseconds: what is due at the instant at which it was opened is due at once, but nothing is early.
func testInstantsAreMicroseconds(t *testing.T, f *fixture) {
	now := at(0).Add(1234*time.Microsecond + 567*time.Nanosecond)
	f.enqueue(now, newItem("a", 1, now))
	f.leaseOne(now)
	f.enqueue(now, newItem("a", 2, now.Add(time.Microsecond)))
	require.Empty(t, f.lease(now, 1))
	leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: now, Max: 1, Until: at(60)})
	require.NoError(t, err)
	require.WithinDuration(t, now.Add(time.Microsecond), leased.NextAt, time.Microsecond-1)
	f.leaseOne(now.Add(time.Microsecond))
}

func testNotLeasedBeforeDue(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(10)))
	leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: at(9), Max: 1, Until: at(69)})
	require.NoError(t, err)
	require.Empty(t, leased.Leases)
	require.Equal(t, at(10), leased.NextAt.UTC())
	require.Equal(t, queue.Stats{Delayed: 1}, f.stats(at(9)))
	f.leaseOne(at(10))
}

func testFloodDoesNotDelayAnotherLane(t *testing.T, f *fixture) {
	flood := newItems("flood", 10_000, at(0))
	quiet := newItem("quiet", 1, at(20))
	f.enqueue(at(20), flood...)
	f.enqueue(at(20), quiet)
	for n := 0; ; n++ {
		require.LessOrEqual(t, n, 2*queue.Quantum, "items leased before the other lane's first")
		if f.leaseOne(at(20)).Item.ID == quiet.ID {
			return
		}
	}
}

// testManyLanesHaveTheirTurns: no lane has a second turn before all others of its shard had their first.
func testManyLanesHaveTheirTurns(t *testing.T, f *fixture) {
	const lanes, each = 40, 3 * queue.Quantum
	var items []stepwell.Item
	waiting := map[int]int{} // by shard, the lanes that had no turn yet
	for n := range lanes {
		steps := newSteps(fmt.Sprint("lane", n), each, at(0))
		items = append(items, steps...)
		waiting[f.ShardOf(steps[0])]++
	}
	f.enqueue(at(1), items...)
	given := map[stepwell.RunID]int{}
	for leased := 0; leased < len(items); {
		leases := f.lease(at(1), 7)
		require.NotEmpty(t, leases)
		leased += len(leases)
		for _, lease := range leases {
			if given[lease.Item.Run]++; given[lease.Item.Run] == 1 {
				waiting[f.ShardOf(lease.Item)]--
			}
			if given[lease.Item.Run] > queue.Quantum {
				require.Zero(t, waiting[f.ShardOf(lease.Item)])
			}
		}
	}
}

// testManyBecomeDueAtOnce: however few move at a time.
func testManyBecomeDueAtOnce(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItems("a", 2000, at(10))...)
	require.Empty(t, f.lease(at(9), queue.ItemsMax))
	require.Len(t, f.lease(at(12), queue.ItemsMax), queue.ItemsMax)
	require.Len(t, f.lease(at(12), queue.ItemsMax), 2000-queue.ItemsMax)
	require.Empty(t, f.lease(at(12), queue.ItemsMax))
	require.Equal(t, queue.Stats{Leased: 2000}, f.stats(at(12)))
	// And expire at once.
	require.Len(t, f.lease(at(72), queue.ItemsMax), queue.ItemsMax)
	require.Equal(t, 2000-queue.ItemsMax, f.stats(at(72)).Ready)
}

func testLaneIsOrderedByDueTime(t *testing.T, f *fixture) {
	items := newSteps("a", 5, at(0))
	mixed := []stepwell.Item{items[3], items[0], items[4], items[1], items[2]}
	f.enqueue(at(1), mixed...)
	for _, want := range items {
		require.Equal(t, want.ID, f.leaseOne(at(1)).Item.ID)
	}
}

func testPriorityGoesFirst(t *testing.T, f *fixture) {
	steps := newSteps("a", 3, at(0))
	normal, urgent, low := steps[0], steps[1], steps[2]
	urgent.DueAt, urgent.Priority = at(5), 10*time.Second
	low.DueAt, low.Priority = at(-5), -10*time.Second
	f.enqueue(at(5), low, normal, urgent)
	require.Equal(t, []stepwell.ItemID{urgent.ID, normal.ID, low.ID}, ids(f.lease(at(5), 3)))
}

func testPriorityDoesNotMakeDue(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(5))
	item.Priority = time.Hour
	f.enqueue(at(0), item)
	require.Empty(t, f.lease(at(4), 1))
}

func testExpiredTooOftenIsDead(t *testing.T, f *fixture) {
	item := newItem("a", 1, at(0))
	other := newItem("b", 1, at(0))
	f.enqueue(at(0), item)
	for n := range queue.LeasesMax {
		require.Equal(t, n+1, f.leaseOne(at(60*n)).Generation)
	}
	f.enqueue(at(60*queue.LeasesMax), other)
	require.Equal(t, other.ID, f.leaseOne(at(60*queue.LeasesMax)).Item.ID)
	dead, err := f.Dead(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	require.Equal(t, item.ID, dead[0].Item.ID)
	require.NotEmpty(t, dead[0].Reason)
}

func testReleaseDoesNotCount(t *testing.T, f *fixture) {
	f.enqueue(at(0), newItem("a", 1, at(0)))
	for n := range 3 * queue.LeasesMax {
		lease := f.leaseOne(at(n))
		require.Equal(t, n+1, lease.Generation)
		require.NoError(t, f.Release(f.ctx, lease, at(n), at(n+1)))
	}
	require.Equal(t, 1, f.stats(at(100)).Ready)
}

func testLeaseIsBounded(t *testing.T, f *fixture) {
	f.enqueue(at(1), slices.Concat(newItems("a", 20, at(0)), newItems("b", 20, at(0)))...)
	require.Len(t, f.lease(at(1), 15), 15)
	require.Len(t, f.lease(at(1), 100), 25)
}
