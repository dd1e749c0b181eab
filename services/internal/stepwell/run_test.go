package stepwell_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestRunStatusesAreSpelledAsSDKsKnowThem(t *testing.T) {
	t.Parallel()
	names := map[stepwell.RunStatus]string{
		stepwell.RunRunning: "Running", stepwell.RunCompleted: "Completed", stepwell.RunFailed: "Failed",
		stepwell.RunCancelled: "Cancelled", stepwell.RunSkipped: "Skipped",
	}
	for status, name := range names {
		require.Equal(t, name, status.String())
		parsed, err := stepwell.ParseRunStatus(name)
		require.NoError(t, err)
		require.Equal(t, status, parsed)
		require.Equal(t, status != stepwell.RunRunning, status.Ended())
	}
	require.Equal(t, "Unknown", (stepwell.RunSkipped + 1).String())
	for _, text := range []string{"", "completed", "Unknown", " Failed"} {
		_, err := stepwell.ParseRunStatus(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid)
		require.EqualError(t, err,
			`run status "`+text+`" is unknown: use Running, Completed, Failed, Cancelled or Skipped`)
	}
}

func TestOpenItemsAreFoundByIDAndByStep(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	discovery := stepwell.NewDiscovery(run, 1, instant())
	sleep := stepwell.NewStepItem(run, stepwell.ItemSleep, "nap", instant())
	// No item of a discovery belongs to a step, whatever it says.
	odd := stepwell.NewDiscovery(run, 2, instant())
	odd.Step = "odd"
	progress := stepwell.Progress{Open: []stepwell.Item{discovery, sleep, odd}}

	item, open := progress.OpenItem(sleep.ID)
	require.True(t, open)
	require.Equal(t, sleep, item)
	_, open = progress.OpenItem(sleep.Next(instant()).ID)
	require.False(t, open)
	_, open = stepwell.Progress{}.OpenItem("")
	require.False(t, open)

	require.True(t, progress.OpenStep("nap"))
	require.False(t, progress.OpenStep("other"))
	require.False(t, progress.OpenStep(""))
	require.False(t, progress.OpenStep("odd"))
}

func TestRecordedStepsAreKnown(t *testing.T) {
	t.Parallel()
	state := stepwell.RunState{Steps: []stepwell.Step{{ID: "a"}, {ID: "b"}}}
	require.True(t, state.Recorded("a"))
	require.True(t, state.Recorded("b"))
	require.False(t, state.Recorded("c"))
	require.False(t, stepwell.RunState{}.Recorded(""))
}

func TestFirstAttemptIsNoRetry(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, stepwell.Function{}.AttemptsMax())
	require.Equal(t, 5, stepwell.Function{Retries: stepwell.RetriesDefault}.AttemptsMax())
}

func TestEventIsKnownByThePublishersIDIfItHasOne(t *testing.T) {
	t.Parallel()
	id, err := stepwell.ParseEventID(ulidText)
	require.NoError(t, err)
	require.Equal(t, ulidText, stepwell.Event{ID: id}.PublicID())
	require.Equal(t, "order-1", stepwell.Event{ID: id, Key: "order-1"}.PublicID())
}

// TestMemosHaveTheFormThatSDKsMatch: exactly one member, or the bare value.
func TestMemosHaveTheFormThatSDKsMatch(t *testing.T) {
	t.Parallel()
	value := json.RawMessage(`{"big": 12345678901234567890, "<": "&"}`)
	forms := map[stepwell.ResultKind]string{
		stepwell.ResultData: `{"data":` + string(value) + `}`, stepwell.ResultError: `{"error":` + string(value) + `}`,
		stepwell.ResultBare: string(value),
	}
	for kind, form := range forms {
		result := stepwell.Result{Kind: kind, JSON: value}
		require.Equal(t, "memo: "+form, string(result.AppendMemo([]byte("memo: "))))
	}
}

func TestFailureIsReadableByEverySDK(t *testing.T) {
	t.Parallel()
	require.JSONEq(t, `{"name":"Error","message":"a < b & \"c\"","data":null}`,
		string(stepwell.Failure{Name: "Error", Message: `a < b & "c"`}.JSON()))
	require.JSONEq(t, `{"name":"","message":"","stack":"at f\nat g","data":null}`,
		string(stepwell.Failure{Stack: "at f\nat g"}.JSON()))
	require.True(t, json.Valid(stepwell.Failure{Message: "\xff\x00"}.JSON()))
}

func TestStepsAndAttemptsAreShownByName(t *testing.T) {
	t.Parallel()
	kinds := map[stepwell.StepKind]string{
		stepwell.StepRun: "run", stepwell.StepSleep: "sleep", stepwell.StepWaitForEvent: "waitForEvent",
		stepwell.StepWaitForSignal: "waitForSignal", stepwell.StepInvoke: "invoke", stepwell.StepFetch: "fetch",
		stepwell.StepInfer: "infer", stepwell.StepDefer: "defer", stepwell.StepDeferAbort: "abortDefer", stepwell.StepDeferAbort + 1: "unknown",
	}
	for kind, name := range kinds {
		require.Equal(t, name, kind.String())
	}
	statuses := map[stepwell.StepStatus]string{
		stepwell.StepOpen: "Open", stepwell.StepCompleted: "Completed", stepwell.StepFailed: "Failed",
		stepwell.StepFailed + 1: "Unknown",
	}
	for status, name := range statuses {
		require.Equal(t, name, status.String())
	}
	attempts := map[stepwell.AttemptStatus]string{
		stepwell.AttemptCompleted: "Completed", stepwell.AttemptRetried: "Retried", stepwell.AttemptFailed: "Failed",
		stepwell.AttemptFailed + 1: "Unknown",
	}
	for status, name := range attempts {
		require.Equal(t, name, status.String())
	}
}
