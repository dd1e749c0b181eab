package witness

import (
	"fmt"
	"maps"
	"slices"
)

// Testimony is what was published, and what the app saw and answered.
type Testimony struct {
	// Sent are the published events, by their ids.
	Sent map[string]Sent
	// Runs are the runs that the app was called for, by their ids.
	Runs map[string]*Run
	// Crowds are how many calls for a function with a Concurrency were under way at a time, at most.
	Crowds map[string]int
}

// Sent is a published event.
type Sent struct {
	Name string
	// Run is the run whose step caused it, if one did.
	Run string
	// Acked says that a request with it was answered with 200.
	Acked bool
}

// Run is what the app saw of a run.
type Run struct {
	Function string
	Calls    int
	// Executions counts how often each step's code ran.
	Executions map[Execution]int
	// Answers are the results that the code of each step yielded.
	Answers map[string][]string
	// Memos are the different results that the server told of each step, as JSON. It told one too by accepting it.
	Memos map[string][]string
	// Sent are the events that the steps caused.
	Sent []string
	// Outputs are the different results of the function.
	Outputs []string
	// Complaints are what was wrong with the calls themselves.
	Complaints []string

	// firstTold is of each step the earliest of the calls that knew its result.
	firstTold map[string]position
}

// Execution is an execution of a step's code.
type Execution struct {
	Step    string
	Attempt int
}

// position is a call's place in the order in which a run's calls without a target are made, however late they arrive.
type position struct{ discovery, attempt, generation int }

func (p position) before(q position) bool {
	switch {
	case p.discovery != q.discovery:
		return p.discovery < q.discovery
	case p.attempt != q.attempt:
		return p.attempt < q.attempt
	}
	return p.generation < q.generation
}

func (p position) String() string {
	return fmt.Sprintf("discovery %d, attempt %d, generation %d", p.discovery, p.attempt, p.generation)
}

func newTestimony() Testimony {
	return Testimony{Sent: map[string]Sent{}, Runs: map[string]*Run{}, Crowds: map[string]int{}}
}

func newRun(function string) *Run {
	return &Run{
		Function: function, Executions: map[Execution]int{}, Answers: map[string][]string{}, Memos: map[string][]string{},
		firstTold: map[string]position{},
	}
}

// told remembers that the server told a step's result.
func (r *Run) told(step, memo string) { r.Memos[step] = with(r.Memos[step], memo) }

// knew remembers that the call at a place knew a step's result.
func (r *Run) knew(step string, at position) {
	if first, known := r.firstTold[step]; !known || at.before(first) {
		r.firstTold[step] = at
	}
}

// forgotten complains of the steps whose result an earlier call knew and this one does not.
func (r *Run) forgotten(at position, memos map[string]bool) {
	for step, first := range r.firstTold {
		if first.before(at) && !memos[step] {
			r.complain("the call at %s knew the result of step %s, the later one at %s does not", first, step, at)
		}
	}
}

func (r *Run) complain(format string, args ...any) {
	r.Complaints = with(r.Complaints, fmt.Sprintf(format, args...))
}

// with is the set with one more.
func with(set []string, one string) []string {
	if slices.Contains(set, one) {
		return set
	}
	return append(set, one)
}

// clone is a copy that nobody changes.
func (r *Run) clone() *Run {
	c := *r
	c.Executions, c.firstTold = maps.Clone(r.Executions), nil
	c.Answers, c.Memos = cloneSets(r.Answers), cloneSets(r.Memos)
	c.Sent, c.Outputs, c.Complaints = slices.Clone(r.Sent), slices.Clone(r.Outputs), slices.Clone(r.Complaints)
	return &c
}

func cloneSets(sets map[string][]string) map[string][]string {
	c := make(map[string][]string, len(sets))
	for name, set := range sets {
		c[name] = slices.Clone(set)
	}
	return c
}

// Testimony is what is known so far, in a copy.
func (w *Witness) Testimony() Testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := Testimony{
		Sent: maps.Clone(w.testimony.Sent), Runs: make(map[string]*Run, len(w.testimony.Runs)),
		Crowds: maps.Clone(w.testimony.Crowds),
	}
	for id, run := range w.testimony.Runs {
		t.Runs[id] = run.clone()
	}
	return t
}
