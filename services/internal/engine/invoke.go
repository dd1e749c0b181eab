package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// invocation is what the server keeps in the data of an event that invokes a function.
type invocation struct {
	AppID      stepwell.AppID      `json:"source_app_id"`
	FunctionID stepwell.FunctionID `json:"source_fn_id"`
	Version    int                 `json:"source_fn_v"`
	// Function is the slug of what is invoked.
	Function string `json:"fn_id"`
	// Correlation names the step that waits: `<run>.<step>`. Empty if no run does.
	Correlation string `json:"correlation_id,omitempty"`
	// ExpiresAt is when the step no longer waits, in milliseconds.
	ExpiresAt int64  `json:"expire,omitempty"`
	Name      string `json:"name,omitempty"`
}

// invoke opens a step that waits for another run, together with the event that starts it.
func (d *decision) invoke(op stepwell.Op) {
	opening := d.open(op, stepwell.StepInvoke, stepwell.ItemInvoke, op.DueAt)
	if opening == nil {
		return
	}
	run, function := d.State.Run, d.State.Function
	event := invocationEvent(*op.Invocation, invocation{
		AppID: function.App, FunctionID: function.ID, Version: run.FunctionVersion, Function: op.Invocation.Function,
		Correlation: correlation(opening.Item), ExpiresAt: op.DueAt.UnixMilli(), Name: op.Name,
	})
	event.ID = stepwell.NewEventID(d.EndedAt, "invoke\n"+correlation(opening.Item))
	event.Environment, event.Time, event.ReceivedAt = run.Environment, d.EndedAt.Truncate(time.Millisecond), d.EndedAt
	event.Trace = d.State.Trace().Step(run.ID, op.Step)
	opening.Emits = &event
}

// invocationEvent is the event that starts what is invoked, as far as the invocation says.
func invocationEvent(i stepwell.Invocation, internal invocation) stepwell.Event {
	return stepwell.Event{
		Name: stepwell.EventInvoked, Data: withInternal(i.Data, internal), User: i.User, Meta: i.Meta, Version: i.Version,
	}
}

// withInternal is an event's data with what the server keeps in it.
func withInternal(data json.RawMessage, internal any) json.RawMessage {
	data = bytes.TrimSpace(data)
	with := append([]byte(nil), data[:len(data)-1]...) // all but the last brace
	if len(bytes.TrimSpace(with)) > 1 {
		with = append(with, ',')
	}
	with = append(with, `"`+stepwell.InternalMember+`":`...)
	return append(append(with, stepwell.EncodeJSON(internal)...), '}')
}

func correlation(item stepwell.Item) string { return item.Run.String() + "." + string(item.Step) }

// invocationOf is what the server keeps in an event that invokes a function; zero for others.
func invocationOf(event stepwell.Event) invocation {
	var kept invocation
	var members map[string]json.RawMessage // whose names are exact, unlike those of a struct
	if event.Name != stepwell.EventInvoked || json.Unmarshal(event.Data, &members) != nil ||
		json.Unmarshal(members[stepwell.InternalMember], &kept) != nil {
		return invocation{}
	}
	return kept
}

// Invokes is the slug of the function that the event invokes, if it does.
func Invokes(event stepwell.Event) (slug string, ok bool) {
	slug = invocationOf(event).Function
	return slug, slug != ""
}

// invoker is the item of the step that waits for the run which the event starts, if one does.
func invoker(event stepwell.Event) (stepwell.Item, bool) {
	text, step, found := strings.Cut(invocationOf(event).Correlation, ".")
	run, err := stepwell.ParseRunID(text)
	if !found || err != nil {
		return stepwell.Item{}, false
	}
	return stepwell.NewStepItem(stepwell.Run{ID: run}, stepwell.ItemInvoke, stepwell.StepID(step), time.Time{}), true
}

// NotFound is what changes in the run that invoked a function which does not exist. ok is false if no run waits.
func NotFound(event stepwell.Event, now time.Time) (t stepwell.Transition, ok bool) {
	item, ok := invoker(event)
	if !ok {
		return stepwell.Transition{}, false
	}
	slug, _ := Invokes(event)
	failure := failedInvocation("Error", fmt.Sprintf("could not find function with ID: %s", slug))
	return stepwell.Resume{Item: item.ID, Step: invoked(item.Step, failure, now)}.Transition(event.Environment, now), true
}

// RateLimited is what runs are told that invoke a function which a limit keeps from starting.
const RateLimited = "invoked function is rate limited"

// skipped begins what runs are told that invoke a function which is skipped.
const skipped = "invoked function was skipped: "

// SingletonHeld is what runs are told that invoke a function of which another run is there to stay.
const SingletonHeld = skipped + "another run of it is live, and it is a singleton"

// Skip is a start that an operator's hold of the function keeps from being executed.
func Skip(start stepwell.RunStart, hold stepwell.Hold, event stepwell.Event, now time.Time) stepwell.RunStart {
	because := "it is paused"
	if hold == stepwell.HoldDrain {
		because = "it is drained"
	}
	return skip(start, start.Run.Skipped(hold.Skip()), because, event, now)
}

// SkipInvalid is a start that is recorded and not executed, since a key cannot be evaluated that decides about it.
func SkipInvalid(start stepwell.RunStart, problem error, event stepwell.Event, now time.Time) stepwell.RunStart {
	run := start.Run.Skipped(stepwell.SkipKeyInvalid)
	run.Note(problem.Error() + ", so nothing is executed")
	return skip(start, run, problem.Error(), event, now)
}

// skip is a start of which only a skipped run is recorded. Who invoked the function is told.
func skip(
	start stepwell.RunStart, run stepwell.Run, because string, event stepwell.Event, now time.Time,
) stepwell.RunStart {
	return stepwell.RunStart{Run: run, Key: start.Key, Refused: Refusal(event, skipped+because, now)}
}

// Refusal is what ends in the run that invoked a function which does not start; nil if none did.
func Refusal(event stepwell.Event, why string, now time.Time) *stepwell.Resume {
	item, waiting := invoker(event)
	if !waiting {
		return nil
	}
	return &stepwell.Resume{
		Item: item.ID, Step: invoked(item.Step, failedInvocation("Error", why), now),
	}
}

// resumed is the step that waited for a run which ended.
func resumed(step stepwell.StepID, status stepwell.RunStatus, output json.RawMessage, now time.Time) stepwell.Step {
	switch status {
	case stepwell.RunCompleted:
		return invoked(step, stepwell.Result{Kind: stepwell.ResultData, JSON: output}, now)
	case stepwell.RunCancelled:
		return invoked(step, failedInvocation("Error", "The invoked function was cancelled"), now)
	case stepwell.RunRunning, stepwell.RunFailed, stepwell.RunSkipped:
	}
	return invoked(step, stepwell.Result{Kind: stepwell.ResultError, JSON: output}, now)
}

func failedInvocation(name, message string) stepwell.Result {
	return stepwell.Result{Kind: stepwell.ResultError, JSON: stepwell.Failure{Name: name, Message: message}.JSON()}
}

// invoked is a step that waited for another run, with its result.
func invoked(id stepwell.StepID, result stepwell.Result, now time.Time) stepwell.Step {
	if n := len(result.JSON); n > stepwell.StepBytesMax {
		result = failedInvocation("step_output_too_large",
			fmt.Sprintf("The invoked function yielded %d bytes, at most %d are allowed for one step", n, stepwell.StepBytesMax))
	}
	step := stepwell.Step{ID: id, Kind: stepwell.StepInvoke, Status: stepwell.StepCompleted, EndedAt: now, Result: result}
	if result.Kind == stepwell.ResultError {
		step.Status = stepwell.StepFailed
	}
	if len(result.JSON) == 0 {
		step.Result.JSON = json.RawMessage("null")
	}
	return step
}
