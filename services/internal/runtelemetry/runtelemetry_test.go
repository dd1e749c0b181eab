package runtelemetry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
)

// function is the n-th of many.
func function(n int) stepwell.Function {
	slug := fmt.Sprintf("shop-%d", n)
	return stepwell.Function{ID: stepwell.NewFunctionID(stepwell.AppID{}, slug), Slug: slug}
}

// TestFunctionsAreBounded: however many there are, metrics do not grow without bound, and nothing is left out of them.
func TestFunctionsAreBounded(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	r, err := runtelemetry.New(telemeter)
	require.NoError(t, err)
	const count = runtelemetry.FunctionsMax + 50
	for n := range count {
		r.Know(function(n))
		r.Scheduled(t.Context(), function(n).ID)
	}
	r.Scheduled(t.Context(), stepwell.FunctionID{}) // one that nobody knows
	text := seen.Metrics(t)
	require.Equal(t, runtelemetry.FunctionsMax+1, strings.Count(text, "\ninngest_function_run_scheduled_total{"))
	require.InDelta(t, 51, seen.Value(t, `inngest_function_run_scheduled_total{fn="other"}`), 0)
	require.InDelta(t, 1, seen.Value(t, `inngest_function_run_scheduled_total{fn="shop-0"}`), 0)
}

// TestItemsAreCountedByTheirFunction, of which they tell the id only; those that call no app are not.
func TestItemsAreCountedByTheirFunction(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	r, err := runtelemetry.New(telemeter)
	require.NoError(t, err)
	r.Know(function(1))
	known, unknown := function(1).ID, function(2).ID
	r.Queued(t.Context(), []stepwell.Item{
		{Function: known},
		{Function: known, Kind: stepwell.ItemStep},
		{Function: known, Kind: stepwell.ItemSleep},
		{Function: known, Kind: stepwell.ItemTimeout},
		{Function: unknown},
	})
	require.InDelta(t, 2, seen.Value(t, `inngest_sdk_req_scheduled_total{fn="shop-1"}`), 0)
	require.InDelta(t, 1, seen.Value(t, `inngest_sdk_req_scheduled_total{fn="other"}`), 0)

	renamed := function(1)
	renamed.Slug = "renamed"
	r.Know(renamed)
	r.Queued(t.Context(), []stepwell.Item{{Function: known}})
	require.InDelta(t, 1, seen.Value(t, `inngest_sdk_req_scheduled_total{fn="renamed"}`), 0)
}

// TestEndsAreCountedByTheirStatus, each of those that there are.
func TestEndsAreCountedByTheirStatus(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	r, err := runtelemetry.New(telemeter)
	require.NoError(t, err)
	for status := stepwell.RunCompleted; status <= stepwell.RunSkipped; status++ {
		r.Committed(t.Context(), runtelemetry.Run{Function: function(1)}, stepwell.Transition{End: &stepwell.End{Status: status}})
		require.InDelta(t, 1, seen.Value(t, `inngest_function_run_ended_total{fn="shop-1",status="`+status.String()+`"}`), 0)
	}
	require.Empty(t, seen.Spans(), "of a run of which nothing is known")
}
