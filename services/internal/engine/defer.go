package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// deferral records a function that is to run when the run has ended, or that it is not to after all.
func (d *decision) deferral(op stepwell.Op) {
	step := stepwell.Step{
		ID: op.Step, Name: op.Name, Kind: op.Kind, Status: stepwell.StepCompleted,
		OpenedAt: d.StartedAt, StartedAt: d.EndedAt, EndedAt: d.EndedAt,
	}
	switch {
	case op.Code == stepwell.OpDeferAbort:
		step.Result = stepwell.EncodeAbort(op.Deferral.Aborts)
	case op.Code != stepwell.OpDeferAdd:
		return
	case op.Failure != nil:
		step.Status, step.Result = stepwell.StepFailed, stepwell.Result{Kind: stepwell.ResultError, JSON: op.Failure}
	default:
		step.Result = stepwell.EncodeDeferral(*op.Deferral)
	}
	d.out.Records = append(d.out.Records, step)
}

// deferredInternal is what the server keeps in the data of an event that starts a deferred function.
type deferredInternal struct {
	Function       string              `json:"fn_slug"`
	ParentApp      stepwell.AppID      `json:"parent_app_id"`
	ParentFunction stepwell.FunctionID `json:"parent_fn_id"`
	ParentSlug     string              `json:"parent_fn_slug"`
	ParentRun      stepwell.RunID      `json:"parent_run_id"`
}

// deferred are the events that start what the run deferred, at its end.
func deferred(state stepwell.RunState, records []stepwell.Step, now time.Time) []stepwell.Event {
	progress, defers := state.Run.Progress, state.Defers
	known := map[stepwell.StepID]bool{}
	for _, step := range defers {
		known[step.ID] = true
	}
	for _, step := range records { // as the store records them
		if !step.Kind.Defers() || known[step.ID] {
			continue
		}
		if kept, ok := progress.Defer(step); ok {
			known[step.ID] = true
			defers = append(slices.Clip(defers), kept)
		}
	}
	aborted := map[stepwell.StepID]bool{}
	for _, step := range defers {
		if step.Kind == stepwell.StepDeferAbort {
			aborted[stepwell.DecodeAbort(step.Result)] = true
		}
	}
	var events []stepwell.Event
	count := 0
	for _, step := range defers {
		if step.Kind != stepwell.StepDefer {
			continue
		}
		if count++; count > stepwell.DefersMax {
			break
		}
		if step.Status == stepwell.StepCompleted && !aborted[step.ID] {
			events = append(events, deferredEvent(state, step, now))
		}
	}
	return events
}

// deferredEvent starts a deferred function.
func deferredEvent(state stepwell.RunState, step stepwell.Step, now time.Time) stepwell.Event {
	d := stepwell.DecodeDeferral(step.Result)
	return stepwell.Event{
		ID:          stepwell.NewEventID(now, "defer\n"+state.Run.ID.String()+"."+string(step.ID)),
		Environment: state.Run.Environment, Name: stepwell.EventDeferred,
		Data: withInternal(d.Input, deferredInternal{
			Function: d.Function, ParentApp: state.Function.App, ParentFunction: state.Function.ID,
			ParentSlug: state.Function.Slug, ParentRun: state.Run.ID,
		}),
		User: json.RawMessage("{}"), Meta: d.Meta, Time: now.Truncate(time.Millisecond), ReceivedAt: now,
		Trace: state.Trace(),
	}
}
