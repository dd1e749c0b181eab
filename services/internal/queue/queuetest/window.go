package queuetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// refill marks all shards as rebuilt, of which windows are not known, and returns their locks.
func (f *fixture) refill(limitedFrom time.Time) []queue.Lock {
	f.t.Helper()
	var locks []queue.Lock
	for shard := range f.ShardCount() {
		require.True(f.t, f.tryLock(feeder(shard, "refill"), time.Minute))
		require.NoError(f.t, f.MarkRebuilt(f.ctx, feeder(shard, "refill"), limitedFrom))
		locks = append(locks, feeder(shard, "refill"))
	}
	return locks
}

// startOf is the begin of an item's run.
func startOf(item stepwell.Item, at time.Time) stepwell.ThrottleStart {
	return stepwell.NewThrottleStart(item.Function, item.Run, item.Limits, at)
}

// testWindowsAreLearnt: a throttle counts what began before a loss, and leases nothing until it knows what did.
func testWindowsAreLearnt(t *testing.T, f *fixture) {
	require.Empty(t, f.lost(at(0)).Windows, "what is lost is to be rebuilt first")
	f.limit("a", 1, throttled(2, 10))
	f.limit("b", 1, whole(1))
	locks := f.refill(at(0))
	first, second := newLimited("a", 1, at(-2), "", throttled(2, 10)), newLimited("a", 2, at(-1), "", throttled(2, 10))
	other, before := newLimited("b", 1, at(0), "", whole(1)), newLimited("a", 3, at(-3), "", throttled(2, 10))
	f.enqueue(at(0), first, second, other)
	require.Equal(t, []stepwell.ItemID{other.ID}, ids(f.lease(at(0), 10)))
	waiting, err := f.Waiting(f.ctx, at(0), []stepwell.Item{first})
	require.NoError(t, err)
	require.Equal(t, stepwell.WhyUnknown, waiting[first.ID].Why)
	require.Len(t, f.lost(at(0)).Windows, len(locks))
	for _, lock := range locks {
		if lock.Shard == f.ShardOf(before) {
			for range 2 {
				require.NoError(t, f.AddStarts(f.ctx, lock, []stepwell.ThrottleStart{startOf(before, at(-3))}))
			}
		}
		require.NoError(t, f.MarkWindows(f.ctx, lock))
	}
	require.Empty(t, f.lost(at(0)).Windows)
	require.Equal(t, first.ID, f.leaseOne(at(0)).Item.ID)
	require.Empty(t, f.lease(at(7).Add(-time.Microsecond), 10))
	require.Equal(t, second.ID, f.leaseOne(at(7)).Item.ID)

	f.refill(at(20))
	require.Empty(t, f.lost(at(19)).Windows, "runs may begin that are not known")
	require.Len(t, f.lost(at(20)).Windows, len(locks), "it was lost again")
}

// testStartsAreAddedOnce: what was leased since a loss counts from then on.
func testStartsAreAddedOnce(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, throttled(1, 10))
	first, second := newLimited("a", 1, at(0), "", throttled(1, 10)), newLimited("a", 2, at(1), "", throttled(1, 10))
	f.enqueue(at(1), first, second)
	require.Equal(t, first.ID, f.leaseOne(at(4)).Item.ID)
	require.NoError(t, f.AddStarts(f.ctx, feeder(f.ShardOf(first), "rebuild"), []stepwell.ThrottleStart{startOf(first, at(0))}))
	require.Empty(t, f.lease(at(13), 10))
	require.Equal(t, second.ID, f.leaseOne(at(14)).Item.ID)
}

// testOnlyTheLockAddsStarts, as for rebuilding.
func testOnlyTheLockAddsStarts(t *testing.T, f *fixture) {
	lock := f.refill(at(0))[0]
	require.NoError(t, f.Unlock(f.ctx, lock))
	item := newLimited("a", 1, at(0), "", throttled(1, 10))
	require.ErrorIs(t, f.AddStarts(f.ctx, lock, []stepwell.ThrottleStart{startOf(item, at(0))}), stepwell.ErrLeaseLost)
	require.ErrorIs(t, f.MarkWindows(f.ctx, lock), stepwell.ErrLeaseLost)
	require.Len(t, f.lost(at(0)).Windows, f.ShardCount())
}
