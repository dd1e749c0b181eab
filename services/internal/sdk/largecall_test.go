package sdk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// text is a JSON string of so many bytes.
func text(bytes int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("x", bytes-2) + `"`)
}

// largeCall is a call of a run with as many events and results of these sizes.
func largeCall(sdkName string, events, eventBytes, steps, stepBytes int) sdk.Call {
	call := newCall()
	call.State.App.SDK = sdkName
	first := call.State.Events[0]
	call.State.Events = nil
	for range events {
		first.Data = json.RawMessage(`{"x":` + string(text(eventBytes)) + `}`)
		call.State.Events = append(call.State.Events, first)
	}
	call.State.Steps = nil
	for i := range steps {
		call.State.Steps = append(call.State.Steps, stepwell.Step{
			ID: sdk.HashStepID(fmt.Sprint(i)), Result: stepwell.Result{JSON: text(stepBytes)},
		})
	}
	return call
}

// TestLargeCallLeavesOutWhatTheAppCanAskFor: an app behind a proxy that takes a few megabytes is still called.
func TestLargeCallLeavesOutWhatTheAppCanAskFor(t *testing.T) {
	t.Parallel()
	const kB, mB = 1 << 10, 1 << 20
	for name, test := range map[string]struct {
		call          sdk.Call
		useAPI        bool
		events, steps int
	}{
		"small":                     {largeCall("js:v4.24.0", 1, kB, 3, kB), false, 1, 3},
		"almost too large":          {largeCall("js:v4.24.0", 1, kB, 4, mB-3*kB), false, 1, 4},
		"steps too large":           {largeCall("js:v4.24.0", 1, kB, 4, mB), true, 1, 0},
		"many small steps":          {largeCall("js:v4.24.0", 1, kB, 1000, 4*kB), true, 1, 0},
		"steps too large, Python":   {largeCall("py:v0.5.18", 1, kB, 10, mB), true, 1, 0},
		"steps too large for Go":    {largeCall("go:v0.15.0", 1, kB, 10, mB), false, 1, 10},
		"steps too large, unknown":  {largeCall("", 1, kB, 10, mB), false, 1, 10},
		"events too large":          {largeCall("js:v4.24.0", 10, mB/2, 1, kB), true, 0, 0},
		"steps and events, each ok": {largeCall("js:v4.24.0", 3, mB, 3, mB), true, 0, 0},
		"steps, events remain":      {largeCall("js:v4.24.0", 2, mB, 3, mB), true, 2, 0},
	} {
		body := bodyOf(t, test.call)
		var sent struct {
			Ctx struct {
				UseAPI bool `json:"use_api"`
				Stack  struct {
					Stack []string `json:"stack"`
				} `json:"stack"`
			} `json:"ctx"`
			UseAPI bool                       `json:"use_api"`
			Event  map[string]json.RawMessage `json:"event"`
			Events []json.RawMessage          `json:"events"`
			Steps  map[string]json.RawMessage `json:"steps"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &sent), name)
		require.Equal(t, test.useAPI, sent.UseAPI, name)
		require.Equal(t, test.useAPI, sent.Ctx.UseAPI, name)
		require.Len(t, sent.Events, test.events, name)
		require.NotNil(t, sent.Events, name)
		require.Len(t, sent.Steps, test.steps, name)
		require.NotNil(t, sent.Steps, name)
		require.Contains(t, sent.Event, "data", name)
		require.Len(t, sent.Ctx.Stack.Stack, len(test.call.State.Steps), name)
		if test.useAPI {
			require.LessOrEqual(t, len(body), sdk.CallBytesMax, name)
		}
	}
}

// TestWhatIsLeftOutHasTheFormOfTheCall: what an app asks for is what the call would have told it.
func TestWhatIsLeftOutHasTheFormOfTheCall(t *testing.T) {
	t.Parallel()
	call := newCall()
	body := bodyOf(t, call)
	require.Contains(t, body, `"steps":`+string(sdk.AppendMemos(nil, call.State.Steps))+`,"use_api":false`)
	require.Contains(t, body, `"events":`+string(stepwell.AppendEventsJSON(nil, call.State.Events))+`,"steps":`)
	require.Equal(t, "{}", string(sdk.AppendMemos(nil, nil)))
	require.Equal(t, "[]", string(stepwell.AppendEventsJSON(nil, nil)))
}

// TestLargeCallBesideOthersIsWhole: what the app would ask for could be more than the call's stack by then.
func TestLargeCallBesideOthersIsWhole(t *testing.T) {
	t.Parallel()
	call := sdk.Call{State: stepwell.RunState{
		App:    stepwell.App{SDK: "js:v3.54.2"},
		Events: []stepwell.Event{{Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`)}},
		Steps: []stepwell.Step{{
			ID: "large", Status: stepwell.StepCompleted, Order: 1,
			Result: stepwell.Result{JSON: json.RawMessage(`"` + strings.Repeat("x", sdk.CallBytesMax) + `"`)},
		}},
	}}
	discovery := stepwell.NewDiscovery(call.State.Run, 1, time.Time{})
	call.State.Run.Progress.Open = []stepwell.Item{discovery}
	body, err := call.Body()
	require.NoError(t, err)
	require.Contains(t, string(body), `"steps":{},"use_api":true`)

	sibling := stepwell.NewStepItem(call.State.Run, stepwell.ItemStep, "sibling", time.Time{})
	call.State.Run.Progress.Open = append(call.State.Run.Progress.Open, sibling)
	body, err = call.Body()
	require.NoError(t, err)
	require.Contains(t, string(body), `"use_api":false`)
	require.Greater(t, len(body), sdk.CallBytesMax)
}
