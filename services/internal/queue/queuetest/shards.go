package queuetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// feeder is a lock of a shard.
func feeder(shard int, owner string) queue.Lock {
	return queue.Lock{Shard: shard, Name: "feed", Owner: owner}
}

func (f *fixture) tryLock(lock queue.Lock, lasts time.Duration) bool {
	f.t.Helper()
	taken, err := f.TryLock(f.ctx, lock, lasts)
	require.NoError(f.t, err)
	return taken
}

func (f *fixture) prolong(lock queue.Lock, lasts time.Duration) bool {
	f.t.Helper()
	kept, err := f.Prolong(f.ctx, lock, lasts)
	require.NoError(f.t, err)
	return kept
}

// lost is what shards lost.
func (f *fixture) lost(now time.Time) queue.Lost {
	f.t.Helper()
	lost, err := f.Lost(f.ctx, now)
	require.NoError(f.t, err)
	return lost
}

func testLostUntilRebuilt(t *testing.T, f *fixture) {
	for shard := range f.ShardCount() {
		lost := f.lost(at(0)).Items
		require.Len(t, lost, f.ShardCount()-shard, "a new queue is lost")
		require.Equal(t, shard, lost[0])
		require.True(t, f.tryLock(feeder(shard, "a"), time.Minute))
		require.NoError(t, f.MarkRebuilt(f.ctx, feeder(shard, "a"), at(0)))
	}
	require.Empty(t, f.lost(at(0)).Items)
}

func testOnlyTheLockMarksRebuilt(t *testing.T, f *fixture) {
	require.ErrorIs(t, f.MarkRebuilt(f.ctx, feeder(0, "a"), at(0)), stepwell.ErrLeaseLost, "nobody has it")
	require.True(t, f.tryLock(feeder(0, "b"), time.Minute))
	require.ErrorIs(t, f.MarkRebuilt(f.ctx, feeder(0, "a"), at(0)), stepwell.ErrLeaseLost, "another has it")
	require.NoError(t, f.Unlock(f.ctx, feeder(0, "b")))
	require.ErrorIs(t, f.MarkRebuilt(f.ctx, feeder(0, "b"), at(0)), stepwell.ErrLeaseLost, "it was given up")
	require.Contains(t, f.lost(at(0)).Items, 0)
}

func testLockHasOneOwner(t *testing.T, f *fixture) {
	require.True(t, f.tryLock(feeder(0, "a"), time.Minute))
	require.False(t, f.tryLock(feeder(0, "b"), time.Minute))
	require.True(t, f.tryLock(feeder(0, "a"), time.Minute), "it is prolonged")
	require.True(t, f.tryLock(queue.Lock{Name: "other", Owner: "b"}, time.Minute), "another name is another lock")
	last := f.ShardCount() - 1
	require.Equal(t, last > 0, f.tryLock(feeder(last, "b"), time.Minute), "another shard is, too")
	require.NoError(t, f.Unlock(f.ctx, feeder(0, "b")), "it is not theirs")
	require.False(t, f.tryLock(feeder(0, "b"), time.Minute))
	require.NoError(t, f.Unlock(f.ctx, feeder(0, "a")))
	require.True(t, f.tryLock(feeder(0, "b"), time.Minute))
}

// testLockExpires: it is as real as time is.
func testLockExpires(t *testing.T, f *fixture) {
	require.True(t, f.tryLock(feeder(0, "a"), 50*time.Millisecond))
	require.Eventually(t, func() bool {
		taken, err := f.TryLock(f.ctx, feeder(0, "b"), time.Minute)
		return err == nil && taken
	}, patience, 10*time.Millisecond)
	require.ErrorIs(t, f.MarkRebuilt(f.ctx, feeder(0, "a"), at(0)), stepwell.ErrLeaseLost)
}

// testLockIsProlongedByItsOwner: a lock that was taken for a moment outlasts one that was taken later, for longer.
func testLockIsProlongedByItsOwner(t *testing.T, f *fixture) {
	const moment = 500 * time.Millisecond
	require.True(t, f.tryLock(feeder(0, "a"), moment))
	require.True(t, f.prolong(feeder(0, "a"), time.Minute))
	require.True(t, f.tryLock(queue.Lock{Name: "later", Owner: "a"}, 2*moment))
	require.Eventually(t, func() bool {
		taken, err := f.TryLock(f.ctx, queue.Lock{Name: "later", Owner: "b"}, time.Minute)
		return err == nil && taken
	}, patience, 10*time.Millisecond)
	require.False(t, f.tryLock(feeder(0, "b"), time.Minute))
	require.NoError(t, f.MarkRebuilt(f.ctx, feeder(0, "a"), at(0)))
}

func testLostLockIsNotProlonged(t *testing.T, f *fixture) {
	require.False(t, f.prolong(feeder(0, "a"), time.Minute), "nobody has it")
	require.True(t, f.tryLock(feeder(0, "b"), time.Minute), "and it was not taken by that")
	require.False(t, f.prolong(feeder(0, "a"), time.Minute), "another has it")
	require.True(t, f.prolong(feeder(0, "b"), 50*time.Millisecond), "prolonging may shorten")
	require.Eventually(t, func() bool {
		kept, err := f.Prolong(f.ctx, feeder(0, "b"), 50*time.Millisecond)
		return err == nil && !kept
	}, patience, 100*time.Millisecond, "it expired")
	require.True(t, f.tryLock(feeder(0, "a"), time.Minute))
}

// testStatsAreOfEachShard: what is ready, leased and delayed is counted where it is, and so is since when it is due.
func testStatsAreOfEachShard(t *testing.T, f *fixture) {
	want := make([]queue.Stats, f.ShardCount())
	items := newItems("a", 60, at(-1))
	for _, item := range items {
		shard := &want[f.ShardOf(item)]
		shard.Ready++
		if shard.OldestDueAt.IsZero() {
			shard.OldestDueAt = item.DueAt
		}
	}
	for n := range 20 {
		later := newItem("a", 100+n, at(5))
		want[f.ShardOf(later)].Delayed++
		items = append(items, later)
	}
	f.enqueue(at(0), items...)
	got, err := f.Stats(f.ctx, at(0))
	require.NoError(t, err)
	require.Len(t, got.Shards, len(want))
	for shard := range want {
		requireStats(t, want[shard], got.Shards[shard])
	}

	for _, lease := range f.lease(at(0), 60) {
		shard := &want[f.ShardOf(lease.Item)]
		shard.Ready--
		shard.Leased++
	}
	for shard := range want {
		want[shard].OldestDueAt = time.Time{}
		if want[shard].Delayed > 0 { // due by then
			want[shard].Ready, want[shard].Delayed, want[shard].OldestDueAt = want[shard].Delayed, 0, at(5)
		}
	}
	got, err = f.Stats(f.ctx, at(5))
	require.NoError(t, err)
	for shard := range want {
		requireStats(t, want[shard], got.Shards[shard])
	}
}

// testDepthsAreOfEachFunction: of its items those are counted that are due and not leased.
func testDepthsAreOfEachFunction(t *testing.T, f *fixture) {
	functions := []stepwell.FunctionID{newItem("a", 0, at(0)).Function, newItem("b", 0, at(0)).Function, newItem("c", 0, at(0)).Function}
	require.Empty(t, f.depths(at(0), functions...))
	f.enqueue(at(0), newItems("a", 20, at(0).Add(-time.Second))...)
	f.enqueue(at(0), newItem("b", 1, at(0)), newItem("b", 2, at(5)), newItem("c", 1, at(5)))
	require.Equal(t, map[stepwell.FunctionID]int{functions[0]: 20, functions[1]: 1}, f.depths(at(0), functions...))
	require.Equal(t, map[stepwell.FunctionID]int{functions[1]: 1}, f.depths(at(0), functions[1:]...))
	require.Empty(t, f.depths(at(0)))

	leases := f.lease(at(0), 50)
	require.Len(t, leases, 21)
	require.Empty(t, f.depths(at(0), functions...))
	require.Equal(t, map[stepwell.FunctionID]int{functions[1]: 1, functions[2]: 1}, f.depths(at(5), functions...), "became due")
	require.NoError(t, f.Release(f.ctx, leases[0], at(5), at(6)))
	expired := f.depths(at(60), functions...)
	require.Equal(t, 23, expired[functions[0]]+expired[functions[1]]+expired[functions[2]], "expired, or given back")
	require.NoError(t, f.Remove(f.ctx, ids(leases)))
	require.Equal(t, map[stepwell.FunctionID]int{functions[1]: 1, functions[2]: 1}, f.depths(at(60), functions...))
}

// depths are those of functions.
func (f *fixture) depths(now time.Time, functions ...stepwell.FunctionID) map[stepwell.FunctionID]int {
	f.t.Helper()
	depths, err := f.Depths(f.ctx, now, functions)
	require.NoError(f.t, err)
	return depths
}

// requireStats compares instants as such: where they are shown does not count.
func requireStats(t *testing.T, want, got queue.Stats) {
	t.Helper()
	require.True(t, want.OldestDueAt.Equal(got.OldestDueAt), "due since %s, not %s", want.OldestDueAt, got.OldestDueAt)
	want.OldestDueAt, got.OldestDueAt = time.Time{}, time.Time{}
	require.Equal(t, want, got)
}

func testRunHasOneShard(t *testing.T, f *fixture) {
	require.Positive(t, f.ShardCount())
	used := map[int]bool{}
	for n := range 100 {
		item := newItem("a", n, at(0))
		shard := f.ShardOf(item)
		used[shard] = true
		require.True(t, 0 <= shard && shard < f.ShardCount(), shard)
		require.Equal(t, shard, f.ShardOf(item.Next(at(1))))
		run := stepwell.Run{ID: item.Run, Function: item.Function}
		require.Equal(t, shard, f.ShardOf(stepwell.NewStepItem(run, stepwell.ItemSleep, "s", at(5))))
	}
	require.Len(t, used, min(f.ShardCount(), 100), "runs are spread")
}
