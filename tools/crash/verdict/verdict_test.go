package verdict_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/verdict"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

// scene is a system in which two events were published, and all is well: one was acknowledged and started two functions
// of three steps, of the other nothing is known but that it started one of one step.
type scene struct {
	testimony witness.Testimony
	record    record.Record
	sent      []string
}

func newScene() *scene {
	s := &scene{
		testimony: witness.Testimony{
			Sent: map[string]witness.Sent{
				"sequence": {Name: "crash/sequence", Acked: true}, "single": {Name: "crash/single"},
			},
			Runs: map[string]*witness.Run{},
		},
		sent: []string{"sequence", "single"},
	}
	s.record.Events = []record.Event{{ID: "E1", Key: "sequence", Routed: true}, {ID: "E2", Key: "single", Routed: true}}
	for _, f := range witness.Functions() {
		switch f.Event {
		case "crash/sequence":
			s.ran("run of "+f.ID, f, "sequence")
		case "crash/single":
			s.ran("run of "+f.ID, f, "single")
		}
	}
	return s
}

// ran adds a run of the function that ended well.
func (s *scene) ran(id string, f witness.Function, key string) {
	seen := &witness.Run{Function: f.ID, Answers: map[string][]string{}, Memos: map[string][]string{}}
	run := record.Run{ID: id, Function: f.ID, Keys: []string{key}, Status: record.RunCompleted}
	result := func(step string) string { return `"` + step + ` 1"` }
	for _, step := range f.Steps() {
		seen.Answers[step.Name] = []string{`"of an execution whose result was not taken"`, result(step.Name)}
		seen.Memos[step.Name] = []string{result(step.Name)}
		run.Steps = append(run.Steps, record.Step{ID: step.ID(), Recorded: true, Result: result(step.Name)})
	}
	run.Output = witness.Output(f, result)
	seen.Outputs = []string{run.Output}
	s.record.Runs = append(s.record.Runs, run)
	s.testimony.Runs[id] = seen
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
	s.record.Events = s.record.Events[:1]
	s.record.Runs = slices.DeleteFunc(s.record.Runs, func(r record.Run) bool { return r.Keys[0] == "single" })
	require.Empty(t, s.judge())
}

func TestAnEventMayBeStoredTwiceButRunsOnce(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.record.Events = append(s.record.Events, record.Event{ID: "E3", Key: "sequence", Routed: true})
	require.Empty(t, s.judge())
	s.ran("another", witness.Functions()[1], "sequence")
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
			func(s *scene) { s.record.Runs = s.record.Runs[:2] }, []verdict.Promise{verdict.Lost},
		},
		"a function ran twice for an event": {
			func(s *scene) { s.ran("another", witness.Functions()[0], "single") }, []verdict.Promise{verdict.Doubled},
		},
		"an event that nobody published": {func(s *scene) {
			s.record.Events = append(s.record.Events, record.Event{ID: "E3", Key: "who", Routed: true})
		}, []verdict.Promise{verdict.Stray}},
		"a run of an event that should start another function": {
			func(s *scene) { s.ran("another", witness.Functions()[0], "sequence") }, []verdict.Promise{verdict.Stray},
		},
		"a run goes on":               {func(s *scene) { s.record.Runs[0].Status = 0 }, []verdict.Promise{verdict.Unended}},
		"an ended run has a head":     {func(s *scene) { s.record.Runs[0].Live = true }, []verdict.Promise{verdict.Unended}},
		"an ended run was changed":    {func(s *scene) { s.changed("runs") }, []verdict.Promise{verdict.EndedTwice}},
		"a recorded step was changed": {func(s *scene) { s.changed("steps") }, []verdict.Promise{verdict.Changed}},
		"a run failed":                {func(s *scene) { s.record.Runs[0].Status = 2 }, []verdict.Promise{verdict.Failed}},
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
			func(s *scene) { s.seen(1).Answers["second"] = []string{`"else"`} }, []verdict.Promise{verdict.Changed},
		},
		"another result was told than is recorded": {func(s *scene) {
			s.seen(1).Memos["second"] = append(s.seen(1).Memos["second"], `"else"`)
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
