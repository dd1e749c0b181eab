package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// throttledRun starts a run whose limits have these kinds, and returns its first item.
func (f *fixture) throttledRun(kinds ...stepwell.LimitKind) (stepwell.Run, stepwell.Item) {
	f.t.Helper()
	event := f.event("")
	start := f.start(event)
	for _, kind := range kinds {
		name := stepwell.LimitName{Kind: kind, Key: "k"}
		start.Run.Limits = append(start.Run.Limits, stepwell.LimitKey{LimitName: name, Value: event.ID.String()})
	}
	start.Run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(start.Run, 1, event.ReceivedAt)}
	require.NoError(f.t, f.ingest(event, start).Err)
	return start.Run, start.Run.Progress.Open[0]
}

// called settles an item after a call that began at an instant.
func called(item stepwell.Item, at time.Time) stepwell.Transition {
	return stepwell.Transition{
		Run: item.Run, Settles: item.ID, Attempt: &stepwell.Attempt{Item: item.ID, StartedAt: at, EndedAt: at.Add(time.Second)},
	}
}

// throttleStarts are the starts of the fixture's function since an instant, read by pages of two.
func (f *fixture) throttleStarts(since time.Time) []stepwell.ThrottleStart {
	f.t.Helper()
	var all []stepwell.ThrottleStart
	query := store.ThrottleQuery{Function: f.function.ID, Since: since, Limit: 2}
	for {
		page, next, err := f.ThrottleStarts(f.ctx, query)
		require.NoError(f.t, err)
		require.LessOrEqual(f.t, len(page), query.Limit)
		for _, start := range page {
			start.At = start.At.UTC()
			all = append(all, start)
		}
		if query.Cursor = next; next == "" {
			return all
		}
	}
}

// testThrottleStartsAreKept: each run that has begun, once, by when it did; but only of those that a throttle counts.
func testThrottleStartsAreKept(t *testing.T, f *fixture) {
	var want []stepwell.ThrottleStart
	for i := range 5 {
		run, item := f.throttledRun(stepwell.LimitConcurrency, stepwell.LimitThrottle)
		at := epoch().Add(time.Duration(i/2) * time.Minute)
		want = append(want, stepwell.NewThrottleStart(run.Function, run.ID, run.Limits, at))
		next := f.mustCommit(called(item, at))
		f.mustCommit(called(next[0], at.Add(time.Hour)))
	}
	for _, kinds := range [][]stepwell.LimitKind{nil, {stepwell.LimitConcurrency}} {
		_, item := f.throttledRun(kinds...)
		f.mustCommit(called(item, epoch()))
	}
	require.ElementsMatch(t, want, f.throttleStarts(epoch()))
	require.IsNonDecreasing(t, instants(f.throttleStarts(epoch())))
	require.ElementsMatch(t, want[2:], f.throttleStarts(epoch().Add(time.Minute)))
	require.Empty(t, f.throttleStarts(epoch().Add(time.Hour)))
	for _, start := range f.throttleStarts(epoch()) {
		require.True(t, start.Item.Throttled())
	}
	other := store.ThrottleQuery{Function: stepwell.NewFunctionID(stepwell.AppID{}, "other"), Since: epoch(), Limit: 10}
	starts, _, err := f.ThrottleStarts(f.ctx, other)
	require.NoError(t, err)
	require.Empty(t, starts)
}

func instants(starts []stepwell.ThrottleStart) []int64 {
	at := make([]int64, len(starts))
	for i, start := range starts {
		at[i] = start.At.UnixMicro()
	}
	return at
}

// testThrottleCountsARunOnce: with its first call that is settled, also if that fails and is made again, or ends the run; not
// with a checkpoint, after which it may be.
func testThrottleCountsARunOnce(t *testing.T, f *fixture) {
	_, item := f.throttledRun(stepwell.LimitThrottle)
	f.mustCommit(stepwell.Transition{Run: item.Run, Settles: item.ID, Keep: true})
	require.Empty(t, f.throttleStarts(epoch()))
	failed, retry := called(item, epoch()), item.Next(epoch().Add(time.Minute))
	failed.Retry = &retry
	f.mustCommit(failed)
	require.Len(t, f.throttleStarts(epoch()), 1)
	f.mustCommit(called(retry, epoch().Add(time.Minute)))
	require.Len(t, f.throttleStarts(epoch()), 1)

	_, item = f.throttledRun(stepwell.LimitThrottle)
	ends := called(item, epoch())
	ends.End = &stepwell.End{Status: stepwell.RunCompleted, Unheard: []string{stepwell.EventFinished}}
	f.mustCommit(ends)
	require.Len(t, f.throttleStarts(epoch()), 2)
	require.ErrorIs(t, f.commit(called(item, epoch())).Err, stepwell.ErrConflict)
	require.Len(t, f.throttleStarts(epoch()), 2)
}
