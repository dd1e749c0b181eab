package witness

import (
	"crypto/sha1" //nolint:gosec // the protocol names steps by it
	"encoding/hex"
	"time"
)

// Function is a function of the app: stages one after the other, of steps that run side by side.
type Function struct {
	ID string
	// Event starts it.
	Event  string
	Stages [][]Step
	// Reports says that steps are reported while the call goes on, as the JavaScript SDK does. Otherwise each step is the
	// answer to a call of its own.
	Reports bool
}

// Step is a step of a function.
type Step struct {
	Name string
	// Sleep is how long the step sleeps; 0 if it runs code.
	Sleep time.Duration
	// FailsFirst says that its first attempt fails.
	FailsFirst bool
}

// ID is how the protocol names the step.
func (s Step) ID() string {
	sum := sha1.Sum([]byte(s.Name)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// napFor is how long the functions sleep that do.
const napFor = 300 * time.Millisecond

// Functions are those of the app. One event starts two of them.
func Functions() []Function {
	one := func(name string) []Step { return []Step{{Name: name}} }
	return []Function{
		{ID: "crash-single", Event: "crash/single", Stages: [][]Step{one("only")}},
		{ID: "crash-sequence", Event: "crash/sequence", Stages: [][]Step{one("first"), one("second"), one("third")}},
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

// Events are the names of the events that start something.
func Events() []string {
	var names []string
	for _, f := range Functions() {
		if len(names) == 0 || names[len(names)-1] != f.Event {
			names = append(names, f.Event)
		}
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
