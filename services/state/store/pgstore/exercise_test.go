package pgstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// exercise calls everything, each round with other runs.
func exercise(t *testing.T, s *pgstore.Store, round int) {
	t.Helper()
	ctx, environment := t.Context(), stepwell.DefaultEnvironment()
	app := stepwell.App{ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Checksum: fmt.Sprint(round / 2), SyncedAt: at()}
	function := stepwell.Function{
		ID: stepwell.NewFunctionID(app.ID, "f"), Environment: environment, App: app.ID, Slug: "f", Version: 1,
	}
	_, err := s.SyncApp(ctx, app, []stepwell.Function{function})
	require.NoError(t, err)
	require.NoError(t, s.HoldFunction(ctx, environment, function.ID, stepwell.Hold(round%2)))
	catalog, err := s.Functions(ctx, environment, -1)
	require.NoError(t, err)

	requests := ingests(t, function, catalog.Revision, round)
	requests[1].Events[0].Transitions = []stepwell.Transition{{
		Run: seeded(t, round), Settles: stepwell.NewDiscovery(stepwell.Run{ID: seeded(t, round)}, 1, at()).ID, At: at(),
	}}
	older := stepwell.EventID{ULID: seeded(t, round).ULID} // as in a batch
	batched := &requests[1].Events[0].Starts[0].Run
	batched.Events = append([]stepwell.EventID{older}, batched.Events...)
	for range 2 { // the second time nothing is new
		_, err = s.Ingest(ctx, requests)
		require.NoError(t, err)
	}
	var runs []stepwell.RunID
	for _, request := range requests[1:] {
		start := request.Events[0].Starts[0].Run
		runs = append(runs, start.ID)
		settle(t, s, start)
	}
	_, err = s.Holders(ctx, []stepwell.PlaceKey{{Function: function.ID, Key: "place1"}, {Function: function.ID, Key: "other"}})
	require.NoError(t, err)
	loaded, err := s.LoadRuns(ctx, runs)
	require.NoError(t, err)
	require.NoError(t, loaded[0].Err)
	require.Len(t, loaded[0].State.Events, 2)
	require.Equal(t, older, loaded[0].State.Events[0].ID)
	match(t, s, requests[1].Events[0].Event)
	fireBuffers(t, s, catalog.Revision)
	schedule(t, s, function, catalog.Revision, round)
	backlog(t, s)
	read(t, s, environment, function.ID, requests[1].Events[0].Event.ID, runs[0])
	require.NoError(t, s.Maintain(ctx, at().Add(-24*time.Hour)))
}

// ingests are one unrouted event, and some that start a run each, all but the first of these with a key.
func ingests(t *testing.T, function stepwell.Function, revision int64, round int) []store.Ingest {
	t.Helper()
	requests := []store.Ingest{{Environment: function.Environment, Unrouted: true, Now: at(), Events: []store.IngestEvent{
		{Event: eventAt(t, at().Add(time.Duration(round)*time.Minute), "")},
	}}}
	for i := range 40 {
		key := ""
		if i > 0 {
			key = fmt.Sprint("key", round, i/2)
		}
		event := eventAt(t, at().Add(time.Duration(round)*time.Minute+time.Duration(i+1)*time.Second), key)
		start := engine.Start(function, event, at())
		start.Run.Limits = []stepwell.LimitKey{{LimitName: stepwell.LimitName{Kind: stepwell.LimitThrottle}}}
		start.Deadline = at().Add(time.Hour)
		start.Place = &stepwell.Place{Key: fmt.Sprint("place", i)}
		start.Rate = &stepwell.Rate{Key: fmt.Sprint("key", i%3), Limit: 1000, Period: time.Hour}
		if i%4 == 2 {
			start.Place = nil // it takes one when it starts
			start.Buffering = &stepwell.Buffering{
				KeyHash: stepwell.BufferKeyHash(true, true, fmt.Sprint(i%8)), SizeMax: 10, For: time.Minute, EventTime: at(),
			}
		}
		requests = append(requests, store.Ingest{
			Environment: function.Environment, Revision: revision, Now: at(),
			Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
		})
	}
	return requests
}

// seeded is one of the runs that fill the tables.
func seeded(t *testing.T, n int) stepwell.RunID {
	t.Helper()
	const spacing = 2 * 24 * time.Hour / rowsPerTable
	id, err := ulid.New(ulid.Timestamp(at().Add(-2*24*time.Hour+time.Duration(n+1)*spacing.Truncate(time.Millisecond))), nil)
	require.NoError(t, err)
	id[14], id[15] = byte((n+1)>>8), byte(n+1)
	return stepwell.RunID{ULID: id}
}

// settle takes a run through a wait to its end.
func settle(t *testing.T, s *pgstore.Store, run stepwell.Run) {
	t.Helper()
	first := run.Progress.Open[0]
	timeout, signal := stepwell.NewStepItem(run, stepwell.ItemTimeout, "w", at()), stepwell.NewStepItem(run, stepwell.ItemTimeout, "s", at())
	for _, transition := range []stepwell.Transition{{
		Run: run.ID, Settles: first.ID, At: at(), Records: []stepwell.Step{{ID: "a", Status: stepwell.StepCompleted}},
		Attempt: &stepwell.Attempt{Item: first.ID, StartedAt: at(), EndedAt: at()},
		Opens: []stepwell.Opening{{Step: stepwell.Step{ID: "w"}, Item: timeout, Wait: &stepwell.Wait{
			Run: run.ID, Environment: run.Environment, Item: timeout, Name: "e", Since: at(),
		}}, {Step: stepwell.Step{ID: "s"}, Item: signal, Wait: &stepwell.Wait{
			Run: run.ID, Environment: run.Environment, Item: signal, Kind: stepwell.WaitSignal, Name: run.ID.String(),
		}}},
	}, {
		Run: run.ID, Settles: signal.ID, At: at(),
		Records: []stepwell.Step{{ID: "s", Status: stepwell.StepCompleted, Event: stepwell.EventID{ULID: run.ID.ULID}}},
	}, {
		Run: run.ID, Environment: run.Environment, Settles: timeout.ID, At: at(), Generation: 1,
		End: &stepwell.End{Status: stepwell.RunCompleted, Unheard: []string{stepwell.EventFinished}},
	}} {
		results, err := s.Commit(t.Context(), []stepwell.Transition{transition})
		require.NoError(t, err)
		if results[0].Err != nil {
			require.ErrorIs(t, results[0].Err, stepwell.ErrNotFound, "its key led to another run")
			return
		}
		if transition.Settles == first.ID {
			require.NoError(t, s.Claim(t.Context(), timeout.ID, 1, time.Time{}))
			require.NoError(t, s.Unpark(t.Context(), []stepwell.ItemID{timeout.ID}))
		}
	}
}

// match looks for the waits of an event, and back for a wait.
func match(t *testing.T, s *pgstore.Store, event stepwell.Event) {
	t.Helper()
	awaited := event
	for _, awaited.Name = range []string{"e", "crowd"} {
		_, _, err := s.Waits(t.Context(), store.WaitQuery{Event: awaited, Limit: 100})
		require.NoError(t, err)
	}
	backs, err := s.LookBacks(t.Context(), 100)
	require.NoError(t, err)
	require.NotEmpty(t, backs)
	var looked []stepwell.Wait // with as much left as before, for the next round
	for _, back := range backs {
		looked = append(looked, back.Wait)
	}
	require.NoError(t, s.LookedBack(t.Context(), looked))
	require.NoError(t, s.Routed(t.Context(), []stepwell.EventID{event.ID}))
}

// schedule sets the schedules of an environment, and fires those of all that are due.
func schedule(t *testing.T, s *pgstore.Store, function stepwell.Function, revision int64, round int) {
	t.Helper()
	ctx := t.Context()
	set := store.ScheduleSet{Environment: function.Environment, Revision: revision}
	for i := range 20 {
		set.Schedules = append(set.Schedules, stepwell.Schedule{
			Environment: function.Environment, Function: function.ID, Cron: fmt.Sprint(round, i), NextAt: at(),
		})
	}
	require.NoError(t, s.SetSchedules(ctx, set))
	due, err := s.DueSchedules(ctx, store.ScheduleQuery{Until: at(), Limit: 100})
	require.NoError(t, err)
	require.Len(t, due.Schedules, 100)
	require.NotEmpty(t, due.Outdated)
	var advances []store.ScheduleAdvance
	for i, schedule := range append(due.Schedules, set.Schedules...) {
		advances = append(advances, store.ScheduleAdvance{Schedule: schedule})
		if i%2 == 0 {
			advances[i].Next = schedule.NextAt.Add(time.Hour)
		}
	}
	require.NoError(t, s.AdvanceSchedules(ctx, advances))
}

// fireBuffers fires those that are due.
func fireBuffers(t *testing.T, s *pgstore.Store, revision int64) {
	t.Helper()
	due, _, err := s.DueBuffers(t.Context(), at().Add(time.Minute), 100)
	require.NoError(t, err)
	require.NotEmpty(t, due)
	for _, buffer := range due {
		require.False(t, buffer.Event.ID.IsZero())
		require.Greater(t, len(buffer.Run.Events), 1)
		results, err := s.Ingest(t.Context(), []store.Ingest{{
			Environment: buffer.Run.Environment, Revision: revision, Now: at(), Fires: []store.Fire{{
				Start: stepwell.RunStart{Run: buffer.Run.Skipped(stepwell.SkipFunctionArchived)}, KeyHash: buffer.KeyHash,
			}},
		}})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		require.Equal(t, stepwell.SkipFunctionArchived, results[0].Fired[0].Skip)
	}
}

func backlog(t *testing.T, s *pgstore.Store) {
	t.Helper()
	due, next, err := s.DueItems(t.Context(), store.DueQuery{Before: at(), Limit: 100})
	require.NoError(t, err)
	require.NotEmpty(t, due)
	_, _, err = s.DueItems(t.Context(), store.DueQuery{Before: at(), Limit: 100, Cursor: next})
	require.NoError(t, err)
	begun, next, err := s.ThrottleStarts(t.Context(), store.ThrottleQuery{Function: due[0].Function, Since: at().Add(-time.Hour), Limit: 100})
	require.NoError(t, err)
	require.Len(t, begun, 100)
	_, _, err = s.ThrottleStarts(t.Context(), store.ThrottleQuery{Function: due[0].Function, Since: at(), Limit: 100, Cursor: next})
	require.NoError(t, err)
	deadlines, err := s.Deadlines(t.Context(), at().Add(time.Hour), 100)
	require.NoError(t, err)
	require.NotEmpty(t, deadlines)
	deadlines[0].At = at().Add(2 * time.Hour)
	for i := range deadlines[1:] {
		deadlines[1+i].At = time.Time{}
	}
	require.NoError(t, s.MoveDeadlines(t.Context(), deadlines))
	parked, err := s.ParkedItems(t.Context(), at(), 100)
	require.NoError(t, err)
	require.Len(t, parked, 100)
	events, err := s.UnroutedEvents(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, events, 100)
}

func read(
	t *testing.T, s *pgstore.Store, environment stepwell.EnvironmentID, function stepwell.FunctionID,
	event stepwell.EventID, run stepwell.RunID,
) {
	t.Helper()
	ctx := t.Context()
	_, err := s.Run(ctx, environment, run)
	require.NoError(t, err)
	_, err = s.RunHistory(ctx, environment, run)
	require.NoError(t, err)
	for _, query := range []store.RunQuery{
		{}, {Event: event}, {Function: function}, {Function: function, Statuses: []stepwell.RunStatus{stepwell.RunCompleted}},
	} {
		query.Environment, query.Limit = environment, 20
		runs, err := s.Runs(ctx, query)
		require.NoError(t, err)
		require.NotEmpty(t, runs)
	}
	_, err = s.Event(ctx, environment, event)
	require.NoError(t, err)
	for _, name := range []string{"", "a/b"} {
		events, err := s.Events(ctx, store.EventQuery{Environment: environment, Name: name, Limit: 20})
		require.NoError(t, err)
		require.NotEmpty(t, events)
	}
}
