package eventapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestRunSaysWhyItWaits: by the limit as the function's author wrote it.
func TestRunSaysWhyItWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	concurrency := stepwell.Concurrency{Limit: 1, Key: "event.data.tenant", Scope: stepwell.ScopeEnvironment}
	r.syncWith(stepwell.FlowControl{Concurrency: []stepwell.Concurrency{concurrency}}, "charge", "a")
	run := r.start("a")[0]
	waiting := func() any {
		shown, _ := r.data("/api/v1/runs/" + run.ID.String()).(map[string]any)
		open, _ := shown["open"].([]any)
		item, _ := open[0].(map[string]any)
		return item["waiting"]
	}
	require.Nil(t, waiting(), "it is worked on")
	name := stepwell.Function{
		Environment: stepwell.DefaultEnvironment(), FlowControl: stepwell.FlowControl{Concurrency: []stepwell.Concurrency{concurrency}},
	}.Limits()[0].LimitName
	for want, w := range map[string]stepwell.Waiting{
		"turn": {}, "paused": {Why: stepwell.WhyPaused, Ahead: 3}, "limits": {Why: stepwell.WhyUnknown, Ahead: 3},
	} {
		r.runner.explained = map[stepwell.ItemID]stepwell.Waiting{run.Progress.Open[0].ID: w}
		require.Equal(t, map[string]any{"for": want, "ahead": float64(w.Ahead)}, waiting())
	}
	full := stepwell.Waiting{Why: stepwell.WhyLimit, Limit: stepwell.NewLimitKey(name, "acme"), Ahead: 3}
	r.runner.explained = map[stepwell.ItemID]stepwell.Waiting{run.Progress.Open[0].ID: full}
	require.Equal(t, map[string]any{
		"for": "concurrency", "scope": "environment", "key": "event.data.tenant", "value": "acme", "ahead": 3.0,
	}, waiting())
	r.runner.fail = stepwell.ErrUnavailable
	require.Nil(t, waiting(), "the run is shown without")
}
