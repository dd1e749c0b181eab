package stepwell

import (
	"slices"
	"time"
)

// The bounds of a function's configuration (docs/limits.md).
const (
	// RetriesDefault and RetriesMax bound Function.Retries.
	RetriesDefault = 4
	RetriesMax     = 20
	// TriggersMax bounds Function.Triggers.
	TriggersMax = 10
	// TriggerBytesMax bounds an event name or cron expression of a trigger.
	TriggerBytesMax = 255
	// CancelOnMax bounds Function.CancelOn.
	CancelOnMax = 5
	// ConcurrencyMax bounds the step limits of Function.Concurrency.
	ConcurrencyMax = 2
)

// App is a program of the customer's that serves functions at a URL.
type App struct {
	ID          AppID
	Environment EnvironmentID
	// Name is the id the customer chose.
	Name string
	URL  string
	// SDK is language and version, as in `js:v4.24.0`.
	SDK       string
	Framework string
	// Version is the customer's version of the app, often empty.
	Version string
	// Checksum is over all that a sync said; an equal one means that nothing changed.
	Checksum string
	SyncedAt time.Time
}

// Function is one durable function as last synced. Every sync that changes it makes a new version.
type Function struct {
	ID          FunctionID
	Environment EnvironmentID
	App         AppID
	// Slug is `<app name>-<function id>`, unique within an environment.
	Slug    string
	Name    string
	Version int
	// URL is where calls go.
	URL string
	// Retries is the number of attempts after the first.
	Retries     int
	Triggers    []Trigger
	FlowControl FlowControl
	CreatedAt   time.Time
	// ArchivedAt is set when a sync of its app no longer had the function: it starts no new runs, live ones go on.
	ArchivedAt time.Time
	// Hold is what an operator has it do. Syncs leave it as it is.
	Hold Hold
}

// AttemptsMax is how often a step, or the function's body, may be tried.
func (f Function) AttemptsMax() int { return f.Retries + 1 }

// Endpoint tells whether the function is an HTTP endpoint of the app: its calls are made to the URL of the request that
// started the run.
func (f Function) Endpoint() bool {
	return slices.ContainsFunc(f.Triggers, func(t Trigger) bool { return t.Endpoint })
}

// Trigger says what starts a function: an event name with an optional expression, a cron expression, or requests to an
// endpoint of the app.
type Trigger struct {
	// Event is a name, or a prefix with a wildcard such as `shop/*` or `shop/order.*`.
	Event string
	// Expression is CEL over `event`; empty matches every event.
	Expression string
	Cron       string
	// Jitter spreads a cron trigger's instants.
	Jitter time.Duration
	// Endpoint says that the app tells of each request to the endpoint.
	Endpoint bool
}

// FlowControl is what a function's author asked of the scheduler. Absent parts are nil or zero. Expressions are CEL
// over `event`.
type FlowControl struct {
	Concurrency []Concurrency
	Throttle    *Throttle
	RateLimit   *RateLimit
	Debounce    *Debounce
	Batch       *Batch
	// Priority is an expression that yields seconds by which the run sorts earlier.
	Priority string
	// Idempotency is an expression: one run for each value within 24 hours.
	Idempotency string
	CancelOn    []CancelOn
	// StartWithin and FinishWithin cancel a run that takes longer; zero means no limit.
	StartWithin  time.Duration
	FinishWithin time.Duration
	Singleton    *Singleton
}

// Scope is how far a limit reaches.
type Scope int

// The scopes.
const (
	ScopeFunction Scope = iota
	ScopeEnvironment
	ScopeAccount
)

// Concurrency limits calls in flight, or whole runs.
type Concurrency struct {
	Limit int
	Key   string
	Scope Scope
	// Runs means that a run holds its place from start to end, also while it sleeps.
	Runs bool
}

// Throttle spaces the starts of runs without losing any.
type Throttle struct {
	Limit  int
	Burst  int
	Period time.Duration
	Key    string
}

// RateLimit drops starts beyond the rate.
type RateLimit struct {
	Limit  int
	Period time.Duration
	Key    string
}

// Debounce starts one run, with the last event, when events have stopped for Period.
type Debounce struct {
	Period  time.Duration
	Timeout time.Duration
	Key     string
}

// Batch starts one run for several events.
type Batch struct {
	SizeMax int
	Timeout time.Duration
	Key     string
	// Condition is an expression: events for which it is false start a run alone.
	Condition string
}

// CancelOn ends a run when an event arrives.
type CancelOn struct {
	Event string
	// Condition is an expression over `event` (the trigger) and `async` (the arriving event).
	Condition string
	// Until bounds how long the run listens: After from its start, or the instant At. Both zero: a year.
	After time.Duration
	At    time.Time
}

// SingletonMode says what happens to a start while another run holds the place.
type SingletonMode int

// The modes.
const (
	SingletonSkip SingletonMode = iota
	SingletonCancel
)

// Singleton allows one live run for each value of Key.
type Singleton struct {
	Key  string
	Mode SingletonMode
}
