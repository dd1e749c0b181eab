package storetest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

func testSyncVersionsAndArchives(t *testing.T, f *fixture) {
	kept, changed, dropped := f.function, f.newFunction("changed"), f.newFunction("dropped")
	sync := func(checksum string, functions ...stepwell.Function) map[string]stepwell.Function {
		f.app.Checksum, f.app.SyncedAt = checksum, f.app.SyncedAt.Add(time.Minute)
		modified, err := f.SyncApp(f.ctx, f.app, functions)
		require.NoError(t, err)
		require.True(t, modified)
		got, err := f.Functions(f.ctx, f.app.Environment, -1)
		require.NoError(t, err)
		bySlug := map[string]stepwell.Function{}
		for _, function := range got.Functions {
			bySlug[function.Name] = function
		}
		return bySlug
	}
	sync("2", kept, changed, dropped)
	changed.Retries = 7
	got := sync("3", kept, changed)
	require.Equal(t, 1, got["charge"].Version)
	require.Equal(t, 2, got["changed"].Version)
	require.Equal(t, 7, got["changed"].Retries)
	require.Equal(t, f.app.SyncedAt, got["dropped"].ArchivedAt.UTC())
	require.True(t, got["charge"].ArchivedAt.IsZero())

	got = sync("4", kept, changed, dropped)
	require.True(t, got["dropped"].ArchivedAt.IsZero(), "it is back")
	require.Equal(t, 2, got["dropped"].Version)
}

func testSyncOfTheSameIsNoChange(t *testing.T, f *fixture) {
	before, err := f.Functions(f.ctx, f.app.Environment, -1)
	require.NoError(t, err)
	f.app.SyncedAt = f.app.SyncedAt.Add(time.Minute)
	modified, err := f.SyncApp(f.ctx, f.app, []stepwell.Function{f.function})
	require.NoError(t, err)
	require.False(t, modified)

	after, err := f.Functions(f.ctx, f.app.Environment, before.Revision)
	require.NoError(t, err)
	require.Equal(t, store.Functions{Revision: before.Revision}, after, "the revision is known")
	after, err = f.Functions(f.ctx, f.app.Environment, -1)
	require.NoError(t, err)
	require.Equal(t, f.app.SyncedAt, after.Apps[0].SyncedAt.UTC())
}

func testDueItemsArePaged(t *testing.T, f *fixture) {
	run, item := f.newRun()
	open := make([]stepwell.Opening, 5)
	for i, step := range stepIDs(5) {
		due := epoch().Add(time.Duration(5-i) * time.Hour)
		open[i] = stepwell.Opening{
			Step: stepwell.Step{ID: step, Kind: stepwell.StepSleep, DueAt: due},
			Item: stepwell.NewStepItem(run, stepwell.ItemSleep, step, due),
		}
	}
	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Opens: open})

	var due []stepwell.ItemID
	query := store.DueQuery{Before: epoch().Add(4*time.Hour + time.Second), Limit: 3}
	for page := 1; ; page++ {
		items, next, err := f.DueItems(f.ctx, query)
		require.NoError(t, err)
		require.LessOrEqual(t, len(items), query.Limit)
		for _, item := range items {
			due = append(due, item.ID)
		}
		if query.Cursor = next; next == "" {
			break
		}
		require.Less(t, page, 4)
	}
	want := []stepwell.ItemID{open[4].Item.ID, open[3].Item.ID, open[2].Item.ID, open[1].Item.ID}
	require.Equal(t, want, due, "earliest first, none beyond the instant")
	for hours, count := range map[int]int{1: 4, 2: 0} {
		query := store.DueQuery{After: epoch().Add(time.Duration(hours) * time.Hour), Before: query.Before, Limit: 10}
		items, next, err := f.DueItems(f.ctx, query)
		require.NoError(t, err)
		require.Empty(t, next)
		require.Len(t, items, count, "of a run of which no item is due before")
	}
}

func testParkedItemsAreFoundUntilUnparked(t *testing.T, f *fixture) {
	at := epoch().Add(time.Hour) // when the fixture commits
	hour := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	run, item := f.newRun()
	transition := stepwell.Transition{Run: run.ID, Settles: item.ID}
	for i, due := range []time.Time{hour(3), at, hour(2), at.Add(stepwell.Horizon), hour(1)} {
		transition.Opens = append(transition.Opens, stepwell.Opening{
			Step: stepwell.Step{ID: stepIDs(5)[i], Kind: stepwell.StepSleep, DueAt: due},
			Item: stepwell.NewStepItem(run, stepwell.ItemSleep, stepIDs(5)[i], due),
		})
	}
	opened := f.mustCommit(transition)
	for i, parked := range []bool{true, false, true, false, true} {
		require.Equal(t, parked, opened[i].Parked, "item %d", i)
	}
	parked := func(before time.Time, limit int) []stepwell.Item {
		items, err := f.ParkedItems(f.ctx, before, limit)
		require.NoError(t, err)
		return items
	}
	require.Empty(t, parked(hour(1), 10), "due before, not at")
	require.Equal(t, []stepwell.Item{opened[4]}, parked(hour(1).Add(time.Second), 10))
	require.Equal(t, []stepwell.Item{opened[4], opened[2], opened[0]}, parked(hour(9), 10), "earliest first")

	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: opened[2].ID})
	_, closed := f.newRun()
	f.mustCommit(stepwell.Transition{Run: closed.Run, Settles: closed.ID, End: &stepwell.End{Status: stepwell.RunFailed}})
	require.NoError(t, f.Unpark(f.ctx, []stepwell.ItemID{opened[4].ID, opened[2].ID, opened[1].ID, closed.ID, "odd"}))
	require.Equal(t, []stepwell.Item{opened[0]}, parked(hour(9), 10))
	require.NoError(t, f.Unpark(f.ctx, []stepwell.ItemID{opened[4].ID}), "again")
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	got, open := state.Run.Progress.OpenItem(opened[4].ID)
	require.True(t, open, "it is only in the queue now")
	require.False(t, got.Parked)

	retry := opened[4].Next(hour(30))
	again := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: opened[4].ID, Retry: &retry})
	require.Equal(t, []stepwell.Item{opened[0], again[0]}, parked(hour(99), 10))
	require.Len(t, parked(hour(99), 1), 1)
}

func testManyRunsAreLoadedAtOnce(t *testing.T, f *fixture) {
	var ids []stepwell.RunID
	for range 3 {
		run, item := f.newRun()
		ids = append(ids, run.ID)
		f.mustCommit(stepwell.Transition{
			Run: run.ID, Settles: item.ID, Records: []stepwell.Step{recorded("a", `"of `+run.ID.String()+`"`)},
		})
	}
	unknown := f.start(f.event("")).Run.ID
	asked := []stepwell.RunID{ids[2], unknown, ids[0], ids[2]}
	loaded, err := f.LoadRuns(f.ctx, asked)
	require.NoError(t, err)
	require.Len(t, loaded, len(asked))
	for i, id := range asked {
		if id == unknown {
			require.ErrorIs(t, loaded[i].Err, stepwell.ErrNotFound)
			continue
		}
		require.NoError(t, loaded[i].Err)
		require.Equal(t, id, loaded[i].State.Run.ID)
		require.JSONEq(t, `"of `+id.String()+`"`, string(loaded[i].State.Steps[0].Result.JSON))
	}
	none, err := f.LoadRuns(f.ctx, nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func testRunsArePagedNewestFirst(t *testing.T, f *fixture) {
	var ids []stepwell.RunID
	for range 5 {
		run, item := f.newRun()
		ids = append([]stepwell.RunID{run.ID}, ids...)
		if len(ids)%2 == 0 {
			f.mustCommit(stepwell.Transition{
				Run: run.ID, Settles: item.ID, End: &stepwell.End{Status: stepwell.RunFailed},
			})
		}
	}
	list := func(query store.RunQuery) []stepwell.RunID {
		query.Environment = f.app.Environment
		runs, err := f.Runs(f.ctx, query)
		require.NoError(t, err)
		var got []stepwell.RunID
		for _, run := range runs {
			got = append(got, run.ID)
		}
		return got
	}
	require.Equal(t, ids[:3], list(store.RunQuery{Limit: 3}))
	require.Equal(t, ids[3:], list(store.RunQuery{Limit: 3, Before: ids[2]}))
	failed := []stepwell.RunStatus{stepwell.RunFailed}
	require.Equal(t, []stepwell.RunID{ids[1], ids[3]}, list(store.RunQuery{Limit: 10, Statuses: failed}))
	require.Equal(t, ids, list(store.RunQuery{Limit: 10, Function: f.function.ID}))
	require.Empty(t, list(store.RunQuery{Limit: 10, Function: f.newFunction("other").ID}))
}

func testEventsArePagedNewestFirst(t *testing.T, f *fixture) {
	var ids []stepwell.EventID
	for i := range 5 {
		event := f.event("")
		if i == 3 {
			event.Name = "order/refunded"
		}
		f.ingest(event)
		ids = append([]stepwell.EventID{event.ID}, ids...)
	}
	list := func(query store.EventQuery) []stepwell.EventID {
		query.Environment = f.app.Environment
		events, err := f.Events(f.ctx, query)
		require.NoError(t, err)
		var got []stepwell.EventID
		for _, event := range events {
			got = append(got, event.ID)
		}
		return got
	}
	require.Equal(t, ids[:2], list(store.EventQuery{Limit: 2}))
	require.Equal(t, ids[2:], list(store.EventQuery{Limit: 10, Before: ids[1]}))
	require.Equal(t, []stepwell.EventID{ids[1]}, list(store.EventQuery{Limit: 10, Name: "order/refunded"}))
}

func testEnvironmentsSeeNothing(t *testing.T, f *fixture) {
	run, _ := f.newRun()
	other := stepwell.EnvironmentID{UUID: uuid.MustParse("00000000-0000-4000-b000-000000000001")}
	_, err := f.Run(f.ctx, other, run.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	_, err = f.RunHistory(f.ctx, other, run.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	_, err = f.Event(f.ctx, other, run.Events[0])
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	runs, err := f.Runs(f.ctx, store.RunQuery{Environment: other, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, runs)
	runs, err = f.Runs(f.ctx, store.RunQuery{Environment: other, Event: run.Events[0], Limit: 10})
	require.NoError(t, err)
	require.Empty(t, runs)
	events, err := f.Events(f.ctx, store.EventQuery{Environment: other, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, events)
	cancel := stepwell.Transition{
		Run: run.ID, Environment: other, End: &stepwell.End{Status: stepwell.RunCancelled},
	}
	require.ErrorIs(t, f.commit(cancel).Err, stepwell.ErrNotFound)
	functions, err := f.Functions(f.ctx, other, -1)
	require.NoError(t, err)
	require.Equal(t, store.Functions{}, functions)
}

func testUnknownIsNotFound(t *testing.T, f *fixture) {
	event := f.event("")
	start := f.start(event)
	_, err := store.LoadRun(f.ctx, f, start.Run.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	require.ErrorIs(t, f.Claim(f.ctx, start.Run.Progress.Open[0].ID, 1, epoch()), stepwell.ErrNotFound)
	require.ErrorIs(t, f.commit(stepwell.Transition{Run: start.Run.ID}).Err, stepwell.ErrNotFound)
}
