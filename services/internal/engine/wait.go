package engine

import (
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// wait opens a wait. An expression that cannot be compiled fails the run: trying again would not help.
func (d *decision) wait(op stepwell.Op) {
	if op.Failure != nil {
		d.fail(op.Failure)
		return
	}
	d.open(op, stepwell.StepWaitForEvent, stepwell.ItemTimeout, op.DueAt)
	last := len(d.out.Opens) - 1
	if last < 0 || d.out.Opens[last].Step.ID != op.Step {
		return
	}
	opening := &d.out.Opens[last]
	w := *op.Wait
	w.Run, w.Environment, w.Item, w.Since = d.State.Run.ID, d.State.Run.Environment, opening.Item, d.since()
	opening.Wait = &w
	opening.Step.StartedAt, opening.Step.DueAt = d.EndedAt, op.DueAt
}

// since is how far back a new wait looks for events: to the beginning of the call that ran the latest step, or else of
// the run's first call. So an event that one step sends and the next awaits is never missed (I15).
func (d *decision) since() time.Time {
	since := d.State.Run.StartedAt
	if since.IsZero() {
		since = d.StartedAt
	}
	for _, steps := range [][]stepwell.Step{d.State.Steps, d.out.Records} {
		for _, step := range steps {
			if step.Kind == stepwell.StepRun && step.OpenedAt.After(since) {
				since = step.OpenedAt
			}
		}
	}
	return since
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
		Run: state.Run.ID, Settles: item.ID, At: now, Discover: item.Race,
		Records: []stepwell.Step{{
			ID: item.Step, Kind: stepwell.StepWaitForEvent, Status: stepwell.StepCompleted, EndedAt: now, Event: event.ID,
			Result: stepwell.Result{Kind: stepwell.ResultBare, JSON: memo},
		}},
	}, true
}
