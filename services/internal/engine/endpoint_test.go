package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// inline is a report of a request to an endpoint, with what the app tells of it.
func inline(outcome stepwell.Outcome, recorded ...stepwell.Step) engine.Call {
	event := stepwell.Event{Environment: stepwell.DefaultEnvironment(), Name: "inngest/http.request"}
	function := stepwell.Function{Retries: 1, Triggers: []stepwell.Trigger{{Endpoint: true}}}
	id := stepwell.NewRunID(epoch(), stepwell.FunctionID{}, "endpoint")
	start := engine.StartEndpoint(id, function, event, 2, epoch())
	return engine.Call{
		State: stepwell.RunState{Run: start.Run, Function: function, Steps: recorded}, Item: start.Run.Progress.Open[0],
		Outcome: outcome, StartedAt: epoch(), EndedAt: epoch().Add(time.Second),
	}
}

func opsOf(ops ...stepwell.Op) stepwell.Outcome { return stepwell.Outcome{Ops: ops} }

// TestI7_EndpointRunHasADiscoveryOpen: for when its app says nothing more.
func TestI7_EndpointRunHasADiscoveryOpen(t *testing.T) {
	t.Parallel()
	call := inline(stepwell.Outcome{})
	require.Equal(t, engine.InlineItem(call.State.Run.ID), call.Item.ID)
	require.Equal(t, epoch().Add(engine.InlineFor), call.Item.DueAt)
	require.True(t, call.Item.Parked, "the queue need not know of it")
}

func TestReportOfStepsKeepsTheAppAtWork(t *testing.T) {
	t.Parallel()
	out, err := engine.Report(inline(opsOf(ran("a", 2), stepwell.Op{Code: stepwell.OpNone})))
	require.NoError(t, err)
	require.True(t, out.Keep)
	require.Len(t, out.Records, 1)
	require.Nil(t, out.End)
	_, err = engine.Report(inline(opsOf(ran("a", stepwell.StepBytesMax+1))))
	require.ErrorIs(t, err, stepwell.ErrTooLarge)
}

func TestReportOfAnythingElseIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]stepwell.Outcome{
		"a sleep":         opsOf(stepwell.Op{Code: stepwell.OpSleep, Step: "z"}),
		"planned steps":   opsOf(planned(2)...),
		"a failed step":   opsOf(stepwell.Op{Code: stepwell.OpStepError, Step: "a", Failure: []byte(`{}`)}),
		"a request":       opsOf(stepwell.Op{Code: stepwell.OpFetch, Step: "f"}),
		"the end":         opsOf(ran("a", 2), stepwell.Op{Code: stepwell.OpRunComplete, Data: []byte(`1`)}),
		"the app's error": {Failure: []byte(`{}`)},
	} {
		out, err := engine.Report(inline(outcome))
		require.NoError(t, err, name)
		require.False(t, out.Keep, name)
		require.NotNil(t, out.Attempt, name)
		require.Equal(t, name == "the end", out.End != nil, name)
		require.Equal(t, name == "a failed step" || name == "the app's error", out.Retry != nil, name)
	}
}

// TestRepeatedReportIsRecognized: an app that lost the answer is not told that it was superseded.
func TestRepeatedReportIsRecognized(t *testing.T) {
	t.Parallel()
	live := inline(stepwell.Outcome{}, stepwell.Step{ID: "a"}).State
	live.Run.Progress.Open = []stepwell.Item{stepwell.NewStepItem(live.Run, stepwell.ItemSleep, "z", epoch())}
	ended := live
	ended.Run.Status, ended.Run.Progress.Open = stepwell.RunCompleted, nil
	sleep := stepwell.Op{Code: stepwell.OpSleep, Step: "z"}
	end := stepwell.Op{Code: stepwell.OpRunComplete}
	require.True(t, engine.IsReported(live, opsOf(ran("a", 2), sleep)))
	require.False(t, engine.IsReported(live, opsOf(ran("b", 2), sleep)))
	require.False(t, engine.IsReported(live, opsOf(ran("a", 2), end)))
	require.True(t, engine.IsReported(ended, opsOf(ran("a", 2), end)))
	require.False(t, engine.IsReported(ended, opsOf(ran("b", 2))))
	require.False(t, engine.IsReported(live, stepwell.Outcome{Failure: []byte(`{}`)}))
}

// TestI15_WaitLooksBackPastCheckpoints: a step that was reported while the call went on may have sent what the next one
// awaits, before it was reported.
func TestI15_WaitLooksBackPastCheckpoints(t *testing.T) {
	t.Parallel()
	reported := stepwell.Step{ID: "send", OpenedAt: epoch().Add(time.Second / 2)}
	wait := stepwell.Op{Code: stepwell.OpWaitForEvent, Step: "w", Wait: &stepwell.Wait{Name: "a/b"}}
	out, err := engine.Report(inline(opsOf(wait), reported))
	require.NoError(t, err)
	require.Equal(t, epoch(), out.Opens[0].Wait.Since)
}
