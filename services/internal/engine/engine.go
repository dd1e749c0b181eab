// Package engine holds the verbs of the domain: pure decisions about runs. Each takes what is known and what happened,
// and returns a value that says what changes: a new run, or a transition.
//
// It does no I/O, reads no clock, draws no random numbers and starts no goroutine. The shell around it always works in
// this order: load, decide, commit to the store, enqueue what the store says was opened, acknowledge the item. A crash
// between any two leaves something that is found again.
package engine

import (
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Start is the run that an event starts for a function. The same event and function are the same run.
func Start(function stepwell.Function, event stepwell.Event, now time.Time) stepwell.RunStart {
	dueAt := now
	if event.Time.After(now) {
		dueAt = event.Time // a future `ts` delays the start
	}
	return start(function, event, []stepwell.EventID{event.ID}, dueAt, now)
}

// StartBatch is the run that events start together, the first of which is given: it is the run that this one would start.
func StartBatch(
	function stepwell.Function, first stepwell.Event, events []stepwell.EventID, now time.Time,
) stepwell.RunStart {
	return start(function, first, events, now, now)
}

func start(
	function stepwell.Function, first stepwell.Event, events []stepwell.EventID, dueAt, now time.Time,
) stepwell.RunStart {
	run := stepwell.Run{
		ID:              stepwell.NewRunID(first.ID.Timestamp(), function.ID, first.ID.String()),
		Environment:     first.Environment,
		Function:        function.ID,
		FunctionVersion: function.Version,
		Events:          events,
		EventName:       first.Name,
		CreatedAt:       now,
		Progress:        stepwell.Progress{RequestVersion: stepwell.RequestVersionUnknown, DiscoveryCount: 1},
	}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, dueAt).OpenedAt(now)}
	_, deadline := Timeout(run, function.FlowControl, now)
	return stepwell.RunStart{
		Run: run, Key: startKey(first), Waits: cancelWaits(run, function.FlowControl.CancelOn, now), Deadline: deadline,
	}
}

// Wake is what changes when a sleep is over, or a wait ended without what it waited for: the step yields null, or an
// error if the function that it invoked did not end in time.
func Wake(item stepwell.Item, generation int, now time.Time) stepwell.Transition {
	step := stepwell.Step{
		ID: item.Step, Kind: stepwell.StepSleep, Status: stepwell.StepCompleted, EndedAt: now,
		Result: stepwell.Result{Kind: stepwell.ResultBare, JSON: []byte("null")},
	}
	if item.Kind == stepwell.ItemInvoke {
		step = invoked(item.Step, failedInvocation("InngestInvokeTimeoutError", "Timed out waiting for invoked function to complete"), now)
	}
	return stepwell.Transition{
		Run: item.Run, Settles: item.ID, Generation: generation, At: now, Records: []stepwell.Step{step},
	}
}
