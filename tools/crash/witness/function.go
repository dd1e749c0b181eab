package witness

import (
	"crypto/sha1" //nolint:gosec // the protocol names steps by it
	"encoding/hex"
	"slices"
	"time"
)

// Function is a function of the app: stages one after the other, of steps that run side by side. It has an Event that
// starts it, or Handles, or is invoked by a step of another.
type Function struct {
	ID string
	// Event starts it, as somebody publishes it.
	Event string
	// Handles is the end of runs of another function that starts it.
	Handles End
	// CancelledBy is the event that cancels a run whose id it has.
	CancelledBy string
	// MayFinish says that the function may have ended by itself when that event comes.
	MayFinish bool
	Stages    [][]Step
	// Reports says that steps are reported while the call goes on, as the JavaScript SDK does. Otherwise each step is the
	// answer to a call of its own.
	Reports bool
	// Concurrency is how many calls for the function may be under way at a time; 0 for any number.
	Concurrency int
}

// End is an event of the server's own about the ends of a function's runs.
type End struct{ Event, Of string }

// The server's own events.
const (
	EventInvoked   = "inngest/function.invoked"
	EventFailed    = "inngest/function.failed"
	EventCancelled = "inngest/function.cancelled"
)

// Step is a step of a function. It runs code, if it does nothing else.
type Step struct {
	Name string
	// Sleep is how long the step sleeps.
	Sleep time.Duration
	// Invokes is the function that the step invokes, InvokesFor how long it waits for the end of that.
	Invokes    string
	InvokesFor time.Duration
	// Awaits is the event that the step waits for, with the id of its run, AwaitsFor how long.
	Awaits    string
	AwaitsFor time.Duration

	// FailsFirst says that its first attempt fails, Fails that all do.
	FailsFirst, Fails bool
	// Sends is an event that each execution causes: it is published soon, with the id of the run, as often as Copies says.
	Sends  string
	Copies int
}

// RunsCode says that the app runs the step, and not the server.
func (s Step) RunsCode() bool { return s.Sleep == 0 && s.Invokes == "" && s.Awaits == "" }

// ID is how the protocol names the step.
func (s Step) ID() string {
	sum := sha1.Sum([]byte(s.Name)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// The times of the functions.
const (
	napFor = 300 * time.Millisecond
	// raceFor is how long a step waits for what comes at about that time.
	raceFor = 400 * time.Millisecond
	// Forever is longer than a trial: who waits for so long waits for what must come.
	Forever = time.Hour
)

// Functions are those of the app. Some events start two of them.
func Functions() []Function {
	return append(plainFunctions(), waitingFunctions()...)
}

// plainFunctions need nobody but the server.
func plainFunctions() []Function {
	return []Function{
		{ID: "crash-single", Event: "crash/single", Stages: [][]Step{one("only")}},
		{ID: "crash-sequence", Event: "crash/sequence", Stages: [][]Step{one("first"), one("second"), one("third")}},
		{ID: "crash-limited", Event: "crash/sequence", Concurrency: 1, Stages: [][]Step{one("first"), one("second")}},
		{
			ID: "crash-reports", Event: "crash/sequence", Reports: true,
			Stages: [][]Step{one("first"), one("second"), one("third")},
		},
		{
			ID: "crash-parallel", Event: "crash/parallel",
			Stages: [][]Step{{{Name: "left"}, {Name: "middle"}, {Name: "right"}}, one("join")},
		},
		{
			ID: "crash-sleeps", Event: "crash/sleeps",
			Stages: [][]Step{one("before"), {{Name: "nap", Sleep: napFor}}, one("after")},
		},
		{
			ID: "crash-fails", Event: "crash/fails",
			Stages: [][]Step{{{Name: "flaky", FailsFirst: true}}, one("then")},
		},
		{
			ID: "crash-fails-reporting", Event: "crash/fails", Reports: true,
			Stages: [][]Step{one("before"), {{Name: "flaky", FailsFirst: true}}, one("then")},
		},
	}
}

// waitingFunctions wait for other runs or for events, are cancelled, or handle the ends of others.
func waitingFunctions() []Function {
	return append(invokingFunctions(), []Function{
		{
			ID: "crash-waits", Event: "crash/waits", Stages: [][]Step{
				{{Name: "ask", Sends: "crash/answer", Copies: 2}},
				{{Name: "one", Awaits: "crash/answer", AwaitsFor: Forever}},
				{{Name: "other", Awaits: "crash/answer", AwaitsFor: Forever}},
				one("after"),
			},
		},
		{
			ID: "crash-waits-beside", Event: "crash/waits", Stages: [][]Step{
				{{Name: "ask", Sends: "crash/answer", Copies: 2}},
				{
					{Name: "one", Awaits: "crash/answer", AwaitsFor: Forever},
					{Name: "other", Awaits: "crash/answer", AwaitsFor: Forever},
				},
				one("after"),
			},
		},
		{
			ID: "crash-waits-briefly", Event: "crash/waits", Reports: true, Stages: [][]Step{
				{{Name: "ask", Sends: "crash/answer", Copies: 1}},
				{{Name: "answer", Awaits: "crash/answer", AwaitsFor: raceFor}},
				one("after"),
			},
		},
		{ID: "crash-breaks", Event: "crash/breaks", Stages: breaks()},
		{
			ID: "crash-breaks-failure", Handles: End{EventFailed, "crash-breaks"},
			Stages: [][]Step{one("note")},
		},
		{ID: "crash-stops", Event: "crash/stops", CancelledBy: "crash/stop", Stages: stops()},
		{
			ID: "crash-stops-late", Event: "crash/stops", CancelledBy: "crash/stop.late", MayFinish: true, Stages: [][]Step{
				{{Name: "ask", Sends: "crash/stop.late", Copies: 1}}, {{Name: "nap", Sleep: napFor}}, one("after"),
			},
		},
		{
			ID: "crash-stops-cancelled", Handles: End{EventCancelled, "crash-stops"},
			Stages: [][]Step{one("note")},
		},
	}...)
}

// invokingFunctions invoke others, which end well or not, are cancelled, or take too long.
func invokingFunctions() []Function {
	invokes := func(name, child string, most time.Duration) Step {
		return Step{Name: name, Invokes: child, InvokesFor: most}
	}
	return []Function{
		{
			ID: "crash-invokes", Event: "crash/invokes",
			Stages: [][]Step{one("before"), {invokes("call", "crash-child", Forever)}, one("after")},
		},
		{
			ID: "crash-invokes-broken", Event: "crash/invokes", Reports: true, Stages: [][]Step{
				one("before"),
				{invokes("call", "crash-child", Forever), invokes("call in vain", "crash-broken-child", Forever)},
				one("after"),
			},
		},
		{
			ID: "crash-invokes-stopped", Event: "crash/calls",
			Stages: [][]Step{{invokes("call", "crash-stopped-child", Forever)}, one("after")},
		},
		{
			ID: "crash-invokes-briefly", Event: "crash/calls", Reports: true,
			Stages: [][]Step{{invokes("call", "crash-slow-child", raceFor)}, one("after")},
		},
		{ID: "crash-child", Stages: [][]Step{one("first"), one("second")}},
		{ID: "crash-broken-child", Stages: breaks()},
		{ID: "crash-stopped-child", CancelledBy: "crash/stop", Stages: stops()},
		{ID: "crash-slow-child", Stages: [][]Step{one("first"), one("second"), one("third")}},
	}
}

// breaks are the stages of a function that fails for good.
func breaks() [][]Step { return [][]Step{one("before"), {{Name: "broken", Fails: true}}} }

// stops are the stages of a function that ends only if it is cancelled.
func stops() [][]Step {
	return [][]Step{
		{{Name: "ask", Sends: "crash/stop", Copies: 1}},
		one("first"), one("second"), one("third"),
		{{Name: "for ever", Sleep: Forever}},
		one("never"),
	}
}

// one is a stage of one step, which runs code.
func one(name string) []Step { return []Step{{Name: name}} }

// Events are the names of the events that somebody publishes to start something. Those that start plain functions are
// there twice: the others have more runs, which wait for each other.
func Events() []string {
	var names []string
	for _, functions := range [][]Function{plainFunctions(), plainFunctions(), waitingFunctions()} {
		var some []string
		for _, f := range functions {
			if f.Event != "" && !slices.Contains(some, f.Event) {
				some = append(some, f.Event)
			}
		}
		names = append(names, some...)
	}
	return names
}

// Steps are all steps of the function, in the order of their results in its output.
func (f Function) Steps() []Step {
	var steps []Step
	for _, stage := range f.Stages {
		steps = append(steps, stage...)
	}
	return steps
}

// Broken is the step that always fails, and the function with it.
func (f Function) Broken() (Step, bool) {
	steps := f.Steps()
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Fails })
	if at < 0 {
		return Step{}, false
	}
	return steps[at], true
}
