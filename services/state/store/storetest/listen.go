package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// invoke settles the item of a run by invoking a function, which it waits for in the returned item.
func (f *fixture) invoke(run stepwell.Run, item stepwell.Item, event stepwell.Event) (stepwell.Item, store.Committed) {
	f.t.Helper()
	child := stepwell.NewStepItem(run, stepwell.ItemInvoke, "call", epoch().Add(24*time.Hour))
	committed := f.commit(stepwell.Transition{
		Run: run.ID, Settles: item.ID, Opens: []stepwell.Opening{{
			Step: stepwell.Step{ID: "call", Name: "call", Kind: stepwell.StepInvoke, OpenedAt: epoch()}, Item: child, Emits: &event,
		}},
	})
	require.NoError(f.t, committed.Err)
	return child, committed
}

func testInvocationIsStoredWithItsStep(t *testing.T, f *fixture) {
	run, item := f.newRun()
	event := f.named(stepwell.EventInvoked, 1)
	_, committed := f.invoke(run, item, event)
	require.True(t, committed.ForRunner)
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Equal(t, []stepwell.Event{event}, unrouted)
	start := f.start(event)
	require.Len(t, f.ingest(event, start).Opened, 1)
	require.Empty(t, f.ingest(event, start).Opened, "I2")

	// An app that reports the step once more invokes nothing more.
	other, item := f.newRun()
	f.mustCommit(stepwell.Transition{Run: other.ID, Settles: item.ID, Opens: []stepwell.Opening{opening(other, "call"), opening(other, "x")}})
	again := f.named(stepwell.EventInvoked, 2)
	known := opening(other, "call")
	known.Emits = &again
	committed = f.commit(stepwell.Transition{
		Run: other.ID, Settles: stepwell.NewStepItem(other, stepwell.ItemStep, "x", epoch()).ID,
		Records: []stepwell.Step{recorded("x", `1`)}, Opens: []stepwell.Opening{known},
	})
	require.NoError(t, committed.Err)
	require.False(t, committed.ForRunner)
	unrouted, err = f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, unrouted)
}

func testEndResumesTheInvoker(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named(stepwell.EventInvoked, 1))
	end := func(environment stepwell.EnvironmentID) stepwell.Transition {
		run, item := f.newRun()
		return stepwell.Transition{
			Run: run.ID, Environment: environment, Settles: item.ID, At: epoch(),
			End: &stepwell.End{Status: stepwell.RunCompleted, Resumes: []stepwell.Resume{{Item: child.ID, Step: recorded("call", `42`)}}},
		}
	}
	elsewhere := parent.Environment
	elsewhere.UUID[15]++
	require.ErrorIs(t, f.commit(end(elsewhere)).Err, stepwell.ErrNotFound, "I24")

	first, second := end(parent.Environment), end(parent.Environment)
	committed := f.commit(first)
	require.NoError(t, committed.Err)
	require.Equal(t, 1, discoveries(committed.Opened))
	require.Equal(t, parent.ID, committed.Opened[0].Run)
	require.Equal(t, []stepwell.ItemID{child.ID}, committed.Dropped)
	committed = f.commit(second)
	require.NoError(t, committed.Err, "it ends although its invoker has gone on")
	require.Empty(t, committed.Opened)
	state, err := store.LoadRun(f.ctx, f, parent.ID)
	require.NoError(t, err)
	require.Len(t, state.Steps, 1)
	require.JSONEq(t, `42`, string(state.Steps[0].Result.JSON))
	require.Equal(t, stepwell.StepInvoke, state.Steps[0].Kind)
}

func testWhoListensIsTold(t *testing.T, f *fixture) {
	run, item := f.newRun()
	end := stepwell.Transition{
		Run: run.ID, Environment: run.Environment, Settles: item.ID, At: epoch(),
		End: &stepwell.End{Status: stepwell.RunFailed, Unheard: []string{stepwell.EventFinished, stepwell.EventFailed}},
	}
	handler := f.newFunction("handler")
	handler.Triggers = []stepwell.Trigger{{Event: "a/b"}, {Event: stepwell.EventFailed, Expression: "true"}}
	other, otherItem := f.newRun()
	sync := func(checksum string, functions ...stepwell.Function) {
		f.app.Checksum = checksum
		_, err := f.SyncApp(f.ctx, f.app, append(functions, f.function))
		require.NoError(t, err)
	}
	sync("2", handler)
	require.ErrorIs(t, f.commit(end).Err, stepwell.ErrStale)
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Equal(t, stepwell.RunRunning, state.Run.Status, "nothing of it was applied")

	event := f.named(stepwell.EventFailed, 1)
	told := end
	told.End = &stepwell.End{Status: stepwell.RunFailed, Unheard: []string{stepwell.EventFinished}, Emits: []stepwell.Event{event}}
	committed := f.commit(told)
	require.NoError(t, committed.Err)
	require.True(t, committed.ForRunner)
	unrouted, err := f.UnroutedEvents(f.ctx, 10)
	require.NoError(t, err)
	require.Equal(t, []stepwell.Event{event}, unrouted)

	end.Run, end.Settles = other.ID, otherItem.ID
	end.End.Emits = []stepwell.Event{f.named(stepwell.EventCancelled, 1)}
	sync("3") // the handler is archived
	committed = f.commit(end)
	require.NoError(t, committed.Err)
	require.False(t, committed.ForRunner)
}

func testRunThatWaitsListens(t *testing.T, f *fixture) {
	w := f.waiting(stepwell.EventFinished, 0, later())
	run, item := f.newRun()
	end := stepwell.Transition{
		Run: run.ID, Environment: run.Environment, Settles: item.ID, At: epoch(),
		End: &stepwell.End{Status: stepwell.RunCompleted, Unheard: []string{stepwell.EventFinished}},
	}
	require.ErrorIs(t, f.commit(end).Err, stepwell.ErrStale)
	f.mustCommit(settle(w.Item, `null`))
	require.NoError(t, f.commit(end).Err)
}

// awaitSignal settles the item of a run by waiting for a signal.
func (f *fixture) awaitSignal(run stepwell.Run, item stepwell.Item, signal string, replaces bool) (stepwell.Wait, store.Committed) {
	f.t.Helper()
	w := stepwell.Wait{
		Run: run.ID, Environment: run.Environment, Kind: stepwell.WaitSignal, Name: signal, Replaces: replaces,
		Item: stepwell.NewStepItem(run, stepwell.ItemTimeout, "signal", epoch().Add(24*time.Hour)),
	}
	return w, f.commit(stepwell.Transition{
		Run: run.ID, Settles: item.ID, At: epoch(), Opens: []stepwell.Opening{{
			Step: stepwell.Step{ID: "signal", Name: "signal", Kind: stepwell.StepWaitForSignal, OpenedAt: epoch()}, Item: w.Item, Wait: &w,
		}},
	})
}

// waitOf is the item of the wait for a signal; empty if there is none.
func (f *fixture) waitOf(environment stepwell.EnvironmentID, signal string) stepwell.ItemID {
	f.t.Helper()
	w, err := f.SignalWait(f.ctx, environment, signal)
	if err != nil {
		require.ErrorIs(f.t, err, stepwell.ErrNotFound)
	}
	return w.Item.ID
}

func testSignalHasOneWait(t *testing.T, f *fixture) {
	run, item := f.newRun()
	require.Empty(t, f.waitOf(run.Environment, "approve"))
	w, committed := f.awaitSignal(run, item, "approve", false)
	require.NoError(t, committed.Err)
	require.Equal(t, w.Item.ID, f.waitOf(run.Environment, "approve"))
	require.Empty(t, f.waitsFor(f.named("approve", 1)), "an event is no signal")
	elsewhere := run.Environment
	elsewhere.UUID[15]++
	require.Empty(t, f.waitOf(elsewhere, "approve"), "I24")

	other, item := f.newRun()
	_, committed = f.awaitSignal(other, item, "approve", false)
	require.ErrorIs(t, committed.Err, stepwell.ErrTaken)
	require.Equal(t, w.Item.ID, f.waitOf(run.Environment, "approve"))

	f.mustCommit(settle(w.Item, `{}`))
	require.Empty(t, f.waitOf(run.Environment, "approve"))
	_, committed = f.awaitSignal(other, item, "approve", false)
	require.NoError(t, committed.Err)
}

func testSignalWaitIsReplaced(t *testing.T, f *fixture) {
	run, item := f.newRun()
	first, committed := f.awaitSignal(run, item, "approve", false)
	require.NoError(t, committed.Err)
	other, item := f.newRun()
	second, committed := f.awaitSignal(other, item, "approve", true)
	require.NoError(t, committed.Err)
	require.Equal(t, second.Item.ID, f.waitOf(run.Environment, "approve"))
	require.Equal(t, 1, discoveries(f.mustCommit(settle(first.Item, `null`))), "it still times out")
	require.Equal(t, second.Item.ID, f.waitOf(run.Environment, "approve"))
}

func testRunListensToWhatCancelsIt(t *testing.T, f *fixture) {
	event := f.named("order/paid", 1)
	start := f.start(event)
	w := stepwell.Wait{
		Run: start.Run.ID, Environment: start.Run.Environment, Kind: stepwell.WaitCancel, Name: "order/refunded",
		Item: stepwell.NewCancelItem(start.Run, 0), Until: epoch().Add(time.Hour), Since: event.ReceivedAt,
		Expression: "async.data.id == 1",
	}
	w.Shape, w.KeyHash = stepwell.NewShape([]stepwell.Equality{{Path: []string{"data", "id"}, Value: 1.0}})
	start.Waits = []stepwell.Wait{w}
	require.False(t, f.ingest(event, start).ForRunner)

	refund := f.named("order/refunded", 1)
	require.Equal(t, []stepwell.EventID{refund.ID}, f.ingest(refund).Awaited)
	waits, _, err := f.Waits(f.ctx, store.WaitQuery{Event: refund, Limit: 10})
	require.NoError(t, err)
	require.Len(t, waits, 1)
	require.Equal(t, stepwell.WaitCancel, waits[0].Kind)
	require.Equal(t, w.Item.ID, waits[0].Item.ID)
	require.Equal(t, w.Until, waits[0].Until)
	require.Empty(t, f.waitsFor(f.named("order/refunded", 2)))

	// What came between event and start is looked back for.
	late := f.named("order/paid", 1)
	early := f.named("order/refunded", 1)
	f.ingest(early)
	start = f.start(late)
	w.Run, w.Item, w.Since = start.Run.ID, stepwell.NewCancelItem(start.Run, 0), late.ReceivedAt
	start.Waits = []stepwell.Wait{w}
	require.True(t, f.ingest(late, start).ForRunner)
	backs, err := f.LookBacks(f.ctx, 10)
	require.NoError(t, err)
	require.Len(t, backs, 1)
	require.Equal(t, []stepwell.EventID{early.ID}, []stepwell.EventID{backs[0].Events[len(backs[0].Events)-1].ID})

	f.mustCommit(stepwell.Transition{Run: start.Run.ID, At: epoch(), End: &stepwell.End{Status: stepwell.RunCancelled}})
	backs, err = f.LookBacks(f.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, backs, "the waits of a run end with it")
}

func testIdempotencyKeyStartsOnce(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named("unrelated", 1))
	start := func(event stepwell.Event, once string) stepwell.RunStart {
		s := f.start(event)
		s.Once = once
		s.Refused = &stepwell.Resume{Item: child.ID, Step: recorded("call", `"refused"`)}
		return s
	}
	one, two, other := f.event(""), f.event("order-2"), f.event("")
	first := f.ingest(one, start(one, "ada"))
	require.Len(t, first.Opened, 1)
	again := f.ingest(one, start(one, "ada"))
	require.Equal(t, first.Runs[0][0].ID, again.Runs[0][0].ID)
	require.Empty(t, again.Opened, "an event that is sent again is not refused")
	require.Len(t, f.ingest(other, start(other, "bob")).Opened, 1)

	refused := f.ingest(two, start(two, "ada"))
	require.True(t, refused.Runs[0][0].Existed)
	require.Equal(t, first.Runs[0][0].ID, refused.Runs[0][0].ID)
	require.Len(t, refused.Opened, 1, "the run that invoked it goes on")
	require.Equal(t, parent.ID, refused.Opened[0].Run)
	require.Contains(t, refused.Dropped, child.ID)

	later := f.event("")
	require.Len(t, f.ingestAt(epoch().Add(25*time.Hour), later, start(later, "ada")).Opened, 1, "the window is over")
}
