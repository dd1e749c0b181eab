package stepwell

import (
	"encoding/json"
	"time"
)

// Transition is what one decision changes in one run. Whoever decides hands it to the store, which applies it as one
// fact (store.Apply says how), then enqueues what the store says was opened, then acknowledges the item.
//
// A transition does not depend on what else happens to the run meanwhile: two executors that settle parallel steps
// need not know of each other. That is why the follow-up, the next discovery, is a rule of store.Apply and not an item.
type Transition struct {
	Run RunID
	// Environment is the caller's, for a decision from outside: a run of another environment is not found (I24). Zero
	// for a decision of our own, unless it ends the run.
	Environment EnvironmentID
	// Settles is the item whose work this is; it must be open. Empty for a decision from outside, such as a cancel.
	Settles ItemID
	// Generation is the lease under which the item was worked on. A later claim makes it a conflict (I12). 0 if it is not
	// known, which an SDK's report may leave open.
	Generation int
	// Keep leaves the item open: a checkpoint, whose call goes on. It also forgives the item's attempts so far.
	Keep bool
	// At is when the decision was made.
	At time.Time
	// Attempt is the history of the call, if there was one.
	Attempt *Attempt
	// Records are steps with their results. A step that is already recorded keeps its first result (I10). Recording an
	// open step closes its item; it keeps its Name, Kind, OpenedAt and DueAt, and StartedAt if that was known.
	Records []Step
	// Opens are new steps that the run waits for. One that is known already is ignored.
	Opens []Opening
	// Retry is the settled item's next attempt.
	Retry *Item
	// RequestVersion is the protocol version the app answered with; it is kept once known. 0 if there was no answer.
	RequestVersion int
	// End finishes the run: whatever is open is dropped.
	End *End
	// Trace is the span of deciding, for the store's own spans. It changes nothing.
	Trace Trace
}

// Opening is a step that the run begins to wait for: planned, asleep, or waiting.
type Opening struct {
	Step Step
	Item Item
	// Wait is set for a step that an event or a signal can end.
	Wait *Wait
	// Emits is an event that is stored with the step, for a runner to route: the invocation of a function.
	Emits *Event
}

// End is how a run finishes.
type End struct {
	Status RunStatus
	Output json.RawMessage
	// Emits are events that are stored with the end, for a runner to route: those to which somebody listens.
	Emits []Event
	// Unheard are the names of events of ours that the end would emit if anybody listened to them: a function has a
	// trigger of the name, or a run waits for it. If somebody does, the end is ErrStale, to be decided again.
	Unheard []string
	// DeferCount is how many records of RunState.Defers whoever decided knew of, besides the transition's own. If there are
	// others, the end is ErrStale, to be decided again of the run as it is: a function that was deferred meanwhile is to run.
	DeferCount int
	// Resumes are of the runs that invoked this one. One that conflicts is dropped: the parent has gone on (I14).
	Resumes []Resume
}

// Resume records the step of another run's open item, by which that run waits for something.
type Resume struct {
	Item ItemID
	Step Step
}

// Transition is what the resume changes in the run that waits.
func (r Resume) Transition(environment EnvironmentID, at time.Time) Transition {
	return Transition{Run: r.Item.Run(), Environment: environment, Settles: r.Item, At: at, Records: []Step{r.Step}}
}

// WaitKind is what a wait waits for.
type WaitKind int

// The kinds.
const (
	// WaitEvent resumes the run.
	WaitEvent WaitKind = iota
	// WaitSignal resumes it too. There is one such wait for a name.
	WaitSignal
	// WaitCancel cancels it, when an event comes that is newer than the run's own.
	WaitCancel
)

// ByEvent tells whether events end such waits.
func (k WaitKind) ByEvent() bool { return k != WaitSignal }

// Wait is a run waiting for an event or a signal. It ends when its step is recorded: by a transition that settles its
// ItemTimeout, so that match and time-out have one winner (I15). One that cancels ends with its run.
type Wait struct {
	Run         RunID
	Environment EnvironmentID
	Kind        WaitKind
	// Item is the open ItemTimeout whose settling ends the wait. That of a WaitCancel is not open: it only names the wait
	// (NewCancelItem).
	Item Item
	// Name is the event's or signal's name.
	Name string
	// Expression is CEL over `event` (the trigger) and `async` (the arriving event); empty matches every event of the
	// name.
	Expression string
	// Shape names the paths of the arriving event that Expression compares for equality; KeyHash is the hash of the
	// values it wants there (KeyHash). Both empty: every event of the name must be looked at.
	Shape   string
	KeyHash []byte
	// Since is how far back events that are already stored match. Zero once they were looked at.
	Since time.Time
	// Until bounds a WaitCancel: later events do not cancel.
	Until time.Time
	// Replaces lets a WaitSignal take the name from another run, which then waits for its time-out. Without it, a name
	// that is taken by another run is ErrTaken.
	Replaces bool
}

// RunStart is a new run, with its first discovery open; or one that was skipped by whoever decided, which is recorded.
type RunStart struct {
	Run Run
	// Key identifies the start within its function for EventDedupeWindow: the same key starts nothing new (I3).
	Key string
	// Once identifies it likewise, by the function's idempotency key; empty if it has none. If either key was used, nothing
	// starts.
	Once string
	// Rate keeps the run from starting if others like it did; nil if nothing does. What starts before is what was stored
	// before.
	Rate *Rate
	// Place is what the run takes and keeps until it ends, if it may start otherwise; nil if there is none.
	Place *Place
	// Buffering keeps the run from starting now; nil if it starts at once. Then only Run, Key, Once and Rate count: the rest is
	// decided when the run starts.
	Buffering *Buffering
	// Deadline is when somebody is to look whether the run takes too long; zero for never.
	Deadline time.Time
	// Waits are those that cancel the run.
	Waits []Wait
	// Refused is what ends in the run that invoked the function if nothing starts; nil if none did.
	Refused *Resume
}

// Place is that of a singleton: at most one live run of the function has the place of a key (I22).
type Place struct {
	Key string
	// Takes has the run take the place from one that has it, which is cancelled. Without it, the run is skipped then.
	Takes bool
	// Refused is what ends in the run that invoked the function if the run is skipped; nil if none did.
	Refused *Resume
}

// PlaceKey names a place.
type PlaceKey struct {
	Function FunctionID
	Key      string
}

// PlaceKey is the name of the place that the run takes.
func (s RunStart) PlaceKey() PlaceKey { return PlaceKey{s.Run.Function, s.Place.Key} }

// Deadline is when somebody is to look whether a run takes too long.
type Deadline struct {
	Run RunID
	// At is zero if nobody is to look any more.
	At time.Time
}

// RatePeriodMax bounds the period of a rate.
const RatePeriodMax = 24 * time.Hour

// Rate allows Limit starts of a function with the same key in any window of Period (I21). Others are recorded as skipped.
type Rate struct {
	Key    string
	Limit  int
	Period time.Duration
}

// Allows tells whether a run may start at now. before is when the run started that is Limit starts back, or zero if there
// were not as many.
func (r Rate) Allows(before, now time.Time) bool {
	return before.IsZero() || !before.Add(r.Period).After(now)
}

// PriorityMax bounds a run's priority, in either direction.
const PriorityMax = 12 * time.Hour

// Prioritize has the run's items go ahead of others by that much.
func (s *RunStart) Prioritize(by time.Duration) {
	s.Run.Priority = by
	s.reopen()
}

// Limit has the run's items share limits with others that have the same keys.
func (s *RunStart) Limit(keys []LimitKey) {
	s.Run.Limits = keys
	s.reopen()
}

// reopen gives the open items what they have from the run.
func (s *RunStart) reopen() {
	for i, item := range s.Run.Progress.Open {
		s.Run.Progress.Open[i] = item.Of(s.Run)
	}
}
