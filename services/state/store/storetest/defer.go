package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// deferring records that the run defers a function, while its call goes on.
func deferring(item stepwell.Item, ids ...stepwell.StepID) stepwell.Transition {
	t := stepwell.Transition{Run: item.Run, Settles: item.ID, Keep: true, At: epoch()}
	for _, id := range ids {
		t.Records = append(t.Records, deferral(id, `{}`))
	}
	return t
}

func deferral(id stepwell.StepID, input string) stepwell.Step {
	return stepwell.Step{
		ID: id, Name: string(id), Kind: stepwell.StepDefer, Status: stepwell.StepCompleted,
		Result: stepwell.EncodeDeferral(stepwell.Deferral{Function: "app-later", Input: json.RawMessage(input)}),
	}
}

func testEndKnowsWhatWasDeferred(t *testing.T, f *fixture) {
	run, item := f.newRun()
	committed := f.commit(deferring(item, "d1"))
	require.NoError(t, committed.Err)
	require.Zero(t, committed.PriorStepCount)
	again := deferring(item, "d1", "d2")
	again.Records[0] = deferral("d1", `{"changed":1}`)
	committed = f.commit(again)
	require.NoError(t, committed.Err)
	require.Zero(t, committed.PriorStepCount, "it is no step that functions see")

	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Empty(t, state.Steps)
	require.Zero(t, state.Run.Progress.StepCount)
	require.Zero(t, state.Run.Progress.StateBytes)
	require.Equal(t, 2, state.Run.Progress.DeferCount)
	require.Len(t, state.Defers, 2)
	require.Equal(t, stepwell.StepID("d1"), state.Defers[0].ID)
	require.Equal(t, `{}`, string(stepwell.DecodeDeferral(state.Defers[0].Result).Input), "I10: the first one stays")

	end := stepwell.Transition{
		Run: run.ID, Environment: run.Environment, Settles: item.ID, At: epoch(),
		End: &stepwell.End{Status: stepwell.RunCompleted, DeferCount: 1},
	}
	require.ErrorIs(t, f.commit(end).Err, stepwell.ErrStale)
	state, err = store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Equal(t, stepwell.RunRunning, state.Run.Status, "nothing of it was applied")

	end.End.DeferCount = 2
	end.Records = []stepwell.Step{deferral("d3", `{}`)}
	require.NoError(t, f.commit(end).Err)
	history, err := f.RunHistory(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Len(t, history.Steps, 3)
	require.ErrorIs(t, f.commit(deferring(item, "d4")).Err, stepwell.ErrConflict)
}

func testDeferringIsBounded(t *testing.T, f *fixture) {
	run, item := f.newRun()
	large := deferring(item, "fits", "too-large", "small")
	large.Records[0] = deferral("fits", `"`+strings.Repeat("x", stepwell.DeferBytesMax-100)+`"`)
	large.Records[1] = deferral("too-large", `"`+strings.Repeat("x", 200)+`"`)
	require.NoError(t, f.commit(large).Err)
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Defers, 3)
	require.Equal(t, []stepwell.StepStatus{stepwell.StepCompleted, stepwell.StepFailed, stepwell.StepCompleted},
		[]stepwell.StepStatus{state.Defers[0].Status, state.Defers[1].Status, state.Defers[2].Status})

	var many []stepwell.StepID
	for i := range 3 * stepwell.DefersMax {
		many = append(many, stepwell.StepID(fmt.Sprintf("d%02d", i)))
	}
	require.NoError(t, f.commit(deferring(item, many...)).Err, "the run goes on")
	state, err = store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Defers, 2*stepwell.DefersMax, "as many may be deferred and aborted")
	require.Equal(t, 2*stepwell.DefersMax, state.Run.Progress.DeferCount)
}
