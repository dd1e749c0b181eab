package storetest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

func testStoredIsRead(t *testing.T, f *fixture) {
	event := f.event("order-1")
	start := f.start(event)
	require.NoError(t, f.ingest(event, start).Err)

	got, err := f.Event(f.ctx, event.Environment, event.ID)
	require.NoError(t, err)
	require.Equal(t, event, got)
	run, err := f.Run(f.ctx, event.Environment, start.Run.ID)
	require.NoError(t, err)
	require.Equal(t, start.Run, run)
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Equal(t, start.Run, state.Run)
	require.Equal(t, []stepwell.Event{event}, state.Events)
	require.Equal(t, f.function.Slug, state.Function.Slug)
	require.Equal(t, f.app.Name, state.App.Name)
	require.Empty(t, state.Steps)
}

func testBytesAreKept(t *testing.T, f *fixture) {
	// Order, spacing, escapes, numbers beyond a double, duplicate members: none of our business.
	odd := `{"z": 1.0, "a":"\u00e9é", "n":12345678901234567890,  "a":1e400, "s":"` + strings.Repeat("x", 10_000) + `"}`
	event := f.event("")
	event.Data = json.RawMessage(odd)
	start := f.start(event)
	f.ingest(event, start)
	f.mustCommit(stepwell.Transition{
		Run: start.Run.ID, Settles: start.Run.Progress.Open[0].ID, Records: []stepwell.Step{recorded("a", odd)},
	})

	state, err := store.LoadRun(f.ctx, f, start.Run.ID)
	require.NoError(t, err)
	require.Equal(t, odd, string(state.Events[0].Data))
	require.Equal(t, odd, string(state.Steps[0].Result.JSON))
}

func testSameKeyYieldsFirstRun(t *testing.T, f *fixture) {
	first, again := f.event("order-1"), f.event("order-1")
	f.ingest(first, f.start(first))
	result := f.ingest(again, f.start(again))

	require.NoError(t, result.Err)
	require.Equal(t, [][]store.StartedRun{{{ID: f.start(first).Run.ID, Existed: true}}}, result.Runs)
	require.Empty(t, result.Opened)
	for _, event := range []stepwell.Event{first, again} {
		runs, err := f.Runs(f.ctx, store.RunQuery{Environment: event.Environment, Event: event.ID, Limit: 10})
		require.NoError(t, err)
		require.Len(t, runs, 1)
		require.Equal(t, f.start(first).Run.ID, runs[0].ID)
	}
}

func testSameEventStartsNothingNew(t *testing.T, f *fixture) {
	event := f.event("")
	start := f.start(event)
	f.ingest(event, start)
	other := start
	other.Run.Function = f.newFunction("later").ID
	other.Run.ID = stepwell.NewRunID(event.ReceivedAt, other.Run.Function, event.ID.String())
	result := f.ingest(event, start, other)

	require.NoError(t, result.Err)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Existed: true}, {Existed: true}}}, result.Runs)
	require.Empty(t, result.Opened)
}

func testKeyIsFreeAfterTheWindow(t *testing.T, f *fixture) {
	first, again := f.event("order-1"), f.event("order-1")
	f.ingest(first, f.start(first))
	result := f.ingestAt(first.ReceivedAt.Add(stepwell.EventDedupeWindow+time.Second), again, f.start(again))

	require.NoError(t, result.Err)
	require.Equal(t, [][]store.StartedRun{{{ID: f.start(again).Run.ID}}}, result.Runs)
}

func testStaleRequestStoresNothing(t *testing.T, f *fixture) {
	event, later := f.event(""), f.event("")
	results, err := f.Ingest(f.ctx, []store.Ingest{
		{
			Environment: event.Environment, Revision: 0, Now: event.ReceivedAt,
			Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{f.start(event)}}},
		},
		{Environment: later.Environment, Revision: 1, Now: later.ReceivedAt, Events: []store.IngestEvent{{Event: later}}},
	})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, stepwell.ErrStale)
	require.NoError(t, results[1].Err)
	_, err = f.Event(f.ctx, event.Environment, event.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	_, err = f.Run(f.ctx, event.Environment, f.start(event).Run.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
}

func testUnroutedEventIsRoutedOnce(t *testing.T, f *fixture) {
	event := f.event("")
	for range 2 { // the second is a retry by a client that lost the answer
		results, err := f.Ingest(f.ctx, []store.Ingest{{
			Environment: event.Environment, Unrouted: true, Now: event.ReceivedAt,
			Events: []store.IngestEvent{{Event: event}},
		}})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
	}
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Equal(t, []stepwell.Event{event}, unrouted)

	require.Len(t, f.ingest(event, f.start(event)).Opened, 1)
	require.Empty(t, f.ingest(event, f.start(event)).Opened)
	unrouted, err = f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, unrouted)
}

// testEventIsStoredAndRoutedInOneCall is a runner that came back while an event-api still stores what it did not take.
func testEventIsStoredAndRoutedInOneCall(t *testing.T, f *fixture) {
	run, item := f.newRun()
	event := f.event("")
	cancel := stepwell.Transition{Run: run.ID, At: event.ReceivedAt, End: &stepwell.End{Status: stepwell.RunCancelled}}
	results, err := f.Ingest(f.ctx, []store.Ingest{{
		Environment: event.Environment, Unrouted: true, Now: event.ReceivedAt,
		Events: []store.IngestEvent{{Event: event}},
	}, {
		Environment: event.Environment, Revision: 1, Now: event.ReceivedAt,
		Events: []store.IngestEvent{{
			Event: event, Starts: []stepwell.RunStart{f.start(event)}, Transitions: []stepwell.Transition{cancel},
		}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[1].Err)
	require.False(t, results[1].Runs[0][0].Existed)
	require.Equal(t, []stepwell.ItemID{item.ID}, results[1].Dropped)
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, unrouted)
}

func testIngestAppliesTransitions(t *testing.T, f *fixture) {
	run, item := f.newRun()
	event := f.event("")
	cancel := stepwell.Transition{Run: run.ID, At: event.ReceivedAt, End: &stepwell.End{Status: stepwell.RunCancelled}}
	results, err := f.Ingest(f.ctx, []store.Ingest{{
		Environment: event.Environment, Revision: 1, Now: event.ReceivedAt,
		// The second one comes too late, which is no error.
		Events: []store.IngestEvent{{Event: event, Transitions: []stepwell.Transition{cancel, cancel}}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.Equal(t, []stepwell.ItemID{item.ID}, results[0].Dropped)
	got, err := f.Run(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Equal(t, stepwell.RunCancelled, got.Status)
}

// testTraceTravelsWithItsEvent: a run finds the trace that it belongs to by its event, however that came in and goes out.
func testTraceTravelsWithItsEvent(t *testing.T, f *fixture) {
	for range 4 {
		event := f.event("")
		results, err := f.Ingest(f.ctx, []store.Ingest{{
			Environment: event.Environment, Unrouted: true, Now: event.ReceivedAt, Trace: event.Trace,
			Events: []store.IngestEvent{{Event: event}},
		}})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		unrouted, err := f.UnroutedEvents(f.ctx, 10)
		require.NoError(t, err)
		require.Len(t, unrouted, 1)
		require.Equal(t, event.Trace, unrouted[0].Trace)

		start := f.start(event)
		require.Len(t, f.ingest(event, start).Opened, 1)
		state, err := store.LoadRun(f.ctx, f, start.Run.ID)
		require.NoError(t, err)
		require.Equal(t, event.Trace, state.Events[0].Trace)
		history, err := f.RunHistory(f.ctx, event.Environment, start.Run.ID)
		require.NoError(t, err)
		require.Equal(t, event.Trace, history.Events[0].Trace)
		read, err := f.Event(f.ctx, event.Environment, event.ID)
		require.NoError(t, err)
		require.Equal(t, event.Trace, read.Trace)
		listed, err := f.Events(f.ctx, store.EventQuery{Environment: event.Environment, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, event.Trace, listed[0].Trace)
		f.mustCommit(stepwell.Transition{
			Run: start.Run.ID, Environment: event.Environment, Settles: start.Run.Progress.Open[0].ID, At: event.ReceivedAt,
			Trace: event.Trace, End: &stepwell.End{Status: stepwell.RunCompleted, Output: json.RawMessage(`1`)},
		})
	}
}
