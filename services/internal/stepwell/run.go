package stepwell

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The bounds of a run (docs/limits.md).
const (
	// StepsMax bounds the steps of a run.
	StepsMax = 1000
	// StepBytesMax bounds one step's result.
	StepBytesMax = 4 << 20
	// StateBytesMax bounds the results of all steps of a run together.
	StateBytesMax = 32 << 20
)

// RunStatus is where a run stands.
type RunStatus int

// The statuses. All but RunRunning are terminal: a run gets one of them, once (I5).
const (
	RunRunning RunStatus = iota
	RunCompleted
	RunFailed
	RunCancelled
	// RunSkipped is a start that was recorded but not executed.
	RunSkipped
)

// Ended tells whether the status is terminal.
func (s RunStatus) Ended() bool { return s != RunRunning }

// String is the status as the SDK-facing API spells it.
func (s RunStatus) String() string {
	switch s {
	case RunRunning:
		return "Running"
	case RunCompleted:
		return "Completed"
	case RunFailed:
		return "Failed"
	case RunCancelled:
		return "Cancelled"
	case RunSkipped:
		return "Skipped"
	}
	return "Unknown"
}

// ParseRunStatus reads what String writes.
func ParseRunStatus(text string) (RunStatus, error) {
	for s := RunRunning; s <= RunSkipped; s++ {
		if s.String() == text {
			return s, nil
		}
	}
	return 0, Invalidf("run status %q is unknown: use Running, Completed, Failed, Cancelled or Skipped", text)
}

// SkipReason says why a start was recorded and not executed.
type SkipReason int

// The reasons. SkipNone is that of all runs that were not skipped.
const (
	SkipNone SkipReason = iota
	// SkipRateLimited: the function started as often as its rate limit allows.
	SkipRateLimited
	// SkipSingleton: another run has the place of the singleton.
	SkipSingleton
	// SkipPaused and SkipDrained: an operator holds the function (HoldSkip, HoldDrain).
	SkipPaused
	SkipDrained
	// SkipDebounced: a later event took the place of this one.
	SkipDebounced
	// SkipFunctionArchived: the function was gone when the run was to start.
	SkipFunctionArchived
	// SkipKeyInvalid: a key cannot be evaluated that decides whether the run starts. A note of the run says which.
	SkipKeyInvalid
)

// String is the reason as APIs and metrics spell it.
func (r SkipReason) String() string {
	switch r {
	case SkipNone:
		return ""
	case SkipRateLimited:
		return "RateLimited"
	case SkipSingleton:
		return "Singleton"
	case SkipPaused:
		return "FunctionPaused"
	case SkipDrained:
		return "FunctionDrained"
	case SkipDebounced:
		return "Debounced"
	case SkipFunctionArchived:
		return "FunctionArchived"
	case SkipKeyInvalid:
		return "KeyInvalid"
	}
	return "Unknown"
}

// Run is one execution of a function.
type Run struct {
	ID          RunID
	Environment EnvironmentID
	Function    FunctionID
	// FunctionVersion is the version whose trigger and keys started the run.
	FunctionVersion int
	// Events are the trigger events: one, or a batch.
	Events []EventID
	// EventName is the name of the first.
	EventName string
	Status    RunStatus
	// Skip is why the run was skipped, if it was, and Existing the run because of which, if there is one.
	Skip     SkipReason
	Existing RunID
	// Output is the function's result, or a Failure when the run failed. Empty while it runs.
	Output    json.RawMessage
	CreatedAt time.Time
	// StartedAt is when the first call to the app began, as far as committed.
	StartedAt time.Time
	EndedAt   time.Time
	// Priority moves the run's items ahead of others by this much.
	Priority time.Duration
	// Limits are the limit keys of the run's items, fixed when it was started.
	Limits []LimitKey
	// Notes tell what was found when the run was started: which expressions cannot be evaluated, and what counts instead. What
	// waits in a buffer has none: they are made when it starts.
	Notes    []string
	Progress Progress
}

// NoteBytesMax is where a note of a run is cut.
const NoteBytesMax = 512

// Note adds a note to the run.
func (r *Run) Note(text string) {
	r.Notes = append(r.Notes, strings.ToValidUTF8(text[:min(len(text), NoteBytesMax)], ""))
}

// Skipped is the run as it is recorded if it is not executed.
func (r Run) Skipped(why SkipReason) Run {
	r.Status, r.Skip, r.EndedAt = RunSkipped, why, r.CreatedAt
	r.Progress = Progress{RequestVersion: RequestVersionUnknown}
	return r
}

// Progress is the part of a run that changes with every transition.
type Progress struct {
	// RequestVersion is the protocol version that the app's SDK answered with; RequestVersionUnknown before it did.
	RequestVersion int
	// Open are the items that the run still waits for, in the order they were opened. A live run has at least one (I7).
	Open []Item
	// DiscoveryCount numbers the discovery items.
	DiscoveryCount int
	// Rediscover says that a step ended while a discovery was open, which may not have seen it: another one follows.
	Rediscover bool
	// StepCount and StateBytes sum up the recorded steps.
	StepCount  int
	StateBytes int
	// DeferCount and DeferBytes sum up the records of RunState.Defers, while the run is live.
	DeferCount int
	DeferBytes int
}

// RequestVersionUnknown is Progress.RequestVersion until the app has answered.
const RequestVersionUnknown = -1

// OpenItem returns the open item with this id.
func (p Progress) OpenItem(id ItemID) (Item, bool) {
	for _, item := range p.Open {
		if item.ID == id {
			return item, true
		}
	}
	return Item{}, false
}

// OpenStep tells whether an open item belongs to the step.
func (p Progress) OpenStep(step StepID) bool {
	for _, item := range p.Open {
		if item.Kind != ItemDiscovery && item.Step == step {
			return true
		}
	}
	return false
}

// RunState is all that deciding a run's next transition needs.
type RunState struct {
	Run      Run
	Function Function
	// App is the app's name and SDK, for the call.
	App App
	// Events are the trigger events, first one first.
	Events []Event
	// Steps are the recorded steps, in the order they were recorded.
	Steps []Step
	// Defers are the records of functions that run when the run has ended, and of those of them that do not after all, in
	// the order they were recorded.
	Defers []Step
}

// Trace is the run's span, in the trace of its first event; no trace if there is none.
func (s RunState) Trace() Trace {
	if len(s.Events) == 0 {
		return Trace{}
	}
	return s.Events[0].Trace.Run(s.Run.ID)
}

// Recorded tells whether the step has its result.
func (s RunState) Recorded(step StepID) bool {
	is := func(known Step) bool { return known.ID == step }
	return slices.ContainsFunc(s.Steps, is) || slices.ContainsFunc(s.Defers, is)
}

// Record adds a recorded step, the latest, to those of its kind.
func (s *RunState) Record(step Step) {
	if step.Kind.Defers() {
		s.Defers = append(s.Defers, step)
	} else {
		s.Steps = append(s.Steps, step)
	}
}

// RunHistory is a run with everything that happened in it, for people.
type RunHistory struct {
	Run      Run
	Function Function
	App      App
	Events   []Event
	// Steps are all steps, also unfinished ones, in the order they were first heard of.
	Steps []Step
	// Attempts are the calls made to the app, in the order they ended.
	Attempts []Attempt
}
