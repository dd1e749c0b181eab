package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// waiting is a new run that waits for events of a name, with the number id in their data (0: with any), since some time.
func (f *fixture) waiting(name string, id int, since time.Time) stepwell.Wait {
	f.t.Helper()
	run, item := f.newRun()
	return f.wait(run, item, name, id, since)
}

// wait settles the item of a run by waiting.
func (f *fixture) wait(run stepwell.Run, item stepwell.Item, name string, id int, since time.Time) stepwell.Wait {
	f.t.Helper()
	w := stepwell.Wait{
		Run: run.ID, Environment: run.Environment, Kind: stepwell.WaitEvent, Name: name, Since: since,
		Item: stepwell.NewStepItem(run, stepwell.ItemTimeout, "wait", epoch().Add(24*time.Hour)),
	}
	if id != 0 {
		w.Expression = fmt.Sprintf("async.data.id == %d", id)
		w.Shape, w.KeyHash = stepwell.NewShape([]stepwell.Equality{{Path: []string{"data", "id"}, Value: float64(id)}})
	}
	f.mustCommit(stepwell.Transition{
		Run: run.ID, Settles: item.ID,
		Opens: []stepwell.Opening{{
			Step: stepwell.Step{ID: "wait", Name: "wait", Kind: stepwell.StepWaitForEvent, OpenedAt: epoch()}, Item: w.Item, Wait: &w,
		}},
	})
	return w
}

// named is the next event, with a name and a number in its data.
func (f *fixture) named(name string, id int) stepwell.Event {
	f.t.Helper()
	event := f.event("")
	event.Name, event.Data = name, json.RawMessage(fmt.Sprintf(`{"id":%d}`, id))
	return event
}

// waitsFor are the items of the waits that the event may end.
func (f *fixture) waitsFor(event stepwell.Event) []stepwell.ItemID {
	f.t.Helper()
	var items []stepwell.ItemID
	for cursor := ""; ; {
		waits, next, err := f.Waits(f.ctx, store.WaitQuery{Event: event, Cursor: cursor, Limit: 2})
		require.NoError(f.t, err)
		for _, w := range waits {
			items = append(items, w.Item.ID)
		}
		if cursor = next; next == "" {
			return items
		}
		require.Len(f.t, waits, 2)
	}
}

// later is after all events of a test.
func later() time.Time { return epoch().Add(30 * time.Minute) }

func testEventFindsItsWaits(t *testing.T, f *fixture) {
	one, two := f.waiting("ship/sent", 1, later()), f.waiting("ship/sent", 2, later())
	each, wild := f.waiting("ship/sent", 0, later()), f.waiting("ship/*", 1, later())
	other := f.waiting("ship/lost", 1, later())
	event := f.named("ship/sent", 1)
	require.Equal(t, []stepwell.EventID{event.ID}, f.ingest(event).Awaited)
	require.ElementsMatch(t, []stepwell.ItemID{one.Item.ID, each.Item.ID, wild.Item.ID}, f.waitsFor(event))
	require.ElementsMatch(t, []stepwell.ItemID{two.Item.ID, each.Item.ID}, f.waitsFor(f.named("ship/sent", 2)))
	require.ElementsMatch(t, []stepwell.ItemID{other.Item.ID, wild.Item.ID}, f.waitsFor(f.named("ship/lost", 1)))
	require.Empty(t, f.waitsFor(f.named("inngest/ship", 1)))

	waits, _, err := f.Waits(f.ctx, store.WaitQuery{Event: f.named("ship/lost", 1), Limit: 10})
	require.NoError(t, err)
	for _, w := range waits {
		if w.Item.ID == other.Item.ID {
			require.Equal(t, other.Run, w.Run)
			require.Equal(t, other.Expression, w.Expression)
			require.Equal(t, other.Name, w.Name)
			require.Equal(t, stepwell.StepID("wait"), w.Item.Step)
		}
	}
	elsewhere := f.named("ship/sent", 1)
	elsewhere.Environment.UUID[15]++
	require.Empty(t, f.waitsFor(elsewhere), "I24")
}

func testAwaitedEventIsUnroutedUntilItsWaitsWereLookedAt(t *testing.T, f *fixture) {
	f.waiting("ship/sent", 1, later())
	event := f.named("ship/sent", 2)
	start := f.start(event)
	require.Len(t, f.ingest(event, start).Opened, 1)
	for range 2 {
		unrouted, err := f.UnroutedEvents(f.ctx, 10)
		require.NoError(t, err)
		require.Equal(t, []stepwell.Event{event}, unrouted)
		again := f.ingest(event, start)
		require.NoError(t, again.Err)
		require.Empty(t, again.Opened, "I2: its runs are started once")
		require.Equal(t, []stepwell.EventID{event.ID}, again.Awaited)
	}
	require.NoError(t, f.Routed(f.ctx, []stepwell.EventID{event.ID}))
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, unrouted)
	require.Empty(t, f.ingest(event, start).Awaited)
}

func testWaitEndsWithItsStep(t *testing.T, f *fixture) {
	resumed, ended := f.waiting("ship/sent", 0, later()), f.waiting("ship/sent", 0, later())
	event := f.named("ship/sent", 1)
	f.ingest(event)
	done := recorded("wait", `{}`)
	done.Event = event.ID
	f.mustCommit(stepwell.Transition{Run: resumed.Run, Settles: resumed.Item.ID, Records: []stepwell.Step{done}})
	require.Equal(t, []stepwell.ItemID{ended.Item.ID}, f.waitsFor(event))
	f.commit(stepwell.Transition{Run: ended.Run, End: &stepwell.End{Status: stepwell.RunCancelled}})
	require.Empty(t, f.waitsFor(event))
	require.Empty(t, f.ingest(f.named("ship/sent", 1)).Awaited)

	state, err := store.LoadRun(f.ctx, f, resumed.Run)
	require.NoError(t, err)
	require.Equal(t, event.ID, state.Steps[0].Event, "it ends no other wait of the run")
}

func testWaitLooksBack(t *testing.T, f *fixture) {
	f.ingest(f.named("ship/sent", 1))
	run, item := f.newRun()
	since := f.named("ship/sent", 1)
	after := f.named("ship/sent", 2)
	for _, event := range []stepwell.Event{since, f.named("ship/lost", 1), after} {
		f.ingest(event)
	}
	w := f.wait(run, item, "ship/sent", 1, since.ReceivedAt)
	f.waiting("ship/other", 0, epoch())
	late := f.waiting("ship/sent", 0, later())
	wild := f.waiting("ship/*", 0, after.ReceivedAt)

	backs, err := f.LookBacks(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, backs, 2)
	byItem := map[stepwell.ItemID]store.LookBack{}
	for _, back := range backs {
		byItem[back.Wait.Item.ID] = back
	}
	require.NotContains(t, byItem, late.Item.ID)
	require.Equal(t, []stepwell.Event{since, after}, byItem[w.Item.ID].Events, "of the name, oldest first")
	require.Equal(t, w.Expression, byItem[w.Item.ID].Wait.Expression)
	require.Equal(t, after, byItem[wild.Item.ID].Events[0], "a wildcard")

	w.Since, wild.Since = after.ReceivedAt, time.Time{}
	require.NoError(t, f.LookedBack(f.ctx, []stepwell.Wait{w, wild}))
	backs, err = f.LookBacks(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, backs, 1)
	require.Equal(t, []stepwell.Event{after}, backs[0].Events)
	w.Since = time.Time{}
	require.NoError(t, f.LookedBack(f.ctx, []stepwell.Wait{w}))
	backs, err = f.LookBacks(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, backs)
	require.Contains(t, f.waitsFor(f.named("ship/sent", 1)), w.Item.ID, "it waits on")
}

// testEventEndsOneWaitOfARun: whoever decides about the second wait may not have known of the first.
func testEventEndsOneWaitOfARun(t *testing.T, f *fixture) {
	run, item := f.newRun()
	event, other := f.named("ship/sent", 1), f.named("ship/sent", 1)
	opens := stepwell.Transition{Run: run.ID, Settles: item.ID}
	var ends []stepwell.Transition
	for _, id := range []stepwell.StepID{"v", "w", "x"} {
		timeout := stepwell.NewStepItem(run, stepwell.ItemTimeout, id, later())
		opens.Opens = append(opens.Opens, stepwell.Opening{
			Step: stepwell.Step{ID: id, Kind: stepwell.StepWaitForEvent, OpenedAt: epoch()}, Item: timeout,
			Wait: &stepwell.Wait{Run: run.ID, Environment: run.Environment, Name: "ship/sent", Item: timeout},
		})
		done := recorded(id, `{}`)
		done.Event = event.ID
		ends = append(ends, stepwell.Transition{Run: run.ID, Settles: timeout.ID, Records: []stepwell.Step{done}})
	}
	f.mustCommit(opens)
	results, err := f.Commit(f.ctx, ends[:2])
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, stepwell.ErrConflict, "together")
	require.ErrorIs(t, f.commit(ends[2]).Err, stepwell.ErrConflict, "later")
	ends[2].Records[0].Event = other.ID
	f.mustCommit(ends[2])
	require.Len(t, f.waitsFor(event), 1, "it waits on")
}

// testEventAndWaitDoNotMissEachOther: they come at the same time.
func testEventAndWaitDoNotMissEachOther(t *testing.T, f *fixture) {
	for n := range 20 {
		run, item := f.newRun()
		name := fmt.Sprintf("ship/sent-%d", n)
		event := f.named(name, 1)
		var awaited []stepwell.EventID
		var both sync.WaitGroup
		both.Go(func() {
			results, err := f.Ingest(f.ctx, []store.Ingest{{
				Environment: event.Environment, Revision: 1, Now: event.ReceivedAt, Events: []store.IngestEvent{{Event: event}},
			}})
			if err == nil {
				awaited = results[0].Awaited
			}
		})
		w := f.wait(run, item, name, 1, event.ReceivedAt.Add(-time.Second))
		both.Wait()
		backs, err := f.LookBacks(f.ctx, 100)
		require.NoError(t, err)
		looksBack := false
		for _, back := range backs {
			looksBack = looksBack || back.Wait.Item.ID == w.Item.ID && len(back.Events) == 1
		}
		require.True(t, len(awaited) == 1 || looksBack, "event %d and its wait missed each other", n)
	}
}
