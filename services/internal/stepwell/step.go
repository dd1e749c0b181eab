package stepwell

import (
	"encoding/json"
	"time"
)

// StepKind is what a step does.
type StepKind int

// The kinds.
const (
	StepRun StepKind = iota
	StepSleep
	StepWaitForEvent
	StepWaitForSignal
	StepInvoke
	StepFetch
	StepInfer
	// StepDefer has a function run when the run has ended; StepDeferAbort says that it is not to, after all. They yield
	// nothing that functions see (RunState.Defers).
	StepDefer
	StepDeferAbort
)

// String is the kind as people read it.
func (k StepKind) String() string {
	switch k {
	case StepRun:
		return "run"
	case StepSleep:
		return "sleep"
	case StepWaitForEvent:
		return "waitForEvent"
	case StepWaitForSignal:
		return "waitForSignal"
	case StepInvoke:
		return "invoke"
	case StepFetch:
		return "fetch"
	case StepInfer:
		return "infer"
	case StepDefer:
		return "defer"
	case StepDeferAbort:
		return "abortDefer"
	}
	return "unknown"
}

// StepStatus is where a step stands.
type StepStatus int

// The statuses. StepCompleted and StepFailed are recorded: they never change (I10).
const (
	// StepOpen: planned, sleeping or waiting; Kind and the step's item say which.
	StepOpen StepStatus = iota
	StepCompleted
	StepFailed
)

// String is the status as people read it.
func (s StepStatus) String() string {
	switch s {
	case StepOpen:
		return "Open"
	case StepCompleted:
		return "Completed"
	case StepFailed:
		return "Failed"
	}
	return "Unknown"
}

// Step is one step of a run.
type Step struct {
	ID StepID
	// Name is what the author called it.
	Name   string
	Kind   StepKind
	Status StepStatus
	// Result is set when the step is recorded.
	Result Result
	// OpenedAt is when the server heard of the step.
	OpenedAt time.Time
	// StartedAt and EndedAt are when the step's code ran, as its SDK measured, else as the server saw it.
	StartedAt time.Time
	EndedAt   time.Time
	// DueAt is when an open sleep or wait ends by itself.
	DueAt time.Time
	// Event is the event that ended a wait. It ends no other wait of the run (I15).
	Event EventID
	// Order is the step's place among the recorded steps of the run, from 1; 0 while open.
	Order int
}

// ResultKind says how an SDK is told a result.
type ResultKind int

// The kinds.
const (
	// ResultData is a value: `{"data":…}`.
	ResultData ResultKind = iota
	// ResultError is a failed step's error: `{"error":…}`.
	ResultError
	// ResultBare is sent as it is: null after a sleep or time-out, the event after a wait.
	ResultBare
)

// Result is what a step yielded.
type Result struct {
	Kind ResultKind
	// JSON is one value, byte for byte as the app sent it.
	JSON json.RawMessage
}

// AppendMemo appends the result in the form that SDKs read.
func (r Result) AppendMemo(buf []byte) []byte {
	switch r.Kind {
	case ResultBare:
		return append(buf, r.JSON...)
	case ResultError:
		buf = append(buf, `{"error":`...)
	case ResultData:
		buf = append(buf, `{"data":`...)
	}
	buf = append(buf, r.JSON...)
	return append(buf, '}')
}

// AttemptStatus is how an attempt ended.
type AttemptStatus int

// The statuses.
const (
	AttemptCompleted AttemptStatus = iota
	// AttemptRetried failed, and another attempt follows at NextAt.
	AttemptRetried
	// AttemptFailed failed for good.
	AttemptFailed
)

// String is the status as people read it.
func (s AttemptStatus) String() string {
	switch s {
	case AttemptCompleted:
		return "Completed"
	case AttemptRetried:
		return "Retried"
	case AttemptFailed:
		return "Failed"
	}
	return "Unknown"
}

// Attempt is one call to the app and what came of it: one for each settled item that called the app.
type Attempt struct {
	Item ItemID
	// Step is the step that the call ran and ended with, empty if it ran the function's body only.
	Step StepID
	// StepName is what the author called it.
	StepName string
	// Number counts from 0, as the app saw it.
	Number    int
	Status    AttemptStatus
	StartedAt time.Time
	EndedAt   time.Time
	// NextAt is when the next attempt is due.
	NextAt time.Time
	// HTTPStatus is the app's answer; 0 if there was none.
	HTTPStatus int
	// Error is a Failure as JSON, empty if the attempt completed.
	Error json.RawMessage
}

// Failure is an error as it is recorded, sent to SDKs and shown.
type Failure struct {
	Name    string
	Message string
	Stack   string
}

// JSON is the failure as SDKs read it; `data` must be there for Go.
func (f Failure) JSON() json.RawMessage {
	return EncodeJSON(struct {
		Name    string  `json:"name"`
		Message string  `json:"message"`
		Stack   string  `json:"stack,omitempty"`
		Data    *string `json:"data"`
	}{f.Name, f.Message, f.Stack, nil})
}
