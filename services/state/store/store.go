// Package store is the contract of the state service's storage: what is committed together, what wins when two commits
// meet, and what a reader sees. Drivers are memstore and pgstore; storetest judges them.
//
// It must not decide what an event starts or what an answer means: it applies transitions that others decided.
//
// Invariants that every driver keeps (design: docs/invariants.md):
//
//	I1  What Ingest or Commit reported as done is durable, as far as the driver is.
//	I3  The same start key within stepwell.EventDedupeWindow yields the same run.
//	I4  An Ingest is all or nothing.
//	I5  A run gets one terminal status, together with its output.
//	I7  A live run has at least one open item.
//	I10 A recorded step never changes.
//	I11 An item is settled once.
//	I12 A settlement under an older lease than the latest claim is a conflict.
//	I18 A schedule moves on once from each of its instants.
//	I19 A buffer that takes an event starts one run, in which each of its events is once.
//	I21 No window of a rate's period has more starts than its limit, by the instants at which they were decided.
//	I22 At most one live run has a place.
package store

import (
	"context"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of one call.
const (
	// TransitionsMax bounds the transitions of one Commit, the requests of one Ingest, and the runs of one LoadRuns.
	TransitionsMax = 1024
	// PageMax bounds the rows of one page.
	PageMax = 1000
	// PageBytesMax bounds the payloads of one page of unrouted events, or of due buffers, unless a single one is larger.
	PageBytesMax = 16 << 20
)

// Store is everything a driver does. Consumers name the role they take. All methods are safe for concurrent use. JSON
// bytes that go in or come out are shared, and nobody changes them; all else that comes out is the caller's. Any method
// may return stepwell.ErrUnavailable, which leaves open whether the change was made: all changes are safe to repeat.
type Store interface {
	Ingester
	Committer
	Catalog
	Backlog
	Matcher
	Scheduler
	Reader
}

// Ingester stores what came from outside.
type Ingester interface {
	// Ingest stores each request as one fact and reports in the same order. Requests are independent of each other.
	// A request's Err is stepwell.ErrStale if the catalog is newer than its Revision, or if one of its starts is to take a
	// place from a run of which the request has no cancel that was decided of the run as it is, or somebody listens to what
	// a cancel does not tell; nothing of it is stored then. It is stepwell.ErrUnavailable if the driver has no room.
	// An event that was stored and routed before is kept as it is and starts nothing: its starts yield the runs of the
	// first time. One that was stored unrouted is routed now.
	Ingest(ctx context.Context, requests []Ingest) ([]Ingested, error)
}

// Ingest is one publish request, decided.
type Ingest struct {
	Environment stepwell.EnvironmentID
	// Revision is the revision of the catalog by which Starts were decided.
	Revision int64
	Events   []IngestEvent
	// Fires are of buffers whose time has come. One that has changed since it was read, or is gone, fires nothing.
	Fires []Fire
	// Cancels end runs from which starts of the request take their place, also other starts of the request. One is
	// applied only when that happens, which is after the event's earlier starts and before its transitions.
	Cancels []stepwell.Transition
	// Unrouted stores the events for a runner to route later: nobody could decide what they start. Revision, Starts,
	// Transitions and Cancels are empty then.
	Unrouted bool
	// Now is when the decision was made; dedupe windows count from it.
	Now time.Time
	// Trace is the span of deciding, for the store's own spans. It changes nothing.
	Trace stepwell.Trace
}

// IngestEvent is an event and what it starts.
type IngestEvent struct {
	Event  stepwell.Event
	Starts []stepwell.RunStart
	// Transitions are of other runs: waits that the event ends, runs that it cancels. One that conflicts is dropped;
	// somebody else was first.
	Transitions []stepwell.Transition
}

// AllStarts are the starts of all events, and of the buffers that fire, in order.
func (i Ingest) AllStarts() []stepwell.RunStart {
	var starts []stepwell.RunStart
	for _, e := range i.Events {
		starts = append(starts, e.Starts...)
	}
	for _, fire := range i.Fires {
		starts = append(starts, fire.Start)
	}
	return starts
}

// Fire starts the run of a buffer, or records it as skipped, and removes the buffer.
type Fire struct {
	// Start is of the buffer's run and its events; neither Key, Once, Rate nor Buffering count.
	Start stepwell.RunStart
	// KeyHash is the buffer's.
	KeyHash []byte
}

// Ingested reports on one Ingest.
type Ingested struct {
	Err error
	// Runs are, for each event, the runs of its starts in their order: new ones, or those of the first time. A start of
	// an event that was routed before, by a function that it did not start then, has the zero ID.
	Runs [][]StartedRun
	// Fired are the runs of its Fires in their order. Those that fired nothing existed, also if there is no such run.
	Fired []StartedRun
	// FiresAt is when the first of the buffers is to fire into which events were put; zero if there is none.
	FiresAt time.Time
	// Awaited are the events for which there may be waits: their name fits. They stay unrouted until Routed says that the
	// waits were looked at (I15).
	Awaited []stepwell.EventID
	// Opened are the items of new runs and of transitions, to be enqueued unless they are parked.
	Opened []stepwell.Item
	// Dropped are items that are no longer open.
	Dropped []stepwell.ItemID
	// ForRunner is as in Committed.
	ForRunner bool
	// Cancelled are the runs of which the place was taken.
	Cancelled []stepwell.RunID
}

// Expect takes note of when a buffer is to fire.
func (i *Ingested) Expect(at time.Time) {
	if i.FiresAt.IsZero() || at.Before(i.FiresAt) {
		i.FiresAt = at
	}
}

// Add adds what a transition changed that was applied with the request.
func (i *Ingested) Add(t stepwell.Transition, committed Committed) {
	i.Opened = append(i.Opened, committed.Opened...)
	i.Dropped = append(i.Dropped, committed.Dropped...)
	if t.Settles != "" {
		i.Dropped = append(i.Dropped, t.Settles)
	}
	i.ForRunner = i.ForRunner || committed.ForRunner
}

// StartedRun is a run that a start led to.
type StartedRun struct {
	ID stepwell.RunID
	// Existed tells that the run was started before, so that nothing was started now.
	Existed bool
	// Skip tells why the run was recorded as skipped now: its start said so, its Rate did not allow it, another run has its
	// Place, or a debounce has a later event.
	Skip stepwell.SkipReason
	// Buffered tells that the event is in a buffer now; the run is that which it may start.
	Buffered bool
	// Displaces tells that an earlier event has lost its place to this one, and its run was recorded as skipped now.
	Displaces bool
}

// Started tells whether the run was started now.
func (r StartedRun) Started() bool { return !r.Existed && r.Skip == stepwell.SkipNone && !r.Buffered }

// Loader loads what calls to apps are made of.
type Loader interface {
	// LoadRuns returns what deciding the runs' next transitions needs, in the same order, as of all commits that were
	// reported as done. Runs of all environments are found. Errors of one: stepwell.ErrNotFound.
	LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]Loaded, error)
}

// Committer changes runs.
type Committer interface {
	Loader
	// Commit applies each transition as one fact, by Apply, and reports in the same order. Transitions of different
	// runs are independent; those of one run are applied in order. The events that a transition emits are stored with it,
	// unrouted, and the runs that its end resumes go on with it. Errors of one: stepwell.ErrNotFound if the run is
	// unknown, and those of Apply.
	Commit(ctx context.Context, transitions []stepwell.Transition) ([]Committed, error)
	// Claim makes generation the item's latest lease, so that older ones can no longer settle it (I12). Every lease of
	// an item but its first claims it before it works. began, if it is not zero, is when the run's first call begins: the
	// run has started then, unless it has before. Errors: as Commit; ErrConflict if a later lease claimed it.
	Claim(ctx context.Context, item stepwell.ItemID, generation int, began time.Time) error
}

// Loaded is the answer for one run.
type Loaded struct {
	Err   error
	State stepwell.RunState
}

// LoadRun loads a single run.
func LoadRun(ctx context.Context, from Loader, id stepwell.RunID) (stepwell.RunState, error) {
	loaded, err := from.LoadRuns(ctx, []stepwell.RunID{id})
	if err != nil {
		return stepwell.RunState{}, err
	}
	return loaded[0].State, loaded[0].Err
}

// Committed reports on one transition.
type Committed struct {
	Err error
	// Opened are the items that the run now waits for in addition, and those of runs that its end resumes, to be enqueued
	// unless they are parked.
	Opened []stepwell.Item
	// Dropped are items, besides the settled one, that are no longer open: they may be removed from the queue.
	Dropped []stepwell.ItemID
	// PriorStepCount is how many steps of the run were recorded before the transition. Recorded steps never change, so
	// who knew as many knew them all, and knows from Apply what the run has become, but for items of others.
	PriorStepCount int
	// ForRunner says that something is left for a runner to look at: an event to route, or a wait to look back for.
	ForRunner bool
}

// Catalog keeps apps and functions.
type Catalog interface {
	// SyncApp makes the app's active functions exactly these: new ones are added, changed ones get the next version,
	// missing ones are archived, which ends neither them nor their live runs. The store assigns Version, CreatedAt,
	// ArchivedAt and Hold. modified is false if the app's checksum is the stored one, and then nothing changes but SyncedAt.
	SyncApp(ctx context.Context, app stepwell.App, functions []stepwell.Function) (modified bool, err error)
	// HoldFunction says what an operator has a function do, archived or not. Errors: stepwell.ErrNotFound if the environment
	// has no such function.
	HoldFunction(
		ctx context.Context, environment stepwell.EnvironmentID, function stepwell.FunctionID, hold stepwell.Hold,
	) error
	// Functions returns the environment's apps and functions, archived ones too, if their revision is not known, else
	// only the revision.
	Functions(ctx context.Context, environment stepwell.EnvironmentID, known int64) (Functions, error)
}

// Functions is the catalog of one environment at one revision.
type Functions struct {
	// Revision grows with every change, from 0 for an empty catalog.
	Revision  int64
	Apps      []stepwell.App
	Functions []stepwell.Function
}

// Backlog finds work that is in the store and may have to be put into the queue, or to be decided.
type Backlog interface {
	// DueItems returns open items of live runs that are due before an instant, earliest first, after the cursor of the
	// page before ("" to begin). next is "" when there are no more.
	DueItems(ctx context.Context, query DueQuery) (items []stepwell.Item, next string, err error)
	// ParkedItems returns parked items that are due before an instant, earliest first, at most limit.
	ParkedItems(ctx context.Context, before time.Time, limit int) ([]stepwell.Item, error)
	// Unpark says that items are in the queue now. Those that are not open any more are passed over.
	Unpark(ctx context.Context, items []stepwell.ItemID) error
	// Deadlines returns up to limit deadlines that are not after an instant, the earliest first. A run that ends has none
	// any more.
	Deadlines(ctx context.Context, until time.Time, limit int) ([]stepwell.Deadline, error)
	// MoveDeadlines gives runs that have deadlines others, or none. A driver may pass over some that change meanwhile.
	MoveDeadlines(ctx context.Context, deadlines []stepwell.Deadline) error
	// DueBuffers returns up to limit buffers whose time has come, the earliest first. There may be more even if it returns
	// fewer, since the bytes of their events are bounded too; if it returns none there are none, and next is when the first
	// one's time comes, zero if there is no buffer.
	DueBuffers(ctx context.Context, now time.Time, limit int) (due []DueBuffer, next time.Time, err error)
	// ThrottleStarts returns starts of runs of a function with a throttle since an instant, as far as their first calls are
	// settled, at most limit, after the cursor of the page before ("" to begin). They are kept for
	// stepwell.ThrottlePeriodMax. next is "" when there are no more.
	ThrottleStarts(ctx context.Context, query ThrottleQuery) (starts []stepwell.ThrottleStart, next string, err error)
	// UnroutedEvents returns events that were stored unrouted, oldest first, at most limit. There may be more even if
	// it returns fewer, since their bytes are bounded too; there are none left if it returns none.
	UnroutedEvents(ctx context.Context, limit int) ([]stepwell.Event, error)
}

// DueBuffer is a buffer whose time has come.
type DueBuffer struct {
	stepwell.Buffer

	// Event is the first of its events.
	Event stepwell.Event
}

// DueQuery asks for a page of due items.
type DueQuery struct {
	Before time.Time
	// After, if it is set, passes over runs of which an item is due before it, to the minute.
	After  time.Time
	Cursor string
	// Limit is at most PageMax.
	Limit int
}

// ThrottleQuery asks for a page of starts.
type ThrottleQuery struct {
	Function stepwell.FunctionID
	Since    time.Time
	Cursor   string
	// Limit is at most PageMax.
	Limit int
}

// Matcher finds runs that events may change: who has the places that others are to take, and waits with the events that
// may end them. Whoever registers a wait and whoever stores an event that it is
// for cannot miss each other: either the event is Awaited, or the wait has a LookBack with it (I15).
type Matcher interface {
	// Holders returns the live runs that have these places, at most PageMax, in the same order; the zero id if none has.
	Holders(ctx context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error)
	// Waits returns a page of the waits that the event may end: name and key fit, the expression is to be evaluated.
	// next is "" when there are no more.
	Waits(ctx context.Context, query WaitQuery) (waits []stepwell.Wait, next string, err error)
	// SignalWait returns the wait for a signal. Errors: stepwell.ErrNotFound if no run waits for it.
	SignalWait(ctx context.Context, environment stepwell.EnvironmentID, signal string) (stepwell.Wait, error)
	// Routed says that all that the events do was decided.
	Routed(ctx context.Context, events []stepwell.EventID) error
	// LookBacks returns waits that were registered when there were events already that may end them, at most limit.
	LookBacks(ctx context.Context, limit int) ([]LookBack, error)
	// LookedBack says that events of LookBacks were looked at and ended none of these waits: what is still to be looked at
	// is what came after their new Since, nothing if it is zero. Those that are over are passed over.
	LookedBack(ctx context.Context, waits []stepwell.Wait) error
}

// WaitQuery asks for a page of waits.
type WaitQuery struct {
	Event stepwell.Event
	// Cursor is "" to begin.
	Cursor string
	// Limit is at most PageMax.
	Limit int
}

// LookBackMax bounds the events of a LookBack.
const LookBackMax = 100

// LookBack is a wait with the events since Wait.Since that may end it, oldest first, at most LookBackMax.
type LookBack struct {
	Wait   stepwell.Wait
	Events []stepwell.Event
	// More says that there may be more events.
	More bool
}

// Maintainer is what some drivers want done now and then. Any number of processes may call it.
type Maintainer interface {
	// Maintain makes room for what is to come and drops what need not be kept any longer.
	Maintain(ctx context.Context, now time.Time) error
}

// Prober is what drivers are that may be unable to do their work.
type Prober interface {
	// Ready tells whether the store can do its work. The error says what is wrong and what to do.
	Ready(ctx context.Context) error
}

// Reader serves people and APIs. What it returns is never older than what was reported as done.
type Reader interface {
	// Run returns the run. Errors: stepwell.ErrNotFound.
	Run(ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID) (stepwell.Run, error)
	// RunHistory returns the run with its events, steps and attempts. Errors: stepwell.ErrNotFound.
	RunHistory(ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID) (stepwell.RunHistory, error)
	// Runs returns runs, newest first.
	Runs(ctx context.Context, query RunQuery) ([]stepwell.Run, error)
	// Event returns the event. Errors: stepwell.ErrNotFound.
	Event(ctx context.Context, environment stepwell.EnvironmentID, id stepwell.EventID) (stepwell.Event, error)
	// Events returns events, newest first.
	Events(ctx context.Context, query EventQuery) ([]stepwell.Event, error)
}

// RunQuery asks for a page of runs.
type RunQuery struct {
	Environment stepwell.EnvironmentID
	// Event, if set, selects the runs that this event started or was found to have started.
	Event stepwell.EventID
	// Function, if set, selects the runs of this function.
	Function stepwell.FunctionID
	// Statuses, if any, selects runs in one of them.
	Statuses []stepwell.RunStatus
	// Before, if set, selects runs older than this one: the last of the page before.
	Before stepwell.RunID
	// Limit is at most PageMax.
	Limit int
}

// EventQuery asks for a page of events.
type EventQuery struct {
	Environment stepwell.EnvironmentID
	// Name, if set, selects events of this name.
	Name string
	// Before, if set, selects events older than this one: the last of the page before.
	Before stepwell.EventID
	// Limit is at most PageMax.
	Limit int
}
