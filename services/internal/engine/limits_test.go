package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// settleWith settles a discovery of a run that has so many steps, which take so many bytes, by an answer with these.
func settleWith(steps, bytes int, ops ...stepwell.Op) stepwell.Transition {
	run := stepwell.Run{ID: stepwell.NewRunID(epoch(), stepwell.FunctionID{}, "limits")}
	run.Progress.StepCount, run.Progress.StateBytes = steps, bytes
	item := stepwell.NewDiscovery(run, 1, epoch())
	run.Progress.Open = []stepwell.Item{item}
	return engine.Settle(engine.Call{
		State: stepwell.RunState{Run: run, Function: stepwell.Function{Retries: 4}}, Item: item,
		Outcome: stepwell.Outcome{Ops: ops}, StartedAt: epoch(), EndedAt: epoch(),
	})
}

// ran is a step that yielded a string of so many bytes.
func ran(id string, bytes int) stepwell.Op {
	return stepwell.Op{
		Code: stepwell.OpStepRun, Step: stepwell.StepID(id), Name: id,
		Data: json.RawMessage(`"` + strings.Repeat("x", bytes-2) + `"`),
	}
}

// planned are as many steps that were found.
func planned(n int) []stepwell.Op {
	ops := make([]stepwell.Op, n)
	for i := range ops {
		ops[i] = stepwell.Op{Code: stepwell.OpStepPlanned, Step: stepwell.StepID(fmt.Sprint(i))}
	}
	return ops
}

// TestRunIsBounded: what grows beyond a bound ends the run at once, with an error that names the bound; what just fits
// does not.
func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	failing := stepwell.Op{Code: stepwell.OpStepFailed, Step: "a", Name: "a", Failure: ran("a", stepwell.StepBytesMax+1).Data}
	for name, test := range map[string]struct {
		fits, exceeds stepwell.Transition
		problem       string
	}{
		"a step's result": {
			settleWith(0, 0, ran("a", stepwell.StepBytesMax)),
			settleWith(0, 0, ran("a", stepwell.StepBytesMax+1)),
			`{"name":"step_output_too_large","message":"Step \"a\" yielded 4194305 bytes, at most 4194304 are allowed for one step","data":null}`,
		},
		"a step's error": {
			settleWith(0, 0, ran("a", stepwell.StepBytesMax)),
			settleWith(0, 0, failing),
			`{"name":"step_output_too_large","message":"Step \"a\" yielded 4194305 bytes, at most 4194304 are allowed for one step","data":null}`,
		},
		"steps that ran": {
			settleWith(stepwell.StepsMax-1, 0, ran("a", 2)),
			settleWith(stepwell.StepsMax, 0, ran("a", 2)),
			`{"name":"step_limit_exceeded","message":"The run has more than 1000 steps, the most that are allowed","data":null}`,
		},
		"steps that were found": {
			settleWith(10, 0, planned(stepwell.StepsMax-10)...),
			settleWith(10, 0, planned(stepwell.StepsMax-9)...),
			`{"name":"step_limit_exceeded","message":"The run has more than 1000 steps, the most that are allowed","data":null}`,
		},
		"all results": {
			settleWith(10, stepwell.StateBytesMax-5, ran("a", 5)),
			settleWith(10, stepwell.StateBytesMax-5, ran("a", 3), ran("b", 3)),
			`{"name":"state_too_large","message":"The results of the run's steps take 33554433 bytes, at most 33554432 are allowed","data":null}`,
		},
	} {
		require.Nil(t, test.fits.End, name)
		require.NotEmpty(t, len(test.fits.Records)+len(test.fits.Opens), name)
		require.NotNil(t, test.exceeds.End, name)
		require.Equal(t, stepwell.RunFailed, test.exceeds.End.Status, name)
		require.JSONEq(t, test.problem, string(test.exceeds.End.Output), name)
		require.Empty(t, test.exceeds.Records, name)
		require.Empty(t, test.exceeds.Opens, name)
		require.Nil(t, test.exceeds.Retry, name)
		require.Equal(t, stepwell.AttemptFailed, test.exceeds.Attempt.Status, name)
	}
}

// TestCheckpointIsBounded: it is refused, so that the app answers its call with what it has, which fails the run.
func TestCheckpointIsBounded(t *testing.T) {
	t.Parallel()
	item := stepwell.NewDiscovery(stepwell.Run{ID: stepwell.NewRunID(epoch(), stepwell.FunctionID{}, "limits")}, 1, epoch())
	_, err := engine.Checkpoint(item.ID, []stepwell.Op{ran("a", stepwell.StepBytesMax)}, epoch())
	require.NoError(t, err)
	_, err = engine.Checkpoint(item.ID, []stepwell.Op{ran("a", stepwell.StepBytesMax+1)}, epoch())
	require.ErrorIs(t, err, stepwell.ErrTooLarge)
	require.ErrorContains(t, err, `Step "a" yielded 4194305 bytes`)
}
