package queuetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// limitTests are those of Q8 to Q10, and of Q4 under limits.
func limitTests() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"Q4_I9_FloodOfOneKeyDoesNotDelayAnother": testFloodOfOneKey,
		"Q5_PriorityGoesFirstUnderALimit":        testPriorityUnderALimit,
		"Q8_I20_ConcurrencyOfTheFunction":        testConcurrencyOfTheFunction,
		"Q8_I20_ConcurrencyOfEachKey":            testConcurrencyOfEachKey,
		"Q8_I20_TwoLimitsAtOnce":                 testTwoLimits,
		"Q8_I20_KeySharedByFunctions":            testSharedKey,
		"Q8_I20_StayingCounts":                   testStayingCounts,
		"Q8_I20_FirstLimitCountsForWhatIsIn":     testFirstLimit,
		"Q8_I20_SleepsCountNothing":              testSleepsCountNothing,
		"Q8_I20_LostShardHoldsBack":              testLostShardHoldsBack,
		"Q8_I20_UnknownLimitsHoldBack":           testUnknownLimits,
		"Q8_I23_ExpiredIsFree":                   testExpiredIsFree,
		"Q8_ExtendedCounts":                      testExtendedCounts,
		"Q8_EveryEndFrees":                       testEveryEndFrees,
		"Q8_PausedWaits":                         testPausedWaits,
		"Q9_I21_ThrottleHoldsInEveryWindow":      testThrottle,
		"Q9_ReleasedHasNotStarted":               testReleasedHasNotStarted,
		"Q9_I21_WindowsAreLearntAfterALoss":      testWindowsAreLearnt,
		"Q9_StartsAreAddedOnce":                  testStartsAreAddedOnce,
		"Q9_OnlyTheLockAddsStarts":               testOnlyTheLockAddsStarts,
		"Q10_ChangedLimitsCountForWhatIsIn":      testChangedLimits,
		"Q10_OlderRevisionIsIgnored":             testOlderRevision,
		"Q10_RemovedLaneLetsOthers":              testRemovedLane,
		"Q10_FreedWakesWhoWaits":                 testFreedWakes,
		"WaitingSaysWhy":                         testWaitingSaysWhy,
		"Q10_RaisedWakesWhoWaits":                testRaisedWakes,
		"Q8_Q9_Q10_RandomLimits":                 testRandomLimits,
	}
}

// The limits of the tests.
func whole(most int) stepwell.Limit { return stepwell.Limit{Most: most} }

func keyed(most int) stepwell.Limit {
	return stepwell.Limit{LimitName: stepwell.LimitName{Key: "k"}, Most: most}
}

func sharing(most int) stepwell.Limit {
	return stepwell.Limit{LimitName: stepwell.LimitName{Scope: stepwell.ScopeEnvironment, Key: "e"}, Most: most}
}

func throttled(most, seconds int) stepwell.Limit {
	name := stepwell.LimitName{Kind: stepwell.LimitThrottle}
	return stepwell.Limit{LimitName: name, Most: most, Period: time.Duration(seconds) * time.Second}
}

// newLimited is the n-th run's first item, with a value for each of the limits.
func newLimited(function string, n int, dueAt time.Time, value string, limits ...stepwell.Limit) stepwell.Item {
	item := newItem(function, n, dueAt)
	run := stepwell.Run{ID: item.Run, Function: item.Function}
	for _, limit := range limits {
		key := stepwell.LimitKey{LimitName: limit.LimitName}
		if limit.Key != "" {
			key.Value = value
		}
		run.Limits = append(run.Limits, key)
	}
	return item.Of(run)
}

// rebuild does as if all shards had been rebuilt.
func (f *fixture) rebuild(limitedFrom time.Time) {
	f.t.Helper()
	for shard := range f.ShardCount() {
		taken, err := f.TryLock(f.ctx, feeder(shard, "rebuild"), time.Minute)
		require.NoError(f.t, err)
		require.True(f.t, taken)
		require.NoError(f.t, f.MarkRebuilt(f.ctx, feeder(shard, "rebuild"), limitedFrom))
		require.NoError(f.t, f.MarkWindows(f.ctx, feeder(shard, "rebuild")))
	}
}

// limit says what a function is limited to.
func (f *fixture) limit(function string, revision int64, limits ...stepwell.Limit) {
	f.t.Helper()
	f.say(queue.FunctionLimits{Function: newItem(function, 0, at(0)).Function, Revision: revision, Limits: limits})
}

func (f *fixture) say(limits queue.FunctionLimits) {
	f.t.Helper()
	require.NoError(f.t, f.SetLimits(f.ctx, []queue.FunctionLimits{limits}))
}

func (f *fixture) ack(now time.Time, lease queue.Lease) {
	f.t.Helper()
	_, err := f.Ack(f.ctx, queue.AckRequest{Now: now, Lease: lease})
	require.NoError(f.t, err)
}

func testConcurrencyOfTheFunction(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(3))
	for n := range 10 {
		f.enqueue(at(0), newLimited("a", n, at(0), "", whole(3)))
	}
	f.enqueue(at(0), newItem("b", 1, at(0)))
	leases := f.lease(at(0), 20)
	require.Len(t, leases, 4, "three of a, and all of b")
	require.Empty(t, f.lease(at(1), 20))
	require.Equal(t, 7, f.stats(at(1)).Held)
	f.enqueue(at(1), newLimited("a", 10, at(0), "", whole(3)))
	require.Equal(t, 8, f.stats(at(1)).Held)
	require.NoError(t, f.Remove(f.ctx, []stepwell.ItemID{newItem("a", 10, at(0)).ID}))
	require.Equal(t, 7, f.stats(at(1)).Held)
	for done := 3; len(leases) > 0; {
		lease := leases[0]
		leases = leases[1:]
		f.ack(at(2), lease)
		if lease.Item.Function == newItem("b", 1, at(0)).Function {
			continue
		}
		got := f.lease(at(2), 20)
		require.Len(t, got, min(1, 10-done))
		leases, done = append(leases, got...), done+len(got)
	}
	require.Equal(t, queue.Stats{}, f.stats(at(3)))
}

func testConcurrencyOfEachKey(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, keyed(2))
	for n := range 30 {
		f.enqueue(at(0), newLimited("a", n, at(0), fmt.Sprint(n%3), keyed(2)))
	}
	for range 5 {
		leases := f.lease(at(0), 100)
		require.Len(t, leases, 6)
		values := map[string]int{}
		for _, lease := range leases {
			values[lease.Item.Limits[0].Value]++
			f.ack(at(0), lease)
		}
		require.Equal(t, map[string]int{"0": 2, "1": 2, "2": 2}, values)
	}
	require.Empty(t, f.lease(at(0), 100))
}

func testTwoLimits(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	limits := []stepwell.Limit{whole(5), keyed(2)}
	f.limit("a", 1, limits...)
	for n := range 20 {
		f.enqueue(at(0), newLimited("a", n, at(0), fmt.Sprint(n%4), limits...))
	}
	leases := f.lease(at(0), 100)
	require.Len(t, leases, 5)
	for left := 15; left > 0; left-- { // whichever ends, one that may goes on
		f.ack(at(0), leases[0])
		leases = leases[1:]
		got := f.lease(at(0), 100)
		values := map[string]int{}
		for _, lease := range append(leases, got...) {
			values[lease.Item.Limits[1].Value]++
		}
		for value, n := range values {
			require.LessOrEqual(t, n, 2, value)
		}
		require.Len(t, got, 1, "%d left", left)
		leases = append(leases, got...)
	}
}

// testSharedKey: two functions share the slots of a key, and each has its own number.
func testSharedKey(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("one", 1, sharing(1))
	f.limit("three", 1, sharing(3))
	for n := range 4 {
		f.enqueue(at(0), newLimited("three", n, at(0), "x", sharing(3)))
	}
	leases := f.lease(at(0), 10)
	require.Len(t, leases, 3)
	f.enqueue(at(1), newLimited("one", 1, at(1), "x", sharing(1)), newLimited("one", 2, at(1), "y", sharing(1)))
	other := f.leaseOne(at(1))
	require.Equal(t, "y", other.Item.Limits[0].Value, "another value, another place")
	f.ack(at(2), leases[0])
	require.Equal(t, leases[0].Item.Function, f.leaseOne(at(2)).Item.Function, "the other's number does not allow it yet")
	f.ack(at(3), leases[1])
	f.ack(at(3), leases[2])
	require.Empty(t, f.lease(at(3), 10), "one is leased still")
}

func testStayingCounts(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	first, other := newLimited("a", 1, at(0), "", whole(1)), newLimited("a", 2, at(0), "", whole(1))
	f.enqueue(at(0), first, other)
	lease := f.leaseOne(at(0))
	run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function, Limits: lease.Item.Limits}
	next := []stepwell.Item{stepwell.NewDiscovery(run, 2, at(1)), stepwell.NewDiscovery(run, 3, at(1))}
	acked, err := f.Ack(f.ctx, queue.AckRequest{Now: at(1), Lease: lease, Next: next, Hold: true, HoldUntil: at(61)})
	require.NoError(t, err)
	require.NotNil(t, acked.Held, "it has the place that it freed")
	require.Empty(t, f.lease(at(1), 10))

	f.limit("a", 2, whole(0))
	next = []stepwell.Item{stepwell.NewDiscovery(run, 4, at(1))}
	acked, err = f.Ack(f.ctx, queue.AckRequest{Now: at(2), Lease: *acked.Held, Next: next, Hold: true, HoldUntil: at(62)})
	require.NoError(t, err)
	require.Nil(t, acked.Held, "its limits do not allow it any more")
	require.Empty(t, f.lease(at(2), 10))
	f.limit("a", 3, whole(1))
	f.leaseOne(at(2))
	require.Empty(t, f.lease(at(2), 10))
}

func testSleepsCountNothing(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	item := newLimited("a", 1, at(0), "", whole(1))
	f.enqueue(at(0), item)
	f.leaseOne(at(0))
	run := stepwell.Run{ID: item.Run, Function: item.Function, Limits: item.Limits}
	sleep := stepwell.NewStepItem(run, stepwell.ItemSleep, "z", at(1))
	f.enqueue(at(1), sleep, stepwell.NewDiscovery(run, 2, at(1)))
	require.Equal(t, sleep.ID, f.leaseOne(at(1)).Item.ID, "it calls nothing")
	require.Empty(t, f.lease(at(1), 10))
}

func testLostShardHoldsBack(t *testing.T, f *fixture) {
	f.limit("a", 1, whole(1))
	limited, free := newLimited("a", 1, at(0), "", whole(1)), newItem("b", 1, at(0))
	f.enqueue(at(0), limited, free)
	require.Equal(t, []stepwell.ItemID{free.ID}, ids(f.lease(at(0), 10)), "what was leased before is not known")
	f.rebuild(at(30))
	require.Empty(t, f.lease(at(29), 10))
	require.Equal(t, limited.ID, f.leaseOne(at(31)).Item.ID)
}

func testUnknownLimits(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	item := newLimited("a", 1, at(0), "x", keyed(1))
	f.enqueue(at(0), item)
	require.Empty(t, f.lease(at(0), 10))
	f.limit("a", 1)
	require.Equal(t, item.ID, f.leaseOne(at(0)).Item.ID, "it has none any more")
}

func testExpiredIsFree(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	f.enqueue(at(0), newLimited("a", 1, at(0), "", whole(1)), newLimited("a", 2, at(0), "", whole(1)))
	first := f.leaseOne(at(0))
	require.Empty(t, f.lease(at(59), 10))
	f.leaseOne(at(60))
	require.Empty(t, f.lease(at(60), 10))
	require.NoError(t, f.Release(f.ctx, first, at(61), at(61)))
	require.Empty(t, f.lease(at(61), 10), "what is lost frees nothing")
}

func testExtendedCounts(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	f.enqueue(at(0), newLimited("a", 1, at(0), "", whole(1)), newLimited("a", 2, at(0), "", whole(1)))
	lease := f.leaseOne(at(0))
	require.Empty(t, f.lease(at(1), 10))
	lost, err := f.Extend(f.ctx, []queue.Lease{lease}, at(50), at(200))
	require.NoError(t, err)
	require.Empty(t, lost)
	for _, now := range []int{61, 120, 199} {
		require.Empty(t, f.lease(at(now), 10))
	}
	f.leaseOne(at(200))
}

func testEveryEndFrees(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	for n := range 5 {
		f.enqueue(at(0), newLimited("a", n, at(n-10), "", whole(1)))
	}
	f.ack(at(1), f.leaseOne(at(1)))
	require.NoError(t, f.Bury(f.ctx, f.leaseOne(at(2)), at(2), "poison"))
	require.NoError(t, f.Remove(f.ctx, []stepwell.ItemID{f.leaseOne(at(3)).Item.ID}))
	require.NoError(t, f.Release(f.ctx, f.leaseOne(at(4)), at(4), at(100)))
	f.leaseOne(at(5))
	require.Equal(t, queue.Stats{Leased: 1, Delayed: 1, Dead: 1}, f.stats(at(5)))
}

// testRemovedLane: a lane that had its turn, and has no items any more, does not keep others from theirs.
func testFloodOfOneKey(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	limits := []stepwell.Limit{whole(20), keyed(10)}
	f.limit("a", 1, limits...)
	flood := make([]stepwell.Item, 10_000)
	for n := range flood {
		flood[n] = newLimited("a", n, at(0), "flood", limits...)
	}
	f.enqueue(at(20), flood...)
	held := f.lease(at(20), 8)
	quiet := newLimited("a", len(flood), at(20), "quiet", limits...)
	f.enqueue(at(20), quiet)
	for n := 0; ; n++ {
		require.LessOrEqual(t, n, 2*queue.Quantum, "items leased before the other key's first")
		if len(held) > 8 {
			f.ack(at(20), held[0])
			held = held[1:]
		}
		lease := f.leaseOne(at(20))
		if lease.Item.ID == quiet.ID {
			return
		}
		held = append(held, lease)
	}
}

// testPriorityUnderALimit: whoever frees a place gives it to the most urgent, not to the one that waits for the longest.
func testPriorityUnderALimit(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	first, normal, urgent, low := newLimited("a", 1, at(0), "", whole(1)), newLimited("a", 2, at(1), "", whole(1)),
		newLimited("a", 3, at(9), "", whole(1)), newLimited("a", 4, at(-9), "", whole(1))
	urgent.Priority, low.Priority = 20*time.Second, -20*time.Second
	f.enqueue(at(0), first)
	lease := f.leaseOne(at(0))
	f.enqueue(at(9), low, normal, urgent)
	for _, want := range []stepwell.Item{urgent, normal, low} {
		require.Empty(t, f.lease(at(9), 10))
		f.ack(at(9), lease)
		lease = f.leaseOne(at(9))
		require.Equal(t, want.ID, lease.Item.ID)
	}
}
