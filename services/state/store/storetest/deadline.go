package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// testDeadlinesComeInOrder: those that are due, the earliest first, until they are moved or taken away.
func testDeadlinesComeInOrder(t *testing.T, f *fixture) {
	in := func(second int) time.Time { return epoch().Add(time.Duration(second) * time.Second) }
	start := func(second int) stepwell.RunID {
		event := f.event("")
		s := f.start(event)
		if second >= 0 {
			s.Deadline = in(second)
		}
		require.NoError(t, f.ingest(event, s).Err)
		f.ingest(event, s) // again is harmless
		return s.Run.ID
	}
	last, first, never, later := start(20), start(10), start(-1), start(40)
	due := func(second, limit int) []stepwell.Deadline {
		deadlines, err := f.Deadlines(f.ctx, in(second), limit)
		require.NoError(t, err)
		return deadlines
	}
	require.Empty(t, due(9, 10))
	require.Equal(t, []stepwell.Deadline{{Run: first, At: in(10)}, {Run: last, At: in(20)}}, due(30, 10))
	require.Equal(t, []stepwell.Deadline{{Run: first, At: in(10)}}, due(30, 1))
	require.NoError(t, f.MoveDeadlines(f.ctx, []stepwell.Deadline{{Run: first, At: in(35)}, {Run: last, At: time.Time{}}, {Run: never, At: in(5)}}))
	require.Empty(t, due(34, 10), "a run without a deadline gets none")
	require.Equal(t, []stepwell.Deadline{{Run: first, At: in(35)}, {Run: later, At: in(40)}}, due(40, 10))
	require.NoError(t, f.MoveDeadlines(f.ctx, nil))
}

// testDeadlineGoesWithItsRun: nobody looks at runs that have ended.
func testDeadlineGoesWithItsRun(t *testing.T, f *fixture) {
	var items []stepwell.Item
	for range 3 {
		event := f.event("")
		start := f.start(event)
		start.Deadline = epoch().Add(time.Hour)
		items = append(items, f.ingest(event, start).Opened...)
	}
	f.mustCommit(stepwell.Transition{
		Run: items[0].Run, Settles: items[0].ID, End: &stepwell.End{Status: stepwell.RunCompleted},
	})
	f.mustCommit(stepwell.Transition{Run: items[1].Run, End: &stepwell.End{Status: stepwell.RunCancelled}})
	f.plan(stepwell.Run{ID: items[2].Run, Function: f.function.ID}, items[2], "a")
	due, err := f.Deadlines(f.ctx, epoch().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, []stepwell.Deadline{{Run: items[2].Run, At: epoch().Add(time.Hour)}}, due)
	ended := stepwell.Deadline{Run: items[0].Run, At: epoch().Add(time.Minute)}
	require.NoError(t, f.MoveDeadlines(f.ctx, []stepwell.Deadline{ended, {Run: items[1].Run}}))
	again, err := f.Deadlines(f.ctx, epoch().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, due, again, "a run that has ended gets none")
}

// testClaimStartsTheRun once: what the first call was is not said twice.
func testClaimStartsTheRun(t *testing.T, f *fixture) {
	run, item := f.newRun()
	startedAt := func() time.Time {
		r, err := f.Run(f.ctx, run.Environment, run.ID)
		require.NoError(t, err)
		return r.StartedAt
	}
	require.NoError(t, f.Claim(f.ctx, item.ID, 1, time.Time{}))
	require.Zero(t, startedAt())
	began := epoch().Add(time.Second)
	require.NoError(t, f.Claim(f.ctx, item.ID, 1, began))
	require.Equal(t, began, startedAt())
	require.NoError(t, f.Claim(f.ctx, item.ID, 2, began.Add(time.Hour)))
	require.Equal(t, began, startedAt())
}
