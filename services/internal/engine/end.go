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
// What the run defers starts, also by the records of the transition that ends it.
func end(
	state stepwell.RunState, records []stepwell.Step, status stepwell.RunStatus, output json.RawMessage, now time.Time, heard Heard,
) *stepwell.End {
	end := &stepwell.End{
		Status: status, Output: output,
		Emits: deferred(state, records, now), DeferCount: state.Run.Progress.DeferCount,
	}
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
	trigger := state.Events[0]
	events := stepwell.AppendEventsJSON(nil, state.Events)
	data := endData(state, trigger, events, status, output)
	if len(data) > stepwell.EventBytesMax { // what can be looked up is left out
		data = endData(state, trigger, []byte("[]"), status, output)
	}
	if len(data) > stepwell.EventBytesMax {
		trigger.Data, trigger.User = json.RawMessage("{}"), json.RawMessage("{}")
		data = endData(state, trigger, []byte("[]"), status, output)
	}
	if len(data) > stepwell.EventBytesMax {
		data = endData(state, trigger, []byte("[]"), status, nil)
	}
	event := stepwell.Event{
		ID: stepwell.NewEventID(now, name+"\n"+state.Run.ID.String()), Environment: state.Run.Environment, Name: name,
		Data: data, User: json.RawMessage("{}"), Meta: state.Events[0].Meta,
		Time: now.Truncate(time.Millisecond), ReceivedAt: now, Trace: state.Trace(),
	}
	if name != stepwell.EventFinished {
		event.Key = state.Run.ID.String() // a handler starts once for a run
	}
	return event
}

// endData is the data of an event about an end. It is made by hand: encoding/json refuses what is nested as deeply as a
// trigger's data may be.
func endData(
	state stepwell.RunState, trigger stepwell.Event, events []byte, status stepwell.RunStatus, output json.RawMessage,
) json.RawMessage {
	member := func(data []byte, name string, value []byte) []byte {
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(append(data, stepwell.EncodeJSON(name)...), ':')
		return append(data, value...)
	}
	data := member([]byte("{"), "function_id", stepwell.EncodeJSON(state.Function.Slug))
	data = member(data, "run_id", stepwell.EncodeJSON(state.Run.ID))
	data = member(data, "event", trigger.AppendJSON(nil))
	data = member(data, "events", events)
	result := []byte(output)
	if len(output) == 0 {
		result = []byte("null")
	}
	data = member(data, "result", result)
	if status == stepwell.RunFailed {
		if len(output) == 0 {
			result = stepwell.Failure{Name: "Error", Message: "The error is too large for an event"}.JSON()
		}
		data = member(data, "error", result)
	}
	if correlation := invocationOf(state.Events[0]).Correlation; correlation != "" {
		data = member(data, "correlation_id", stepwell.EncodeJSON(correlation))
	}
	data = member(data, stepwell.InternalMember, append(append([]byte(`{"status":`), stepwell.EncodeJSON(status.String())...), '}'))
	return append(data, '}')
}
