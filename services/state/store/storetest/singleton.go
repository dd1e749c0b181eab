package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// placed is an event, and a start of it that takes a place.
func (f *fixture) placed(key string) (stepwell.Event, stepwell.RunStart) {
	event := f.event("")
	start := f.start(event)
	start.Place = &stepwell.Place{Key: key}
	return event, start
}

// takes is placed, of a start that takes the place from others.
func (f *fixture) takes(key string) (stepwell.Event, stepwell.RunStart) {
	event, start := f.placed(key)
	start.Place.Takes = true
	return event, start
}

// taking is the request that stores events with a start each, and cancels these runs.
func taking(events []stepwell.Event, starts []stepwell.RunStart, cancels ...stepwell.Transition) store.Ingest {
	request := store.Ingest{Environment: events[0].Environment, Revision: 1, Now: events[0].ReceivedAt, Cancels: cancels}
	for i, event := range events {
		request.Events = append(request.Events, store.IngestEvent{Event: event, Starts: starts[i : i+1]})
	}
	return request
}

// take stores an event with its start, which takes its place from a run.
func (f *fixture) take(event stepwell.Event, start stepwell.RunStart, from stepwell.RunID) store.Ingested {
	f.t.Helper()
	request := taking([]stepwell.Event{event}, []stepwell.RunStart{start}, cancelled(from))
	results, err := f.Ingest(f.ctx, []store.Ingest{request})
	require.NoError(f.t, err)
	return results[0]
}

func cancelled(run stepwell.RunID) stepwell.Transition {
	return stepwell.Transition{
		Run: run, Environment: stepwell.DefaultEnvironment(), At: epoch().Add(time.Hour),
		End: &stepwell.End{Status: stepwell.RunCancelled},
	}
}

func (f *fixture) holder(key string) stepwell.RunID {
	f.t.Helper()
	holders, err := f.Holders(f.ctx, []stepwell.PlaceKey{{Function: f.function.ID, Key: "other"}, {Function: f.function.ID, Key: key}})
	require.NoError(f.t, err)
	require.Len(f.t, holders, 2)
	return holders[1]
}

func (f *fixture) run(id stepwell.RunID) stepwell.Run {
	f.t.Helper()
	run, err := f.Run(f.ctx, f.app.Environment, id)
	require.NoError(f.t, err)
	return run
}

// testPlaceHasOneHolder: others are skipped, and it is known because of which run.
func testPlaceHasOneHolder(t *testing.T, f *fixture) {
	require.Zero(t, f.holder("ada"))
	event, first := f.placed("ada")
	require.Len(t, f.ingest(event, first).Opened, 1)
	require.Equal(t, first.Run.ID, f.holder("ada"))

	second, start := f.placed("ada")
	result := f.ingest(second, start)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Skip: stepwell.SkipSingleton}}}, result.Runs)
	require.Empty(t, result.Opened)
	want := start.Run.Skipped(stepwell.SkipSingleton)
	want.Existing = first.Run.ID
	require.Equal(t, want, f.run(start.Run.ID))
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Existed: true}}}, f.ingest(second, start).Runs, "again")
	require.Equal(t, [][]store.StartedRun{{{ID: first.Run.ID, Existed: true}}}, f.ingest(event, first).Runs, "again")

	other, start := f.placed("bob")
	require.Len(t, f.ingest(other, start).Opened, 1, "another key")
	require.Equal(t, start.Run.ID, f.holder("bob"))
	free, start := f.placed("ada")
	start.Place = nil
	require.Len(t, f.ingest(free, start).Opened, 1, "what takes no place is not kept from it")
	elsewhere, start := f.placed("ada")
	start.Run.Function = f.newFunction("other").ID
	require.Len(t, f.ingest(elsewhere, start).Opened, 1, "another function")
	require.Equal(t, first.Run.ID, f.holder("ada"))
}

// testPlaceIsFreeAfterEveryEnd, and only then.
func testPlaceIsFreeAfterEveryEnd(t *testing.T, f *fixture) {
	for _, status := range []stepwell.RunStatus{stepwell.RunCompleted, stepwell.RunFailed, stepwell.RunCancelled} {
		event, start := f.placed("")
		opened := f.ingest(event, start).Opened
		require.Len(t, opened, 1, status)
		opened = f.plan(start.Run, opened[0], "a")
		opened = f.mustCommit(settle(opened[0], `1`))
		require.Equal(t, start.Run.ID, f.holder(""))
		f.mustCommit(stepwell.Transition{
			Run: start.Run.ID, Settles: opened[0].ID, Environment: event.Environment, End: &stepwell.End{Status: status},
		})
		require.Zero(t, f.holder(""), status)
	}
}

// testPlaceIsTaken: the end of the one and the start of the other are one fact.
func testPlaceIsTaken(t *testing.T, f *fixture) {
	event, first := f.takes("ada")
	require.Len(t, f.ingest(event, first).Opened, 1)
	require.Empty(t, f.take(event, first, first.Run.ID).Cancelled, "the same event again leaves its run alone")
	require.Equal(t, first.Run.ID, f.holder("ada"))

	second, start := f.takes("ada")
	result := f.take(second, start, first.Run.ID)
	require.NoError(t, result.Err)
	require.Equal(t, []stepwell.RunID{first.Run.ID}, result.Cancelled)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID}}}, result.Runs)
	require.Equal(t, start.Run.Progress.Open, result.Opened)
	require.Equal(t, []stepwell.ItemID{first.Run.Progress.Open[0].ID}, result.Dropped)
	require.Equal(t, stepwell.RunCancelled, f.run(first.Run.ID).Status)
	require.Equal(t, stepwell.RunRunning, f.run(start.Run.ID).Status)
	require.Equal(t, start.Run.ID, f.holder("ada"))

	third, start := f.takes("ada")
	result = f.take(third, start, first.Run.ID)
	require.ErrorIs(t, result.Err, stepwell.ErrStale, "another run has it by now")
	_, err := f.Event(f.ctx, third.Environment, third.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound, "nothing is stored")
	start.Place.Takes = false
	result = f.take(third, start, first.Run.ID)
	require.Equal(t, stepwell.SkipSingleton, result.Runs[0][0].Skip)
}

// testPlaceIsTakenWithinARequest: of the events of a request, the last one's run stays.
func testPlaceIsTakenWithinARequest(t *testing.T, f *fixture) {
	var events []stepwell.Event
	var starts []stepwell.RunStart
	var cancels []stepwell.Transition
	for i := range 4 {
		event, start := f.takes("ada")
		start.Deadline = epoch().Add(time.Hour)
		if i == 0 {
			require.Len(t, f.ingest(event, start).Opened, 1)
		}
		events, starts, cancels = append(events, event), append(starts, start), append(cancels, cancelled(start.Run.ID))
	}
	results, err := f.Ingest(f.ctx, []store.Ingest{taking(events[1:], starts[1:], cancels...)})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.Equal(t, []stepwell.RunID{starts[0].Run.ID, starts[1].Run.ID, starts[2].Run.ID}, results[0].Cancelled)
	for i, start := range starts {
		status := stepwell.RunCancelled
		if i == 3 {
			status = stepwell.RunRunning
		}
		require.Equal(t, status, f.run(start.Run.ID).Status)
	}
	require.Equal(t, starts[3].Run.ID, f.holder("ada"))
	due, err := f.Deadlines(f.ctx, epoch().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Len(t, dueRuns(t, f), 1)
}

// dueRuns are the runs that have something to do.
func dueRuns(t *testing.T, f *fixture) map[stepwell.RunID]bool {
	t.Helper()
	items, _, err := f.DueItems(f.ctx, store.DueQuery{Before: epoch().Add(time.Hour), Limit: 100})
	require.NoError(t, err)
	runs := map[stepwell.RunID]bool{}
	for _, item := range items {
		runs[item.Run] = true
	}
	return runs
}

// testStaleCancelTakesNothing: what was decided of a run that has deferred a function meanwhile is decided again.
func testStaleCancelTakesNothing(t *testing.T, f *fixture) {
	event, first := f.takes("")
	opened := f.ingest(event, first).Opened
	f.mustCommit(stepwell.Transition{
		Run: first.Run.ID, Settles: opened[0].ID, Keep: true, Records: []stepwell.Step{deferral("later", `{}`)},
	})
	second, start := f.takes("")
	require.ErrorIs(t, f.take(second, start, first.Run.ID).Err, stepwell.ErrStale)
	require.Equal(t, first.Run.ID, f.holder(""))
	knowing := cancelled(first.Run.ID)
	knowing.End.DeferCount = 1
	results, err := f.Ingest(f.ctx, []store.Ingest{taking([]stepwell.Event{second}, []stepwell.RunStart{start}, knowing)})
	require.NoError(t, err)
	require.Equal(t, []stepwell.RunID{first.Run.ID}, results[0].Cancelled)
	require.Equal(t, start.Run.ID, f.holder(""))
}

// testCancelTellsWhoListens: what tells nobody is decided again if somebody listens.
func testCancelTellsWhoListens(t *testing.T, f *fixture) {
	event, first := f.takes("")
	require.Len(t, f.ingest(event, first).Opened, 1)
	listener := f.newFunction("listener")
	listener.Triggers = []stepwell.Trigger{{Event: stepwell.EventCancelled}}
	f.app.Checksum = "2"
	_, err := f.SyncApp(f.ctx, f.app, []stepwell.Function{f.function, listener})
	require.NoError(t, err)

	second, start := f.takes("")
	request := func(cancel stepwell.Transition) store.Ingested {
		in := taking([]stepwell.Event{second}, []stepwell.RunStart{start}, cancel)
		in.Revision = f.catalog().Revision
		results, err := f.Ingest(f.ctx, []store.Ingest{in})
		require.NoError(t, err)
		return results[0]
	}
	silent, telling := cancelled(first.Run.ID), cancelled(first.Run.ID)
	silent.End.Unheard = []string{stepwell.EventFinished, stepwell.EventCancelled}
	require.ErrorIs(t, request(silent).Err, stepwell.ErrStale)
	told := f.named(stepwell.EventCancelled, 9)
	telling.End.Unheard, telling.End.Emits = []string{stepwell.EventFinished}, []stepwell.Event{told}
	result := request(telling)
	require.NoError(t, result.Err)
	require.Equal(t, []stepwell.RunID{first.Run.ID}, result.Cancelled)
	require.True(t, result.ForRunner)
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Equal(t, []stepwell.Event{told}, unrouted)
}

// testOneOfManyTakesThePlace: publishers that come at the same time, while the one that has the place ends again and again.
func testOneOfManyTakesThePlace(t *testing.T, f *fixture) {
	const publishers, each = 8, 10
	type placed struct {
		event stepwell.Event
		start stepwell.RunStart
	}
	requests := make([][]placed, publishers)
	for i := range requests {
		for range each {
			event, start := f.placed("")
			start.Place.Takes = i%2 == 0
			requests[i] = append(requests[i], placed{event, start})
		}
	}
	var mu sync.Mutex
	live, most := 0, 0
	var all sync.WaitGroup
	for _, own := range requests {
		all.Go(func() {
			for _, p := range own {
				for try := range 10 {
					holders, err := f.Holders(f.ctx, []stepwell.PlaceKey{p.start.PlaceKey()})
					if err != nil || try == 9 {
						break
					}
					request := taking([]stepwell.Event{p.event}, []stepwell.RunStart{p.start}, cancelled(holders[0]))
					results, err := f.Ingest(f.ctx, []store.Ingest{request})
					if err == nil && results[0].Err != nil {
						continue
					}
					if err == nil {
						mu.Lock()
						live += len(results[0].Opened) - len(results[0].Cancelled)
						most = max(most, len(results[0].Opened))
						mu.Unlock()
					}
					break
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, live)
	require.Equal(t, 1, most)
	require.Equal(t, map[stepwell.RunID]bool{f.holder(""): true}, dueRuns(t, f))
}

// testRateComesBeforePlace: what its rate does not allow takes no place from others.
func testRateComesBeforePlace(t *testing.T, f *fixture) {
	event, first := f.takes("")
	first.Rate = &stepwell.Rate{Limit: 1, Period: time.Hour}
	require.Len(t, f.ingest(event, first).Opened, 1)
	second, start := f.takes("")
	start.Rate = first.Rate
	result := f.take(second, start, first.Run.ID)
	require.NoError(t, result.Err)
	require.Equal(t, stepwell.SkipRateLimited, result.Runs[0][0].Skip)
	require.Empty(t, result.Cancelled)
	require.Equal(t, first.Run.ID, f.holder(""))
	require.Zero(t, f.run(start.Run.ID).Existing)
}

// testSkippedSingletonIsRefused: whoever invoked it goes on.
func testSkippedSingletonIsRefused(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named("unrelated", 1))
	event, first := f.placed("")
	refused := &stepwell.Resume{Item: child.ID, Step: recorded("call", `"refused"`)}
	first.Place.Refused = refused
	require.Len(t, f.ingest(event, first).Opened, 1, "it starts")
	second, start := f.placed("")
	start.Place.Refused = refused
	result := f.ingest(second, start)
	require.Equal(t, stepwell.SkipSingleton, result.Runs[0][0].Skip)
	require.Len(t, result.Opened, 1)
	require.Equal(t, parent.ID, result.Opened[0].Run)
}
