package engine

import (
	"encoding/json"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Heard says of which of the server's own events about runs it is known that somebody listens to them. Others are not
// made; if somebody listens after all, the store says so (stepwell.ErrStale).
type Heard map[string]bool

// AllHeard is for who was told that somebody listens, and not to what: the store keeps what is heard.
func AllHeard() Heard {
	return Heard{stepwell.EventFinished: true, stepwell.EventFailed: true, stepwell.EventCancelled: true}
}

// end finishes a run: the runs that invoked it go on, and who listens is told.
func end(
	state stepwell.RunState, status stepwell.RunStatus, output json.RawMessage, now time.Time, heard Heard,
) *stepwell.End {
	end := &stepwell.End{Status: status, Output: output}
	for _, event := range state.Events {
		if item, waiting := invoker(event); waiting {
			end.Resumes = append(end.Resumes, stepwell.Resume{Item: item.ID, Step: resumed(item.Step, status, output, now)})
		}
	}
	if len(state.Events) == 0 || tellsOfRun(state.Events[0].Name) {
		return end // who handles such an event is not told of, or that would go on for ever
	}
	names := []string{stepwell.EventFinished}
	switch status {
	case stepwell.RunFailed:
		names = append(names, stepwell.EventFailed)
	case stepwell.RunCancelled:
		names = append(names, stepwell.EventCancelled)
	case stepwell.RunRunning, stepwell.RunCompleted, stepwell.RunSkipped:
	}
	for _, name := range names {
		if heard[name] {
			end.Emits = append(end.Emits, endEvent(name, state, status, output, now))
		} else {
			end.Unheard = append(end.Unheard, name)
		}
	}
	return end
}

func tellsOfRun(event string) bool {
	return event == stepwell.EventFinished || event == stepwell.EventFailed || event == stepwell.EventCancelled
}

// endEvent tells of a run that ended.
func endEvent(
	name string, state stepwell.RunState, status stepwell.RunStatus, output json.RawMessage, now time.Time,
) stepwell.Event {
	data := struct {
		FunctionID  string          `json:"function_id"`
		RunID       stepwell.RunID  `json:"run_id"`
		Event       json.RawMessage `json:"event"`
		Events      json.RawMessage `json:"events"`
		Result      json.RawMessage `json:"result"`
		Error       json.RawMessage `json:"error,omitempty"`
		Correlation string          `json:"correlation_id,omitempty"`
		Internal    struct {
			Status string `json:"status"`
		} `json:"_inngest"`
	}{
		FunctionID: state.Function.Slug, RunID: state.Run.ID, Event: state.Events[0].AppendJSON(nil),
		Events: stepwell.AppendEventsJSON(nil, state.Events), Result: output, Correlation: invocationOf(state.Events[0]).Correlation,
	}
	data.Internal.Status = status.String()
	if len(output) == 0 {
		data.Result = json.RawMessage("null")
	}
	if status == stepwell.RunFailed {
		data.Error = output
	}
	event := stepwell.Event{
		ID: stepwell.NewEventID(now, name+"\n"+state.Run.ID.String()), Environment: state.Run.Environment, Name: name,
		Data: stepwell.EncodeJSON(data), User: json.RawMessage("{}"), Meta: state.Events[0].Meta,
		Time: now.Truncate(time.Millisecond), ReceivedAt: now,
	}
	if name != stepwell.EventFinished {
		event.Key = state.Run.ID.String() // a handler starts once for a run
	}
	return event
}
