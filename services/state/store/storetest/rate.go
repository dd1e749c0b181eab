package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// ratedAt is an event of an instant, and a start of it that a rate counts.
func (f *fixture) ratedAt(at time.Time, rate stepwell.Rate) (stepwell.Event, stepwell.RunStart) {
	event := f.event("")
	start := f.start(event)
	start.Run.CreatedAt, start.Rate = at, &rate
	return event, start
}

// testRateHoldsInEveryWindow: what has started is counted to the microsecond, whether in one batch or in several.
func testRateHoldsInEveryWindow(t *testing.T, f *fixture) {
	rate := stepwell.Rate{Key: "ada", Limit: 3, Period: 10 * time.Second}
	var batch []store.Ingest
	wanted := []bool{}
	for _, step := range []struct {
		second float64
		starts bool
	}{
		{0, true},
		{0, true},
		{0, true},
		{0, false},
		{1, false},
		{9.999999, false},
		{10, true},
		{10, true},
		{10.5, true},
		{10.5, false},
		{19.999999, false},
		{20, true},
		{20.4, true},
		{20.49, false},
		{20.5, true},
		{20.6, false},
		{30, true},
	} {
		event, start := f.ratedAt(epoch().Add(time.Duration(step.second*float64(time.Second))), rate)
		batch = append(batch, store.Ingest{
			Environment: event.Environment, Revision: 1, Now: start.Run.CreatedAt,
			Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
		})
		wanted = append(wanted, step.starts)
	}
	var results []store.Ingested
	for _, cut := range [][2]int{{0, 1}, {1, 3}, {3, 7}, {7, 8}, {8, 12}, {12, len(batch)}} {
		some, err := f.Ingest(f.ctx, batch[cut[0]:cut[1]])
		require.NoError(t, err)
		results = append(results, some...)
	}
	for i, result := range results {
		require.NoError(t, result.Err)
		require.Equal(t, wanted[i], result.Runs[0][0].Skip == stepwell.SkipNone, "start %d", i)
		require.Equal(t, wanted[i], len(result.Opened) == 1, "start %d", i)
	}
	other, start := f.ratedAt(epoch(), stepwell.Rate{Key: "bob", Limit: 3, Period: 10 * time.Second})
	require.Len(t, f.ingest(other, start).Opened, 1, "another key is counted by itself")
	free, start := f.ratedAt(epoch(), rate)
	start.Rate = nil
	require.Len(t, f.ingest(free, start).Opened, 1, "what has no rate is not counted")
}

// testRateThatChanges counts by the new limit at once.
func testRateThatChanges(t *testing.T, f *fixture) {
	starts := func(second, limit int) bool {
		event, start := f.ratedAt(epoch().Add(time.Duration(second)*time.Second),
			stepwell.Rate{Limit: limit, Period: 10 * time.Second})
		return len(f.ingest(event, start).Opened) == 1
	}
	require.True(t, starts(0, 2))
	require.True(t, starts(1, 2))
	require.False(t, starts(2, 2))
	require.True(t, starts(2, 3))
	require.False(t, starts(3, 1))
	require.False(t, starts(11, 1), "the one of second 2 is in the window")
	require.True(t, starts(12, 1))
	require.True(t, starts(12, 2))
}

// testSkippedRunHasEnded: it is there to be seen, and nothing of it is worked on.
func testSkippedRunHasEnded(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named("unrelated", 1))
	rate := stepwell.Rate{Limit: 1, Period: time.Hour}
	first, start := f.ratedAt(epoch(), rate)
	require.Len(t, f.ingest(first, start).Opened, 1)

	event, start := f.ratedAt(epoch(), rate)
	start.Refused = &stepwell.Resume{Item: child.ID, Step: recorded("call", `"refused"`)}
	start.Waits = nil
	result := f.ingest(event, start)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Skip: stepwell.SkipRateLimited}}}, result.Runs)
	require.Len(t, result.Opened, 1, "the run that invoked it goes on")
	require.Equal(t, parent.ID, result.Opened[0].Run)
	run, err := f.Run(f.ctx, event.Environment, start.Run.ID)
	require.NoError(t, err)
	require.Equal(t, start.Run.Skipped(stepwell.SkipRateLimited), run)

	again := f.ingest(event, start)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Existed: true}}}, again.Runs, "an event that is sent again")
	require.Empty(t, again.Opened)
	runs, err := f.Runs(f.ctx, store.RunQuery{Environment: event.Environment, Event: event.ID, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []stepwell.Run{run}, runs)
	runs, err = f.Runs(f.ctx, store.RunQuery{
		Environment: event.Environment, Function: start.Run.Function, Statuses: []stepwell.RunStatus{stepwell.RunSkipped}, Limit: 10,
	})
	require.NoError(t, err)
	require.Equal(t, []stepwell.Run{run}, runs)
	items, _, err := f.DueItems(f.ctx, store.DueQuery{Before: epoch().Add(time.Hour), Limit: 100})
	require.NoError(t, err)
	for _, item := range items {
		require.NotEqual(t, start.Run.ID, item.Run)
	}
	committed := f.commit(stepwell.Transition{Run: start.Run.ID, At: epoch(), End: &stepwell.End{Status: stepwell.RunCancelled}})
	require.ErrorIs(t, committed.Err, stepwell.ErrConflict)
	history, err := f.RunHistory(f.ctx, event.Environment, start.Run.ID)
	require.NoError(t, err)
	require.Equal(t, run, history.Run)
}

// testRateHoldsAmongMany: publishers that come at the same time.
func testRateHoldsAmongMany(t *testing.T, f *fixture) {
	const publishers, each, limit = 8, 10, 13
	requests := make([][]store.Ingest, publishers)
	for i := range requests {
		for range each {
			event, start := f.ratedAt(epoch(), stepwell.Rate{Limit: limit, Period: time.Minute})
			requests[i] = append(requests[i], store.Ingest{
				Environment: event.Environment, Revision: 1, Now: start.Run.CreatedAt,
				Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
			})
		}
	}
	var mu sync.Mutex
	started := 0
	var all sync.WaitGroup
	for _, own := range requests {
		all.Go(func() {
			for _, request := range own {
				results, err := f.Ingest(f.ctx, []store.Ingest{request})
				if err == nil && len(results[0].Opened) == 1 {
					mu.Lock()
					started++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, limit, started)
}
