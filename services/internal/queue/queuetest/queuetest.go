// Package queuetest is the suite that every queue driver must pass. A test is named for the invariant it proves.
//
// It must not know any driver. Instants are given, except for Wait, which blocks in real time.
package queuetest

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Run runs the suite. open returns an empty queue that the test owns.
func Run(t *testing.T, open func(t *testing.T) queue.Queue) {
	t.Helper()
	tests := map[string]func(*testing.T, *fixture){
		"Q1_EnqueueTwiceIsOnce":           testEnqueueTwiceIsOnce,
		"Q1_LeasedAndDeadAreNotEnqueued":  testLeasedAndDeadAreNotEnqueued,
		"Q2_LeasedIsNotLeasedAgain":       testLeasedIsNotLeasedAgain,
		"Q2_ConcurrentLeasesShareNothing": testConcurrentLeasesShareNothing,
		"Q2_ExpiredIsLeasedAgain":         testExpiredIsLeasedAgain,
		"Q2_GenerationGoesOnFromTheStore": testGenerationGoesOn,
		"Q2_ExtendedIsKept":               testExtendedIsKept,
		"Q2_LostLeaseIsReported":          testLostLeaseIsReported,
		"Q2_LeaseReturnsTheItem":          testLeaseReturnsTheItem,
		"Q3_NotLeasedBeforeDue":           testNotLeasedBeforeDue,
		"Q3_InstantsAreMicroseconds":      testInstantsAreMicroseconds,
		"Q4_FloodDoesNotDelayAnotherLane": testFloodDoesNotDelayAnotherLane,
		"Q4_ManyLanesHaveTheirTurns":      testManyLanesHaveTheirTurns,
		"Q5_LaneIsOrderedByDueTime":       testLaneIsOrderedByDueTime,
		"Q5_PriorityGoesFirst":            testPriorityGoesFirst,
		"Q5_PriorityDoesNotMakeDue":       testPriorityDoesNotMakeDue,
		"Q6_ExpiredTooOftenIsDead":        testExpiredTooOftenIsDead,
		"Q6_ReleaseDoesNotCount":          testReleaseDoesNotCount,
		"Q7_LostUntilRebuilt":             testLostUntilRebuilt,
		"Q7_OnlyTheLockMarksRebuilt":      testOnlyTheLockMarksRebuilt,
		"AckTakesOutAndEnqueues":          testAckTakesOutAndEnqueues,
		"AckAfterLossTakesOut":            testAckAfterLossTakesOut,
		"AckHoldsOneThatIsDue":            testAckHoldsOneThatIsDue,
		"AckEnqueuesForOtherRuns":         testAckEnqueuesForOtherRuns,
		"ConcurrentAcksKeepApart":         testConcurrentAcksKeepApart,
		"ReleaseWithDelay":                testReleaseWithDelay,
		"BuriedIsDeadUntilRedriven":       testBuriedIsDeadUntilRedriven,
		"RemoveTakesOutInAnyState":        testRemoveTakesOutInAnyState,
		"LeaseIsBounded":                  testLeaseIsBounded,
		"ManyBecomeDueAtOnce":             testManyBecomeDueAtOnce,
		"LockHasOneOwner":                 testLockHasOneOwner,
		"LockExpires":                     testLockExpires,
		"LockIsProlongedByItsOwner":       testLockIsProlongedByItsOwner,
		"LostLockIsNotProlonged":          testLostLockIsNotProlonged,
		"RunHasOneShard":                  testRunHasOneShard,
		"StatsAreOfEachShard":             testStatsAreOfEachShard,
		"DepthsAreOfEachFunction":         testDepthsAreOfEachFunction,
		"WaitReturnsWhenEnqueued":         testWaitReturnsWhenEnqueued,
		"WaitReturnsWhenDue":              testWaitReturnsWhenDue,
		"WaitReturnsAtOnceWhenReady":      testWaitReturnsAtOnceWhenReady,
		"WaitEndsWithItsContext":          testWaitEndsWithItsContext,
	}
	maps.Copy(tests, limitTests())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &fixture{Queue: open(t), t: t, ctx: t.Context()})
		})
	}
}

// epoch is when every test with given instants begins.
func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// at is some seconds after the epoch.
func at(seconds int) time.Time { return epoch().Add(time.Duration(seconds) * time.Second) }

type fixture struct {
	queue.Queue
	t   *testing.T
	ctx context.Context //nolint:containedctx // lives as long as the test
}

// newItem is the n-th run's first item, of a function.
func newItem(function string, n int, dueAt time.Time) stepwell.Item {
	id := stepwell.NewFunctionID(stepwell.AppID{}, function)
	run := stepwell.Run{ID: stepwell.NewRunID(epoch(), id, fmt.Sprint(n)), Function: id}
	return stepwell.NewDiscovery(run, 1, dueAt)
}

func newItems(function string, count int, dueAt time.Time) []stepwell.Item {
	items := make([]stepwell.Item, count)
	for i := range items {
		items[i] = newItem(function, i, dueAt.Add(time.Duration(i)*time.Millisecond))
	}
	return items
}

// newSteps are steps of one run, and so of one shard, due one millisecond after the other.
func newSteps(function string, count int, dueAt time.Time) []stepwell.Item {
	run := stepwell.Run{ID: newItem(function, 0, dueAt).Run, Function: newItem(function, 0, dueAt).Function}
	items := make([]stepwell.Item, count)
	for i := range items {
		step := stepwell.StepID(fmt.Sprint("step", i))
		items[i] = stepwell.NewStepItem(run, stepwell.ItemStep, step, dueAt.Add(time.Duration(i)*time.Millisecond))
	}
	return items
}

func (f *fixture) enqueue(now time.Time, items ...stepwell.Item) {
	f.t.Helper()
	for start := 0; start < len(items); start += queue.ItemsMax {
		require.NoError(f.t, f.Enqueue(f.ctx, now, items[start:min(start+queue.ItemsMax, len(items))]))
	}
}

// lease leases up to n items for a minute.
func (f *fixture) lease(now time.Time, n int) []queue.Lease {
	f.t.Helper()
	leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: now, Max: n, Until: now.Add(time.Minute), Owner: "test"})
	require.NoError(f.t, err)
	require.LessOrEqual(f.t, len(leased.Leases), n)
	return leased.Leases
}

// leaseOne leases exactly one item.
func (f *fixture) leaseOne(now time.Time) queue.Lease {
	f.t.Helper()
	leases := f.lease(now, 1)
	require.Len(f.t, leases, 1)
	return leases[0]
}

// stats are of all shards together; what is told of each must add up to it.
func (f *fixture) stats(now time.Time) queue.Stats {
	f.t.Helper()
	stats, err := f.Stats(f.ctx, now)
	require.NoError(f.t, err)
	require.Len(f.t, stats.Shards, f.ShardCount())
	var sum queue.Stats
	for _, shard := range stats.Shards {
		require.Nil(f.t, shard.Shards)
		sum.Add(shard)
	}
	require.Equal(f.t, sum, stats)
	stats.Shards = nil
	return stats
}

func ids(leases []queue.Lease) []stepwell.ItemID {
	got := make([]stepwell.ItemID, len(leases))
	for i, lease := range leases {
		got[i] = lease.Item.ID
	}
	return got
}
