package engine

import (
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// cancelOnFor is how long a run listens to events that cancel it, if its function does not say.
const cancelOnFor = 365 * 24 * time.Hour

// cancelWaits are the waits for the events that cancel a new run. They look back to its trigger event: what came after it
// counts although the run was started later.
func cancelWaits(run stepwell.Run, cancelOn []stepwell.CancelOn, now time.Time) []stepwell.Wait {
	var waits []stepwell.Wait
	for i, c := range cancelOn {
		until := c.At
		switch {
		case c.After > 0:
			until = now.Add(c.After)
		case until.IsZero():
			until = now.Add(cancelOnFor)
		}
		if !until.After(now) {
			continue
		}
		waits = append(waits, stepwell.Wait{
			Run: run.ID, Environment: run.Environment, Kind: stepwell.WaitCancel, Item: stepwell.NewCancelItem(run, i),
			Name: c.Event, Expression: c.Condition, Since: run.Events[0].Timestamp(), Until: until,
		})
	}
	return waits
}

// Cancel is what changes when a run is cancelled. What calls that are under way yield is refused (I16).
func Cancel(state stepwell.RunState, now time.Time, heard Heard) stepwell.Transition {
	return stepwell.Transition{
		Run: state.Run.ID, Environment: state.Run.Environment, At: now,
		End: end(state, nil, stepwell.RunCancelled, nil, now, heard),
	}
}

// Cancels tells whether an event that fits a wait may cancel its run: it came after what started the run, while the run
// still listened.
func Cancels(state stepwell.RunState, wait stepwell.Wait, event stepwell.Event) bool {
	older := func(trigger stepwell.EventID) bool { return trigger.Compare(event.ID.ULID) >= 0 }
	return !state.Run.Status.Ended() && !slices.ContainsFunc(state.Run.Events, older) && !event.ReceivedAt.After(wait.Until)
}
