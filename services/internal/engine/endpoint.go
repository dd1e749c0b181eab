package engine

import (
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// InlineFor is how long an app may work by itself on a request to one of its endpoints, from the first report of it. The
// first discovery of the run is due then: an app that has gone is called, so that the run ends (I7). One that still works
// and reports later is refused as soon as the call has changed the run. It is longer than stepwell.Horizon, so that a run
// that ends before costs the queue nothing.
const InlineFor = 15 * time.Minute

// StartEndpoint is the run of a request to an endpoint, which the app works on already. The app made the run's id.
func StartEndpoint(
	id stepwell.RunID, function stepwell.Function, event stepwell.Event, requestVersion int, now time.Time,
) stepwell.RunStart {
	if requestVersion == 0 {
		requestVersion = stepwell.RequestVersionUnknown
	}
	run := stepwell.Run{
		ID:              id,
		Environment:     event.Environment,
		Function:        function.ID,
		FunctionVersion: function.Version,
		Events:          []stepwell.EventID{event.ID},
		EventName:       event.Name,
		CreatedAt:       now,
		Progress:        stepwell.Progress{RequestVersion: requestVersion, DiscoveryCount: 1},
	}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, now.Add(InlineFor)).OpenedAt(now)}
	return stepwell.RunStart{Run: run, Key: id.String()}
}

// InlineItem is the item that a run has open as long as the app works on it by itself.
func InlineItem(run stepwell.RunID) stepwell.ItemID {
	return stepwell.NewDiscovery(stepwell.Run{ID: run}, 1, time.Time{}).ID
}

// Report is what an app's report of a request to an endpoint changes. As long as it tells of steps that ran, the app goes
// on by itself. What it cannot do by itself, and the end, is decided like the answer to a call for the item. Errors: those
// of Checkpoint.
func Report(c Call) (stepwell.Transition, error) {
	goesOn := func(op stepwell.Op) bool {
		switch op.Code { //nolint:exhaustive // all others are not for the app alone
		case stepwell.OpNone, stepwell.OpStepRun, stepwell.OpDeferAdd, stepwell.OpDeferAbort:
			return true
		}
		return false
	}
	own := func(op stepwell.Op) bool { return !goesOn(op) }
	if c.Outcome.Failure == nil && !slices.ContainsFunc(c.Outcome.Ops, own) {
		return Checkpoint(c.Item.ID, c.Outcome.Ops, c.EndedAt)
	}
	for i, op := range c.Outcome.Ops {
		if op.Code == stepwell.OpFetch {
			// The app's client is not to wait for the request: the app is called again, and says again what it wants.
			c.Outcome.Ops[i].Code = stepwell.OpDiscoveryRequest
		}
	}
	return Settle(c), nil
}

// IsReported tells whether a run that goes on without its app, or has ended, knows all that a report says: the app repeats
// a report whose answer it lost.
func IsReported(state stepwell.RunState, outcome stepwell.Outcome) bool {
	ended := state.Run.Status.Ended()
	if outcome.Failure != nil && !ended {
		return false
	}
	for _, op := range outcome.Ops {
		switch op.Code {
		case stepwell.OpNone, stepwell.OpDiscoveryRequest, stepwell.OpFetch:
		case stepwell.OpRunComplete, stepwell.OpUnsupported:
			if !ended {
				return false
			}
		default:
			if !state.Recorded(op.Step) && !state.Run.Progress.OpenStep(op.Step) {
				return false
			}
		}
	}
	return true
}
