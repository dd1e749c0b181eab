package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// stateOf is a run that such an event started.
func stateOf(name, data string) stepwell.RunState {
	run := stepwell.Run{ID: stepwell.NewRunID(epoch(), stepwell.FunctionID{}, "end"), Environment: stepwell.DefaultEnvironment()}
	event := stepwell.Event{
		ID: stepwell.NewEventID(epoch(), "end"), Environment: run.Environment, Name: name, Data: json.RawMessage(data),
		User: json.RawMessage("{}"), Time: epoch(), ReceivedAt: epoch(),
	}
	run.Events = []stepwell.EventID{event.ID}
	return stepwell.RunState{Run: run, Events: []stepwell.Event{event}, Function: stepwell.Function{Slug: "shop-charge"}}
}

// finished is what is told of the end of a run that yields this.
func finished(state stepwell.RunState, output string) *stepwell.End {
	item := stepwell.NewDiscovery(state.Run, 1, epoch())
	state.Run.Progress.Open = []stepwell.Item{item}
	return engine.Settle(engine.Call{
		State: state, Item: item, StartedAt: epoch(), EndedAt: epoch(), Heard: engine.AllHeard(),
		Outcome: stepwell.Outcome{Finished: true, Output: json.RawMessage(output)},
	}).End
}

// TestEventAboutAnEndIsBounded: what can be looked up is left out.
func TestEventAboutAnEndIsBounded(t *testing.T) {
	t.Parallel()
	text := func(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }
	const third = stepwell.EventBytesMax / 3
	for name, test := range map[string]struct{ trigger, output, left string }{
		"all of it":              {`{"a":` + text(third/2) + `}`, text(third), "event events result"},
		"not the events again":   {`{"a":` + text(third*5/4) + `}`, text(third), "event result"},
		"not the trigger's data": {`{"a":` + text(third*2) + `}`, text(third * 2), "result"},
		"not the result":         {`{"a":1}`, text(stepwell.EventBytesMax), ""},
	} {
		end := finished(stateOf("order/paid", test.trigger), test.output)
		require.Len(t, end.Emits, 1, name)
		require.LessOrEqual(t, len(end.Emits[0].Data), stepwell.EventBytesMax, name)
		var data struct {
			Event struct {
				Data map[string]string `json:"data"`
			} `json:"event"`
			Events []any  `json:"events"`
			Result string `json:"result"`
		}
		if test.trigger == `{"a":1}` {
			test.trigger = ""
		}
		_ = json.Unmarshal(end.Emits[0].Data, &data)
		require.True(t, json.Valid(end.Emits[0].Data), name)
		require.Equal(t, strings.Contains(test.left, "event "), len(data.Event.Data["a"]) > 0, name)
		require.Equal(t, strings.Contains(test.left, "events"), len(data.Events) > 0, name)
		require.Equal(t, strings.Contains(test.left, "result"), data.Result != "", name)
	}
}

// TestEventAboutADeepTriggerIsWhole: encoding/json reads and writes no more than 10,000 levels.
func TestEventAboutADeepTriggerIsWhole(t *testing.T) {
	t.Parallel()
	deep := `{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`
	end := finished(stateOf("order/paid", deep), `1`)
	require.Contains(t, string(end.Emits[0].Data), deep)
	require.True(t, strings.HasSuffix(string(end.Emits[0].Data), `"_inngest":{"status":"Completed"}}`))
}

// TestInvokerIsFoundByTheServersOwnMember: whatever else the data has.
func TestInvokerIsFoundByTheServersOwnMember(t *testing.T) {
	t.Parallel()
	parent := stepwell.NewRunID(epoch(), stepwell.FunctionID{}, "parent")
	own := `"_inngest":{"fn_id":"shop-charge","correlation_id":"` + parent.String() + `.abc"}}`
	for _, data := range []string{`{` + own, `{"_INNGEST":1,` + own, `{"_Inngest":{"fn_id":"other"},` + own} {
		state := stateOf(stepwell.EventInvoked, data)
		slug, invokes := engine.Invokes(state.Events[0])
		require.True(t, invokes, data)
		require.Equal(t, "shop-charge", slug)
		require.Len(t, finished(state, `1`).Resumes, 1)
	}
	state := stateOf(stepwell.EventInvoked, `{`+own)
	resume := finished(state, `"`+strings.Repeat("x", stepwell.StepBytesMax)+`"`).Resumes[0]
	require.Equal(t, stepwell.StepFailed, resume.Step.Status)
	require.Contains(t, string(resume.Step.Result.JSON), `"name":"step_output_too_large"`)
}
