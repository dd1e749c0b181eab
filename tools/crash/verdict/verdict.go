// Package verdict compares what was seen from outside with what is stored, and says which promises were broken.
//
// It must not ask anybody: all it judges is given to it.
package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

// Promise is what was broken.
type Promise string

// The promises. The numbers are those of the invariants of the design.
const (
	// Lost: an event that was answered with 200 is not there, was not routed, or did not start its runs.
	Lost Promise = "event lost (I1, I2)"
	// Doubled: a function ran more than once for an event, or an event of the server's own was made more than once.
	Doubled Promise = "run doubled (I3)"
	// Stray: something is stored that nobody caused.
	Stray Promise = "stray (I2)"
	// Unended: a run has not ended.
	Unended Promise = "run not ended (I8)"
	// EndedTwice: a run that had ended was changed.
	EndedTwice Promise = "run ended twice (I5)"
	// Untold: a run failed or was cancelled, and there is not one event that tells it.
	Untold Promise = "end not told once (I6)"
	// Failed: a run ended otherwise than its code.
	Failed Promise = "run failed (I8)"
	// Uncancelled: a run was not cancelled by the event that does it, or went on.
	Uncancelled Promise = "run not cancelled (I16)"
	// Output: a run's output is not what its code answered, or not made of what is recorded.
	Output Promise = "wrong output (I5)"
	// Changed: a recorded result is not the only one that was ever told, or none that the step's code yielded.
	Changed Promise = "result changed (I10)"
	// Again: a step was run although its result was known.
	Again Promise = "step run again (I10)"
	// Invoked: a step that invoked a function has not the result of the one run that it started.
	Invoked Promise = "wrong result of a child (I14)"
	// Waited: a wait was not ended once, by an event for it or by its time-out.
	Waited Promise = "wrong end of a wait (I15)"
	// Crowded: more calls for a function were under way at a time than its concurrency allows.
	Crowded Promise = "too many calls at a time (I20)"
	// Left: something is left of runs that have ended.
	Left Promise = "left over (I8)"
	// Died: a process ended by itself, or panicked.
	Died Promise = "process died"
)

// Promises are all of them.
func Promises() []Promise {
	return []Promise{
		Lost, Doubled, Stray, Unended, EndedTwice, Untold, Failed, Uncancelled, Output, Changed, Again, Invoked, Waited, Crowded, Left, Died,
	}
}

// Violation is a broken promise.
type Violation struct {
	Promise Promise
	Text    string
}

// String is the violation as people read it.
func (v Violation) String() string { return string(v.Promise) + ": " + v.Text }

// Judge returns the violations. sent are the ids of the events that were published since the record begins; what is
// stored may be of earlier ones too, since an unanswered request may take effect late.
func Judge(t witness.Testimony, r record.Record, sent []string) []Violation {
	c := newCourt(t, r)
	for _, f := range witness.Functions() {
		if most := t.Crowds[f.ID]; f.Concurrency > 0 && most > f.Concurrency {
			c.violated(Crowded, "%d calls for %s at a time, %d are allowed", most, f.ID, f.Concurrency)
		}
	}
	for _, event := range r.Events {
		if _, known := c.starts(event.Name, event.Key); !known {
			c.violated(Stray, "event %s %s is stored as %s, nobody caused it", event.Name, event.Key, event.ID)
		}
		if !event.Routed {
			c.violated(Lost, "event %s %s is stored as %s and was never routed", event.Name, event.Key, event.ID)
		}
	}
	for _, run := range r.Runs {
		c.run(run)
	}
	for _, key := range sent {
		c.published(key)
	}
	for _, cause := range slices.SortedFunc(maps.Keys(c.stored), cause.compare) {
		c.event(cause)
	}
	for _, change := range r.Changes {
		promise := Changed
		switch change.What {
		case "runs":
			promise = EndedTwice
		case "late":
			promise = Uncancelled
		}
		c.violated(promise, "run %s: %s", change.Run, change.Text)
	}
	return c.violations
}

// cause is what starts runs: an event, however often it is stored.
type cause struct{ event, key string }

func (c cause) compare(d cause) int {
	return cmp.Or(strings.Compare(c.event, d.event), strings.Compare(c.key, d.key))
}

// start is what starts a run, once.
type start struct{ key, function string }

// court is a verdict in the making.
type court struct {
	testimony witness.Testimony
	functions map[string]witness.Function
	// events and runs are those stored, by their ids.
	events map[string]record.Event
	runs   map[string]record.Run
	// stored counts how often each event is stored, started are the runs that it started.
	stored     map[cause]int
	started    map[start][]string
	violations []Violation
}

func newCourt(t witness.Testimony, r record.Record) *court {
	c := &court{
		testimony: t, functions: map[string]witness.Function{}, events: map[string]record.Event{},
		runs: map[string]record.Run{}, stored: map[cause]int{}, started: map[start][]string{},
	}
	for _, f := range witness.Functions() {
		c.functions[f.ID] = f
	}
	for _, event := range r.Events {
		c.events[event.ID] = event
		c.stored[cause{event.Name, event.Key}]++
	}
	for _, run := range r.Runs {
		c.runs[run.ID] = run
		for _, key := range run.Keys {
			by := start{key, run.Function}
			c.started[by] = append(c.started[by], run.ID)
		}
	}
	return c
}

func (c *court) violated(promise Promise, format string, arguments ...any) {
	c.violations = append(c.violations, Violation{promise, fmt.Sprintf(format, arguments...)})
}

// published checks that an acknowledged event is there.
func (c *court) published(key string) {
	sent := c.testimony.Sent[key]
	if sent.Acked && c.stored[cause{sent.Name, key}] == 0 {
		c.violated(Lost, "event %s was answered with 200 and is not stored", key)
	}
}

// starts are the functions that an event starts. known is false if nobody caused it.
func (c *court) starts(event, key string) (functions []string, known bool) {
	switch event {
	case witness.EventInvoked:
		parent, step, _ := strings.Cut(key, ".")
		for _, s := range c.functions[c.runs[parent].Function].Steps() {
			if s.ID() == step && s.Invokes != "" {
				return []string{s.Invokes}, true
			}
		}
		return nil, false
	case witness.EventFailed, witness.EventCancelled:
		run, stored := c.runs[key]
		return c.handlers(witness.End{Event: event, Of: run.Function}), stored && toldOf(run) == event
	}
	for _, f := range witness.Functions() {
		if f.Event == event {
			functions = append(functions, f.ID)
		}
	}
	sent, known := c.testimony.Sent[key]
	return functions, known && sent.Name == event
}

func (c *court) handlers(end witness.End) []string {
	var functions []string
	for _, f := range witness.Functions() {
		if f.Handles == end {
			functions = append(functions, f.ID)
		}
	}
	return functions
}

// event checks that a stored event, acknowledged or not, started each of its functions once. One of a publisher's may be
// stored more than once, since publishers send again.
func (c *court) event(by cause) {
	functions, known := c.starts(by.event, by.key)
	if _, published := c.testimony.Sent[by.key]; known && !published && c.stored[by] > 1 {
		c.violated(Doubled, "event %s %s is stored %d times", by.event, by.key, c.stored[by])
	}
	for _, f := range functions {
		switch runs := c.started[start{by.key, f}]; {
		case !known:
		case len(runs) == 0:
			c.violated(Lost, "event %s %s is stored and did not start %s", by.event, by.key, f)
		case len(runs) > 1:
			c.violated(Doubled, "event %s %s started %s %d times: %v", by.event, by.key, f, len(runs), runs)
		}
	}
}

// run checks a run by itself.
func (c *court) run(run record.Run) {
	f := c.functions[run.Function]
	var starts []string
	if len(run.Keys) == 1 {
		starts, _ = c.starts(run.Event, run.Keys[0])
	}
	if !slices.Contains(starts, run.Function) {
		c.violated(Stray, "run %s of %s was started by the events %s %q", run.ID, run.Function, run.Event, run.Keys)
		return
	}
	if run.Live || run.Status == 0 {
		c.violated(stuck(f, run), "run %s of %s has not ended: it has status %d, and a head: %t",
			run.ID, run.Function, run.Status, run.Live)
		return
	}
	seen := c.testimony.Runs[run.ID]
	if seen == nil {
		c.violated(Failed, "run %s of %s ended with %s without a call", run.ID, run.Function, run.Output)
		return
	}
	for _, complaint := range seen.Complaints {
		c.violated(Again, "run %s of %s: %s", run.ID, run.Function, complaint)
	}
	for _, key := range seen.Sent {
		c.published(key)
	}
	c.told(run)
	status, promise := endOf(f)
	if run.Status != status && (!f.MayFinish || run.Status != record.RunCompleted) {
		c.violated(promise, "run %s of %s has status %d: %s", run.ID, run.Function, run.Status, run.Output)
		return
	}
	c.results(f, run, seen)
	if run.Status != record.RunCancelled {
		c.output(f, run, seen)
	}
}

// endOf is how a function's runs end, and the promise that they do.
func endOf(f witness.Function) (status int, promise Promise) {
	if f.CancelledBy != "" {
		return record.RunCancelled, Uncancelled
	}
	if _, broken := f.Broken(); broken {
		return record.RunFailed, Failed
	}
	return record.RunCompleted, Failed
}

// results checks the steps of a run that has ended. Those of a cancelled one may be open, or never have been there.
func (c *court) results(f witness.Function, run record.Run, seen *witness.Run) {
	recorded := map[string]record.Step{}
	for _, step := range run.Steps {
		recorded[step.ID] = step
		if !step.Recorded && run.Status != record.RunCancelled {
			c.violated(Left, "run %s of %s has ended, its step %s is open", run.ID, run.Function, step.ID)
		}
	}
	steps, found := f.Steps(), 0
	for _, step := range steps {
		stored, known := recorded[step.ID()]
		if known {
			found++
		}
		if run.Status != record.RunCancelled || stored.Recorded {
			c.result(step, stored, run, seen)
		}
	}
	if found != len(recorded) || (found != len(steps) && run.Status != record.RunCancelled) {
		c.violated(Stray, "run %s of %s has %d steps, the function has %d", run.ID, run.Function, len(recorded), len(steps))
	}
	c.distinct(run)
}

// output checks that a run's output is made of its steps.
func (c *court) output(f witness.Function, run record.Run, seen *witness.Run) {
	results := map[string]string{}
	for _, step := range run.Steps {
		results[step.ID] = step.Result
	}
	if made := witness.Output(f, func(name string) string { return results[witness.Step{Name: name}.ID()] }); made != run.Output {
		c.violated(Output, "run %s of %s has the output %s, its steps make it %s", run.ID, run.Function, run.Output, made)
	}
	if !slices.Contains(seen.Outputs, run.Output) {
		c.violated(Output, "run %s of %s has the output %s, its code answered %v",
			run.ID, run.Function, run.Output, seen.Outputs)
	}
}

// result checks a step's recorded result.
func (c *court) result(step witness.Step, stored record.Step, run record.Run, seen *witness.Run) {
	recorded, answers := stored.Result, seen.Answers[step.Name]
	switch {
	case step.Invokes != "":
		c.invoked(step, recorded, run)
		answers = []string{recorded}
	case step.Awaits != "":
		c.waited(step, stored, run)
		answers = []string{recorded}
	case step.Sleep > 0:
		answers = []string{"null"}
	}
	if !slices.Contains(answers, recorded) {
		c.violated(Changed, "run %s of %s: step %s is recorded as %s, its code yielded %v",
			run.ID, run.Function, step.Name, recorded, answers)
	}
	for _, told := range seen.Memos[step.Name] {
		if told != recorded {
			c.violated(Changed, "run %s of %s: step %s is recorded as %s, the server once told %s",
				run.ID, run.Function, step.Name, recorded, told)
		}
	}
}
