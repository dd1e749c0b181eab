// Package verdict compares what was seen from outside with what is stored, and says which promises were broken.
//
// It must not ask anybody: all it judges is given to it.
package verdict

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

// Promise is what was broken.
type Promise string

// The promises.
const (
	// Lost: an event that was answered with 200 is not there, was not routed, or did not start its runs.
	Lost Promise = "event lost"
	// Doubled: a function ran more than once for an event.
	Doubled Promise = "run doubled"
	// Stray: something is stored that nobody caused.
	Stray Promise = "stray"
	// Unended: a run has not ended.
	Unended Promise = "run not ended"
	// EndedTwice: a run that had ended was changed.
	EndedTwice Promise = "run ended twice"
	// Failed: a run ended otherwise than its code.
	Failed Promise = "run failed"
	// Output: a run's output is not what its code answered, or not made of what is recorded.
	Output Promise = "wrong output"
	// Changed: a recorded result is not the only one that was ever told, or none that the step's code yielded.
	Changed Promise = "result changed"
	// Again: a step was run although its result was known.
	Again Promise = "step run again"
	// Left: something is left of runs that have ended.
	Left Promise = "left over"
	// Died: a process ended by itself, or panicked.
	Died Promise = "process died"
)

// Promises are all of them.
func Promises() []Promise {
	return []Promise{Lost, Doubled, Stray, Unended, EndedTwice, Failed, Output, Changed, Again, Left, Died}
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
	c := court{testimony: t, functions: map[string]witness.Function{}, started: map[start][]string{}}
	for _, f := range witness.Functions() {
		c.functions[f.ID] = f
	}
	stored := map[string]bool{}
	for _, event := range r.Events {
		stored[event.Key] = true
		if _, known := t.Sent[event.Key]; !known {
			c.violated(Stray, "event %s is stored as %s, nobody published it", event.Key, event.ID)
		}
		if !event.Routed {
			c.violated(Lost, "event %s is stored as %s and was never routed", event.Key, event.ID)
		}
	}
	for _, run := range r.Runs {
		c.run(run)
	}
	for _, key := range sent {
		c.event(key, stored[key])
	}
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		c.starts(key)
	}
	for _, change := range r.Changes {
		promise := Changed
		if change.What == "runs" {
			promise = EndedTwice
		}
		c.violated(promise, "run %s: %s", change.Run, change.Text)
	}
	return c.violations
}

// start is what starts a run, once.
type start struct{ key, function string }

// court is a verdict in the making.
type court struct {
	testimony  witness.Testimony
	functions  map[string]witness.Function
	started    map[start][]string
	violations []Violation
}

func (c *court) violated(promise Promise, format string, arguments ...any) {
	c.violations = append(c.violations, Violation{promise, fmt.Sprintf(format, arguments...)})
}

// event checks that an acknowledged event is there.
func (c *court) event(key string, stored bool) {
	if c.testimony.Sent[key].Acked && !stored {
		c.violated(Lost, "event %s was answered with 200 and is not stored", key)
	}
}

// starts checks that a stored event, acknowledged or not, started each of its functions once. It may be stored more than
// once, since publishers send again.
func (c *court) starts(key string) {
	for _, f := range witness.Functions() {
		if f.Event != c.testimony.Sent[key].Name {
			continue
		}
		switch runs := c.started[start{key, f.ID}]; {
		case len(runs) == 0:
			c.violated(Lost, "event %s is stored and did not start %s", key, f.ID)
		case len(runs) > 1:
			c.violated(Doubled, "event %s started %s %d times: %v", key, f.ID, len(runs), runs)
		}
	}
}

// run checks a run by itself.
func (c *court) run(run record.Run) {
	f, known := c.functions[run.Function]
	if !known || len(run.Keys) != 1 || c.testimony.Sent[run.Keys[0]].Name != f.Event {
		c.violated(Stray, "run %s of %s was started by the events %q", run.ID, run.Function, run.Keys)
		return
	}
	by := start{run.Keys[0], run.Function}
	c.started[by] = append(c.started[by], run.ID)
	if run.Live || run.Status == 0 {
		c.violated(Unended, "run %s of %s has status %d, and a head: %t", run.ID, run.Function, run.Status, run.Live)
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
	if run.Status != record.RunCompleted {
		c.violated(Failed, "run %s of %s has status %d: %s", run.ID, run.Function, run.Status, run.Output)
		return
	}
	c.results(f, run, seen)
}

// results checks a completed run's steps and output.
func (c *court) results(f witness.Function, run record.Run, seen *witness.Run) {
	recorded := map[string]string{}
	for _, step := range run.Steps {
		recorded[step.ID] = step.Result
		if !step.Recorded {
			c.violated(Left, "run %s of %s has ended, its step %s is open", run.ID, run.Function, step.ID)
		}
	}
	steps := f.Steps()
	if len(recorded) != len(steps) {
		c.violated(Stray, "run %s of %s has %d steps, the function has %d", run.ID, run.Function, len(recorded), len(steps))
	}
	for _, step := range steps {
		c.result(step, recorded[step.ID()], run, seen)
	}
	if made := witness.Output(f, func(name string) string { return recorded[witness.Step{Name: name}.ID()] }); made != run.Output {
		c.violated(Output, "run %s of %s has the output %s, its steps make it %s", run.ID, run.Function, run.Output, made)
	}
	if !slices.Contains(seen.Outputs, run.Output) {
		c.violated(Output, "run %s of %s has the output %s, its code answered %v",
			run.ID, run.Function, run.Output, seen.Outputs)
	}
}

// result checks a step's recorded result.
func (c *court) result(step witness.Step, recorded string, run record.Run, seen *witness.Run) {
	answers := seen.Answers[step.Name]
	if step.Sleep > 0 {
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
