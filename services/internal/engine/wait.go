package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// waitForEvent opens a wait. An expression that cannot be compiled fails the run: trying again would not help.
func (d *decision) waitForEvent(op stepwell.Op) {
	if op.Failure != nil {
		d.fail(op.Failure)
		return
	}
	opening := d.open(op, stepwell.StepWaitForEvent, stepwell.ItemTimeout, op.DueAt)
	d.wait(op, opening)
	if opening != nil {
		opening.Wait.Since = d.since()
	}
}

// waitForSignal opens a wait for a signal, of which each has at most one.
func (d *decision) waitForSignal(op stepwell.Op) {
	if d.SignalTaken && !op.Wait.Replaces {
		d.fail(stepwell.Failure{
			Name: "Error", Message: "Signal conflict; signal wait already exists for another run",
		}.JSON())
		return
	}
	d.wait(op, d.open(op, stepwell.StepWaitForSignal, stepwell.ItemTimeout, op.DueAt))
}

// wait says what an opened step waits for.
func (d *decision) wait(op stepwell.Op, opening *stepwell.Opening) {
	if opening == nil {
		return
	}
	w := *op.Wait
	w.Run, w.Environment, w.Item = d.State.Run.ID, d.State.Run.Environment, opening.Item
	opening.Wait = &w
}

// since is how far back a new wait looks for events: to the beginning of the latest step, or else of the run's first
// call. So an event that one step sends and the next awaits is never missed (I15).
//
// A step began when the server heard of it (OpenedAt), but for one that the app reported when it had run: then its SDK's
// clock says when, and the server only that it was after it had heard of the step before; if it was reported while this
// call went on, some time in it.
func (d *decision) since() time.Time {
	var since time.Time
	heard := d.State.Run.CreatedAt
	for _, steps := range [][]stepwell.Step{d.State.Steps, d.out.Records} {
		for _, step := range steps {
			if step.Kind != stepwell.StepRun {
				continue
			}
			began := step.OpenedAt
			if step.StartedAt.Before(began) {
				began = latest(step.StartedAt, heard)
			}
			since, heard = latest(since, began), latest(heard, step.OpenedAt)
		}
	}
	switch {
	case since.After(d.StartedAt):
		return d.StartedAt
	case !since.IsZero():
		return since
	case !d.State.Run.StartedAt.IsZero():
		return d.State.Run.StartedAt
	}
	return d.StartedAt
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Resume is what changes when an event ends a wait: the step yields the event. ok is false if the event may not: it
// started the run, or ended another wait of it, or the wait is over.
func Resume(
	state stepwell.RunState, wait stepwell.Wait, event stepwell.Event, memo []byte, now time.Time,
) (t stepwell.Transition, ok bool) {
	item, open := state.Run.Progress.OpenItem(wait.Item.ID)
	if !open {
		return stepwell.Transition{}, false
	}
	ended := func(step stepwell.Step) bool { return step.Event == event.ID }
	if slices.Contains(state.Run.Events, event.ID) || slices.ContainsFunc(state.Steps, ended) {
		return stepwell.Transition{}, false
	}
	return stepwell.Transition{
		Run: state.Run.ID, Settles: item.ID, At: now,
		Records: []stepwell.Step{{
			ID: item.Step, Kind: stepwell.StepWaitForEvent, Status: stepwell.StepCompleted, EndedAt: now, Event: event.ID,
			Result: stepwell.Result{Kind: stepwell.ResultBare, JSON: memo},
		}},
	}, true
}

// Signal is what changes when a signal ends a wait: the step yields it. data is JSON.
func Signal(wait stepwell.Wait, data json.RawMessage, now time.Time) stepwell.Transition {
	memo := append([]byte(`{"signal":`), stepwell.EncodeJSON(wait.Name)...)
	memo = append(append(append(memo, `,"data":`...), data...), '}')
	return stepwell.Resume{Item: wait.Item.ID, Step: stepwell.Step{
		ID: wait.Item.Step, Kind: stepwell.StepWaitForSignal, Status: stepwell.StepCompleted, EndedAt: now,
		Result: stepwell.Result{Kind: stepwell.ResultData, JSON: memo},
	}}.Transition(wait.Environment, now)
}
