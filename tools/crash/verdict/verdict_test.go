package verdict_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/verdict"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

// scene is a system in which some events were published, and all is well. The first two: one was acknowledged and started
// two functions of three steps, of the other nothing is known but that it started one of one step.
type scene struct {
	testimony witness.Testimony
	record    record.Record
	sent      []string
}

func newScene() *scene {
	s := &scene{testimony: witness.Testimony{Sent: map[string]witness.Sent{}, Runs: map[string]*witness.Run{}}}
	s.published("sequence", "crash/sequence", "")
	s.published("single", "crash/single", "")
	s.testimony.Sent["single"] = witness.Sent{Name: "crash/single"}
	return s
}

// published adds an acknowledged event, and what it starts.
func (s *scene) published(key, event, run string) {
	s.testimony.Sent[key] = witness.Sent{Name: event, Run: run, Acked: true}
	if run == "" {
		s.sent = append(s.sent, key)
	} else {
		s.testimony.Runs[run].Sent = append(s.testimony.Runs[run].Sent, key)
	}
	s.happened(key, event, func(f witness.Function) bool { return f.Event == event })
}

// happened adds an event and runs of the functions that it starts.
func (s *scene) happened(key, event string, starts func(witness.Function) bool) {
	s.record.Events = append(s.record.Events, record.Event{ID: "E " + key, Name: event, Key: key, Routed: true})
	for _, f := range witness.Functions() {
		if starts(f) {
			s.ran("run of "+f.ID, f, key, event)
		}
	}
}

// ran adds a run of the function that ended as its code does, and what that caused.
func (s *scene) ran(id string, f witness.Function, key, event string) {
	seen := &witness.Run{Function: f.ID, Answers: map[string][]string{}, Memos: map[string][]string{}}
	run := record.Run{ID: id, Function: f.ID, Event: event, Keys: []string{key}, Status: record.RunCompleted}
	s.testimony.Runs[id] = seen
	at := len(s.record.Runs)
	s.record.Runs = append(s.record.Runs, run)
	results := map[string]string{}
	for _, step := range f.Steps() {
		stored := record.Step{ID: step.ID(), Recorded: true, Result: `"` + step.Name + ` 1"`}
		switch {
		case step.Sleep >= witness.Forever:
			run.Status = record.RunCancelled
		case step.Sleep > 0:
			stored.Result = "null"
		case step.Invokes != "":
			stored.Result = s.invoked(id, step)
		case step.Awaits != "":
			stored.Event, stored.Result = s.answered(id, step)
		default:
			seen.Answers[step.Name] = []string{`"of an execution whose result was not taken"`, stored.Result}
		}
		if run.Status == record.RunCancelled {
			break
		}
		seen.Memos[step.Name] = []string{stored.Result}
		run.Steps, results[step.Name] = append(run.Steps, stored), stored.Result
	}
	if _, broken := f.Broken(); broken {
		run.Status = record.RunFailed
	}
	if run.Status != record.RunCancelled {
		run.Output = witness.Output(f, func(step string) string { return results[step] })
		seen.Outputs = []string{run.Output}
	}
	s.record.Runs[at] = run
	s.ended(run)
}

// invoked adds the child of a step, and returns its output.
func (s *scene) invoked(parent string, step witness.Step) string {
	s.happened(parent+"."+step.ID(), witness.EventInvoked, func(f witness.Function) bool { return f.ID == step.Invokes })
	i := slices.IndexFunc(s.record.Runs, func(r record.Run) bool { return r.Function == step.Invokes })
	if s.record.Runs[i].Status == record.RunCancelled {
		return `{"name":"Error","message":"The invoked function was cancelled","data":null}`
	}
	return s.record.Runs[i].Output
}

// answered adds the event that ends a wait.
func (s *scene) answered(run string, step witness.Step) (event, memo string) {
	key := "for " + step.Name + " of " + run
	s.published(key, step.Awaits, run)
	return "E " + key, `{"data":{},"id":"` + key + `","name":"` + step.Awaits + `"}`
}

// ended adds what tells of the end of a run.
func (s *scene) ended(run record.Run) {
	event, ends := map[int]string{
		record.RunFailed: witness.EventFailed, record.RunCancelled: witness.EventCancelled,
	}[run.Status]
	if ends {
		s.happened(run.ID, event, func(f witness.Function) bool { return f.Handles == witness.End{Event: event, Of: run.Function} })
	}
}

func (s *scene) judge() []verdict.Promise {
	var broken []verdict.Promise
	for _, v := range verdict.Judge(s.testimony, s.record, s.sent) {
		broken = append(broken, v.Promise)
	}
	return broken
}

// seen is what the app saw of the n-th run.
func (s *scene) seen(n int) *witness.Run { return s.testimony.Runs[s.record.Runs[n].ID] }

func TestGoodSystemBreaksNoPromise(t *testing.T) {
	t.Parallel()
	require.Empty(t, newScene().judge())
}

func TestAnEventWithoutAnswerMayBeGone(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.record.Events = s.record.Events[:1] // the first is acknowledged
	s.record.Runs = slices.DeleteFunc(s.record.Runs, func(r record.Run) bool { return r.Keys[0] == "single" })
	require.Empty(t, s.judge())
}

func TestAnEventMayBeStoredTwiceButRunsOnce(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.record.Events = append(s.record.Events, record.Event{ID: "E3", Name: "crash/sequence", Key: "sequence", Routed: true})
	require.Empty(t, s.judge())
	s.ran("another", witness.Functions()[1], "sequence", "crash/sequence")
	require.Equal(t, []verdict.Promise{verdict.Doubled}, s.judge())
}

func TestBrokenPromisesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(s *scene)
		want []verdict.Promise
	}{
		"an acknowledged event is gone": {func(s *scene) {
			s.record.Events = s.record.Events[1:]
			s.record.Runs = slices.DeleteFunc(s.record.Runs, func(r record.Run) bool { return r.Keys[0] == "sequence" })
		}, []verdict.Promise{verdict.Lost}},
		"an event is not routed": {func(s *scene) { s.record.Events[1].Routed = false }, []verdict.Promise{verdict.Lost}},
		"an event started only one of its functions": {
			func(s *scene) { s.record.Runs = s.record.Runs[1:] }, []verdict.Promise{verdict.Lost},
		},
		"a function ran twice for an event": {
			func(s *scene) { s.ran("another", witness.Functions()[0], "single", "crash/single") }, []verdict.Promise{verdict.Doubled},
		},
		"an event that nobody published": {func(s *scene) {
			s.record.Events = append(s.record.Events, record.Event{ID: "E3", Name: "crash/single", Key: "who", Routed: true})
		}, []verdict.Promise{verdict.Stray}},
		"a run of an event that should start another function": {
			func(s *scene) { s.ran("another", witness.Functions()[0], "sequence", "crash/sequence") }, []verdict.Promise{verdict.Stray},
		},
		"too many calls at a time": {
			func(s *scene) { s.testimony.Crowds = map[string]int{"crash-limited": 2} }, []verdict.Promise{verdict.Crowded},
		},
		"a run goes on":               {func(s *scene) { s.record.Runs[0].Status = 0 }, []verdict.Promise{verdict.Unended}},
		"an ended run has a head":     {func(s *scene) { s.record.Runs[0].Live = true }, []verdict.Promise{verdict.Unended}},
		"an ended run was changed":    {func(s *scene) { s.changed("runs") }, []verdict.Promise{verdict.EndedTwice}},
		"a recorded step was changed": {func(s *scene) { s.changed("steps") }, []verdict.Promise{verdict.Changed}},
		"a run failed": {
			func(s *scene) { s.record.Runs[0].Status = record.RunFailed }, []verdict.Promise{verdict.Untold, verdict.Failed},
		},
		"a run ended without a call": {
			func(s *scene) { delete(s.testimony.Runs, s.record.Runs[0].ID) }, []verdict.Promise{verdict.Failed},
		},
		"an output that no code answered": {
			func(s *scene) { s.seen(0).Outputs = []string{`["else"]`} }, []verdict.Promise{verdict.Output},
		},
		"an output of other results than the recorded": {func(s *scene) {
			s.record.Runs[0].Output = `["else"]`
			s.seen(0).Outputs = append(s.seen(0).Outputs, `["else"]`)
		}, []verdict.Promise{verdict.Output}},
		"a recorded result that no code yielded": {
			func(s *scene) { s.seen(0).Answers["second"] = []string{`"else"`} }, []verdict.Promise{verdict.Changed},
		},
		"another result was told than is recorded": {func(s *scene) {
			s.seen(0).Memos["second"] = append(s.seen(0).Memos["second"], `"else"`)
		}, []verdict.Promise{verdict.Changed}},
		"a step is left open": {
			func(s *scene) { s.record.Runs[0].Steps[0].Recorded = false }, []verdict.Promise{verdict.Left},
		},
		"a step that the function does not have": {func(s *scene) {
			s.record.Runs[0].Steps = append(s.record.Runs[0].Steps, record.Step{ID: "else", Recorded: true})
		}, []verdict.Promise{verdict.Stray}},
		"the app complained": {
			func(s *scene) { s.seen(0).Complaints = []string{"once more"} }, []verdict.Promise{verdict.Again},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene()
			c.harm(s)
			require.Equal(t, c.want, s.judge())
		})
	}
}

func (s *scene) changed(what string) {
	s.record.Changes = []record.Change{{What: what, Run: s.record.Runs[0].ID, Text: "status 1 became status 2"}}
}

// waitingScene is a system with runs that wait for others and for events, are cancelled, and handle ends; all is well.
func waitingScene() *scene {
	s := newScene()
	for _, event := range []string{"crash/invokes", "crash/calls", "crash/waits", "crash/breaks", "crash/stops"} {
		s.published(event, event, "")
	}
	return s
}

// step is a stored step, to be harmed.
func (s *scene) step(function, name string) *record.Step {
	steps := s.run(function).Steps
	return &steps[slices.IndexFunc(steps, func(step record.Step) bool { return step.ID == witness.Step{Name: name}.ID() })]
}

// run is a stored run, to be harmed.
func (s *scene) run(function string) *record.Run {
	return &s.record.Runs[slices.IndexFunc(s.record.Runs, func(r record.Run) bool { return r.Function == function })]
}

// retold has a step's result be another one, whenever it was told.
func (s *scene) retold(function, name, result, event string) {
	step, run := s.step(function, name), s.run(function)
	old := step.Result
	step.Result, step.Event = result, event
	run.Output = strings.ReplaceAll(run.Output, old, result)
	seen := s.testimony.Runs[run.ID]
	seen.Memos[name], seen.Outputs = []string{result}, []string{run.Output}
}

const timedOut = `{"name":"InngestInvokeTimeoutError","message":"Timed out waiting for invoked function to complete","data":null}`

func TestGoodWaitsBreakNoPromise(t *testing.T) {
	t.Parallel()
	s := waitingScene()
	require.Empty(t, verdict.Judge(s.testimony, s.record, s.sent))
	s.retold("crash-waits-briefly", "answer", "null", "")
	require.Empty(t, verdict.Judge(s.testimony, s.record, s.sent), "a short wait may time out")
	s.retold("crash-invokes-briefly", "call", timedOut, "")
	require.Empty(t, verdict.Judge(s.testimony, s.record, s.sent), "so may a short invocation")
}

func TestBrokenPromisesOfWaitsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(s *scene)
		want []verdict.Promise
	}{
		"a parent has another result than its child": {
			func(s *scene) { s.retold("crash-invokes", "call", `"else"`, "") }, []verdict.Promise{verdict.Invoked},
		},
		"a parent does not hear of the failure": {
			func(s *scene) { s.retold("crash-invokes-broken", "call in vain", "null", "") }, []verdict.Promise{verdict.Invoked},
		},
		"a parent gives up too soon": {func(s *scene) {
			s.retold("crash-invokes", "call", timedOut, "")
		}, []verdict.Promise{verdict.Invoked}},
		"a parent does not hear that its child was cancelled": {
			func(s *scene) { s.retold("crash-invokes-stopped", "call", "null", "") }, []verdict.Promise{verdict.Invoked},
		},
		"a step started two children": {func(s *scene) {
			child := *s.run("crash-child")
			child.ID = "another"
			s.record.Runs = append(s.record.Runs, child)
			s.testimony.Runs["another"] = s.testimony.Runs["run of crash-child"]
		}, []verdict.Promise{verdict.Invoked, verdict.Doubled}},
		"a function is invoked by nobody": {func(s *scene) {
			s.record.Events = append(s.record.Events, record.Event{ID: "E", Name: witness.EventInvoked, Key: "nobody.step", Routed: true})
		}, []verdict.Promise{verdict.Stray}},
		"a long wait timed out": {
			func(s *scene) { s.retold("crash-waits", "other", "null", "") }, []verdict.Promise{verdict.Waited},
		},
		"a run waits in vain": {func(s *scene) {
			s.run("crash-waits").Status = 0
			s.step("crash-waits", "other").Recorded = false
		}, []verdict.Promise{verdict.Waited}},
		"a parent waits in vain": {func(s *scene) {
			s.run("crash-invokes").Status = 0
			s.step("crash-invokes", "call").Recorded = false
		}, []verdict.Promise{verdict.Invoked}},
		"a wait yields another event than the one that ended it": {func(s *scene) {
			s.step("crash-waits", "one").Event = "E crash/waits"
		}, []verdict.Promise{verdict.Waited}},
		"a wait that timed out was ended by an event, too": {func(s *scene) {
			s.retold("crash-waits-briefly", "answer", "null", s.step("crash-waits-briefly", "answer").Event)
		}, []verdict.Promise{verdict.Waited}},
		"an event of another run": {func(s *scene) {
			other := s.step("crash-waits", "one")
			s.retold("crash-waits-briefly", "answer", other.Result, other.Event)
		}, []verdict.Promise{verdict.Waited}},
		"an event ended two waits": {func(s *scene) {
			first := s.step("crash-waits", "one")
			s.retold("crash-waits", "other", first.Result, first.Event)
		}, []verdict.Promise{verdict.Waited}},
		"an acknowledged answer is gone": {func(s *scene) {
			s.testimony.Sent["more"] = witness.Sent{Name: "crash/answer", Run: "run of crash-waits", Acked: true}
			s.testimony.Runs["run of crash-waits"].Sent = append(s.testimony.Runs["run of crash-waits"].Sent, "more")
		}, []verdict.Promise{verdict.Lost}},
		"a failure has no event": {func(s *scene) {
			s.record.Events = slices.DeleteFunc(s.record.Events, func(e record.Event) bool { return e.Key == "run of crash-broken-child" })
		}, []verdict.Promise{verdict.Untold}},
		"a failure is told twice": {func(s *scene) {
			s.record.Events = append(s.record.Events,
				record.Event{ID: "E", Name: witness.EventFailed, Key: "run of crash-breaks", Routed: true})
		}, []verdict.Promise{verdict.Untold, verdict.Doubled}},
		"a run that ended well is told to have failed": {func(s *scene) {
			s.record.Events = append(s.record.Events,
				record.Event{ID: "E", Name: witness.EventFailed, Key: "run of crash-single", Routed: true})
		}, []verdict.Promise{verdict.Stray}},
		"a failure is not handled": {func(s *scene) {
			s.record.Runs = slices.DeleteFunc(s.record.Runs, func(r record.Run) bool { return r.Function == "crash-breaks-failure" })
		}, []verdict.Promise{verdict.Lost}},
		"a failure is handled twice": {func(s *scene) {
			s.ran("another", witness.Function{
				ID: "crash-breaks-failure", Stages: [][]witness.Step{{{Name: "note"}}},
			}, "run of crash-breaks", witness.EventFailed)
		}, []verdict.Promise{verdict.Doubled}},
		"a run that should fail ended well": {func(s *scene) {
			s.run("crash-breaks").Status = record.RunCompleted
		}, []verdict.Promise{verdict.Stray, verdict.Failed}},
		"a run was not cancelled": {func(s *scene) {
			s.run("crash-stops").Status = record.RunCompleted
		}, []verdict.Promise{verdict.Stray, verdict.Uncancelled}},
		"a step was written after the end": {func(s *scene) { s.changed("late") }, []verdict.Promise{verdict.Uncancelled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := waitingScene()
			c.harm(s)
			require.Equal(t, c.want, s.judge())
		})
	}
}
