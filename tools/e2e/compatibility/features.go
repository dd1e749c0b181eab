// Package compatibility says what works with which SDK on which kind of server, as a page made of the results of the
// scenarios.
//
// It must not know how scenarios are played: it reads results.
package compatibility

// Feature is what somebody who chooses an SDK asks for. It is a row of the page, and this is its text.
type Feature string

// The features. A scenario says which ones it proves.
const (
	NoSteps       Feature = "a function without steps"
	Run           Feature = "`step.run`, one after the other"
	RepeatedIDs   Feature = "a step id that is used again"
	Values        Feature = "results as they were: any JSON, 3 MB"
	Checkpointing Feature = "checkpointing: several steps in one call"
	SendEvent     Feature = "`step.sendEvent`"
	SentOnce      Feature = "events of a step, sent again when an answer is lost, exist once"
	RunOutput     Feature = "a run's output by API"

	StepErrors     Feature = "a step that fails: retried, then caught or not"
	ErrorNames     Feature = "name and stack of a step's error"
	OwnAttempts    Feature = "attempts that begin anew with each step"
	FunctionErrors Feature = "a function that fails: retried"
	RetryAfter     Feature = "an error that says when to try again"
	NonRetriable   Feature = "an error that is not retried"

	Parallel Feature = "parallel steps"
	Branches Feature = "a parallel branch that goes on while another runs"
	Race     Feature = "the first of several steps wins"

	Sleep       Feature = "`step.sleep`"
	SleepUntil  Feature = "`step.sleepUntil`"
	FutureEvent Feature = "an event whose `ts` is in the future"

	WaitForEvent Feature = "`step.waitForEvent` with `match`, `if`"
	WaitTimeout  Feature = "`step.waitForEvent` in vain: nothing"
	WaitLookBack Feature = "a wait for what the step before it sent"
	WaitLoop     Feature = "waits in a loop: each event once"
	WaitParallel Feature = "waits beside each other and beside steps"

	Signals         Feature = "`step.waitForSignal`"
	SignalTimeout   Feature = "`step.waitForSignal` in vain: nothing"
	SignalConflicts Feature = "two waits for a signal: fail, replace"
	SendSignal      Feature = "`step.sendSignal`"

	Invoke         Feature = "`step.invoke`: the result"
	InvokeParallel Feature = "invocations beside each other"
	InvokeApps     Feature = "a function of another app"
	InvokeFailure  Feature = "a function that fails, or does not exist"
	InvokeTimeout  Feature = "a function that takes too long"
	InvokeCancel   Feature = "a run that is cancelled"

	CancelOn        Feature = "`cancelOn` with `match`, `if`"
	CancelOnTimeout Feature = "`cancelOn` for a time"
	CancelAtWork    Feature = "a step that runs while its run is cancelled: its result is refused"
	CancelByAPI     Feature = "a run cancelled by API"
	OnFailure       Feature = "a handler of failures: `onFailure`, in Go a function with that trigger"
	EndEvents       Feature = "`inngest/function.finished`, `failed`, `cancelled`"

	Defer       Feature = "`defer`: a function that runs when another has ended"
	DeferBounds Feature = "`defer` more than is allowed: the first ones run"

	Triggers     Feature = "several triggers"
	Cron         Feature = "cron: once at each instant"
	Wildcards    Feature = "wildcards"
	Expressions  Feature = "expressions"
	EventIDs     Feature = "one run for all copies of an event"
	Idempotency  Feature = "one run for each value of an idempotency key"
	Concurrency  Feature = "`concurrency`: so many calls at a time, for each value of its key"
	SharedLimit  Feature = "`concurrency` with a scope: functions share a limit"
	Priority     Feature = "`priority`: which of the runs that wait goes first"
	BatchIf      Feature = "`batchEvents` with `if`: other events start a run alone"
	Throttle     Feature = "`throttle`: so many starts in any window of its period, the others later"
	SkipSingle   Feature = "`singleton`: one live run for each value of its key, others are skipped"
	CancelOlder  Feature = "`singleton` with `mode: cancel`: the newest run cancels the one before"
	Holds        Feature = "functions that an operator pauses, drains and resumes"
	BackPressure Feature = "a function of which too much waits: publishers are told to slow down"
	Timeouts     Feature = "`timeouts`: a run that starts or ends too late is cancelled"
	RateLimit    Feature = "`rateLimit`: so many runs in any window of its period, for each value of its key"
	Debounce     Feature = "`debounce`: one run, with the last event"
	Batches      Feature = "`batchEvents`: one run for many events"
	EventOrder   Feature = "ids in the order of the events"
	EventDoors   Feature = "events by HTTP API"

	Endpoints       Feature = "durable endpoints"
	EndpointRetries Feature = "durable endpoints with parallel steps, with a step that is retried"

	Fetch Feature = "`step.fetch`"
	Infer Feature = "`step.ai.infer`"
	Wrap  Feature = "`step.ai.wrap`"

	LargeState  Feature = "results that are too large for a call"
	StateBounds Feature = "an error that names the bound"

	NewOps      Feature = "an operation that the server does not know: the run fails, at once"
	Restarts    Feature = "an app that comes late, goes and comes back"
	Deployments Feature = "a function that is removed while it runs"
	Keys        Feature = "keys: requests signed, others refused"
)

// group is a part of the page.
type group struct {
	name     string
	features []Feature
}

func groups() []group {
	return []group{
		{"Steps", []Feature{NoSteps, Run, RepeatedIDs, Values, Checkpointing, SendEvent, SentOnce, RunOutput}},
		{"Errors and retries", []Feature{StepErrors, ErrorNames, OwnAttempts, FunctionErrors, RetryAfter, NonRetriable}},
		{"Parallel steps", []Feature{Parallel, Branches, Race}},
		{"Time", []Feature{Sleep, SleepUntil, FutureEvent}},
		{"Waiting", []Feature{WaitForEvent, WaitTimeout, WaitLookBack, WaitLoop, WaitParallel}},
		{"Signals", []Feature{Signals, SignalTimeout, SignalConflicts, SendSignal}},
		{"Invoking functions", []Feature{
			Invoke, InvokeParallel, InvokeApps, InvokeFailure, InvokeTimeout, InvokeCancel,
		}},
		{"Cancelling, and hearing of the end", []Feature{
			CancelOn, CancelOnTimeout, CancelAtWork, CancelByAPI, OnFailure, EndEvents,
		}},
		{"Deferred functions", []Feature{Defer, DeferBounds}},
		{"Events and triggers", []Feature{Triggers, Cron, Wildcards, Expressions, EventIDs, Idempotency, EventOrder, EventDoors}},
		{"Flow control", []Feature{
			Concurrency, SharedLimit, Throttle, Priority, RateLimit, Debounce, Batches, BatchIf, SkipSingle, CancelOlder, Timeouts, Holds, BackPressure,
		}},
		{"Durable endpoints", []Feature{Endpoints, EndpointRetries}},
		{"Requests and models", []Feature{Fetch, Infer, Wrap}},
		{"Large state", []Feature{LargeState, StateBounds}},
		{"Operations", []Feature{Restarts, Deployments, Keys, NewOps}},
	}
}

// Features are all features, in the order of the page.
func Features() []Feature {
	var list []Feature
	for _, g := range groups() {
		list = append(list, g.features...)
	}
	return list
}
