package verdict

import (
	"encoding/json"

	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

// toldOf is the event that tells how a run ended; empty if none is made. Of what starts by such an event, none is.
func toldOf(run record.Run) string {
	switch {
	case run.Event == witness.EventFailed || run.Event == witness.EventCancelled:
		return ""
	case run.Status == record.RunFailed:
		return witness.EventFailed
	case run.Status == record.RunCancelled:
		return witness.EventCancelled
	}
	return ""
}

// told checks that the end of a run is told once.
func (c *court) told(run record.Run) {
	if event := toldOf(run); event != "" && c.stored[cause{event, run.ID}] != 1 {
		c.violated(Untold, "run %s of %s ended with status %d, %s is stored %d times",
			run.ID, run.Function, run.Status, event, c.stored[cause{event, run.ID}])
	}
}

// stuck is the promise that is broken by a run that has not ended: that of what it waits for in vain.
func stuck(f witness.Function, run record.Run) Promise {
	for _, stored := range run.Steps {
		for _, step := range f.Steps() {
			switch {
			case stored.Recorded || step.ID() != stored.ID:
			case step.Awaits != "":
				return Waited
			case step.Invokes != "":
				return Invoked
			case step.Sleep >= witness.Forever:
				return Uncancelled
			}
		}
	}
	return Unended
}

// invoked checks that a step started one run, and has its result, well or not.
func (c *court) invoked(step witness.Step, recorded string, run record.Run) {
	children := c.started[start{run.ID + "." + step.ID(), step.Invokes}]
	if len(children) != 1 {
		c.violated(Invoked, "run %s of %s: step %s started the runs %v", run.ID, run.Function, step.Name, children)
		return
	}
	child := c.runs[children[0]]
	if right := made(child); recorded != right && (step.InvokesFor >= witness.Forever || recorded != timedOut) {
		c.violated(Invoked, "run %s of %s: step %s is recorded as %s, its child %s ended with %s",
			run.ID, run.Function, step.Name, recorded, child.ID, right)
	}
}

// What a step yields whose child was cancelled, or took too long.
const (
	cancelled = `{"name":"Error","message":"The invoked function was cancelled","data":null}`
	timedOut  = `{"name":"InngestInvokeTimeoutError","message":"Timed out waiting for invoked function to complete","data":null}`
)

// made is what a child's end makes of the step that invoked it.
func made(child record.Run) string {
	if child.Status == record.RunCancelled {
		return cancelled
	}
	return child.Output
}

// waited checks that a wait was ended by an event that the run caused. Only one that is short may have timed out.
func (c *court) waited(step witness.Step, stored record.Step, run record.Run) {
	if stored.Result == "null" && stored.Event == "" {
		if step.AwaitsFor >= witness.Forever {
			c.violated(Waited, "run %s of %s: step %s timed out after %s", run.ID, run.Function, step.Name, step.AwaitsFor)
		}
		return
	}
	var told struct{ ID, Name string }
	event, sent := c.events[stored.Event], witness.Sent{}
	if json.Unmarshal([]byte(stored.Result), &told) == nil {
		sent = c.testimony.Sent[told.ID]
	}
	if told.ID != event.Key || told.Name != step.Awaits || sent.Name != step.Awaits || sent.Run != run.ID {
		c.violated(Waited, "run %s of %s: step %s was ended by event %s, the event %q, as %s",
			run.ID, run.Function, step.Name, stored.Event, event.Key, stored.Result)
	}
}

// distinct checks that no event ended two waits of a run.
func (c *court) distinct(run record.Run) {
	by := map[string]string{}
	for _, step := range run.Steps {
		if other, known := by[step.Event]; known && step.Event != "" {
			c.violated(Waited, "run %s of %s: event %s ended both step %s and step %s",
				run.ID, run.Function, step.Event, other, step.ID)
		}
		by[step.Event] = step.ID
	}
}
