package engine_test

import (
	"encoding/json"
	"regexp"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// graphRecord is what was seen of a run, to tell whether it changes what it must not.
type graphRecord struct {
	// results are the results of steps as they were when they were recorded.
	results map[stepwell.StepID]string
	// settled are the items that were settled, opened those that were opened.
	settled, opened map[stepwell.ItemID]bool
	endings         int
}

func newGraphRecord() graphRecord {
	return graphRecord{
		results: map[stepwell.StepID]string{},
		settled: map[stepwell.ItemID]bool{}, opened: map[stepwell.ItemID]bool{},
	}
}

// look compares the run before and after a commit.
func (r *graphRecord) look(w *graphWorld, before stepwell.RunState, t stepwell.Transition, committed store.Committed) {
	after := w.state()
	for _, step := range after.Steps {
		result := string(step.Result.AppendMemo(nil))
		known, seen := r.results[step.ID]
		require.True(w.t, !seen || known == result, "I10: step %s was %s, is %s\n%s", step.ID, known, result, w.describe())
		r.results[step.ID] = result
	}
	require.Len(w.t, after.Steps, len(r.results), "I10")
	if committed.Err != nil {
		require.Equal(w.t, before.Run, after.Run, "a refused commit changes nothing")
		return
	}
	require.False(w.t, before.Run.Status.Ended(), "I5: %s", w.describe())
	if !t.Keep && t.Settles != "" {
		require.False(w.t, r.settled[t.Settles], "I11: %s twice\n%s", t.Settles, w.describe())
		r.settled[t.Settles] = true
	}
	for _, item := range committed.Opened {
		require.False(w.t, r.opened[item.ID], "I13: %s was opened twice\n%s", item.ID, w.describe())
		r.opened[item.ID] = true
	}
	if after.Run.Status.Ended() {
		r.endings++
		require.Empty(w.t, after.Run.Progress.Open)
		return
	}
	require.NotEmpty(w.t, after.Run.Progress.Open, "I7")
	r.once(w, after.Run)
	r.useful(w, before, t, committed.Opened)
	r.seen(w, before, after, t)
}

// once requires that no step and no discovery is open twice.
func (r *graphRecord) once(w *graphWorld, run stepwell.Run) {
	open := map[stepwell.StepID]bool{}
	for _, item := range run.Progress.Open {
		require.False(w.t, open[item.Step], "I13: %q is open twice\n%s", item.Step, w.describe())
		open[item.Step] = true
		require.NotContains(w.t, r.results, item.Step, "%s is open and recorded\n%s", item.Step, w.describe())
	}
}

// useful requires that the app is asked for something new only when there is something new: with coalesced parallel
// steps and without a race each discovery brings results, or steps to wait for.
func (r *graphRecord) useful(w *graphWorld, before stepwell.RunState, t stepwell.Transition, opened []stepwell.Item) {
	item, _ := before.Run.Progress.OpenItem(t.Settles)
	if item.Kind != stepwell.ItemDiscovery || w.sdk.version < 2 || t.Keep || t.Retry != nil || hasRace(w.program) {
		return
	}
	isStep := func(i stepwell.Item) bool { return i.Kind != stepwell.ItemDiscovery }
	news := len(t.Records) > 0 || slices.ContainsFunc(opened, isStep)
	require.True(w.t, news, "I13: discovery %s brought nothing\n%s", w.short(t.Settles), w.describe())
}

// seen requires that the app is told of the end of each step if its SDK does not coalesce them.
func (r *graphRecord) seen(w *graphWorld, before, after stepwell.RunState, t stepwell.Transition) {
	item, _ := before.Run.Progress.OpenItem(t.Settles)
	if w.sdk.version >= 2 || t.Keep || t.Retry != nil || item.Kind == stepwell.ItemDiscovery {
		return
	}
	discovers := slices.ContainsFunc(after.Run.Progress.Open, func(i stepwell.Item) bool {
		return i.Kind == stepwell.ItemDiscovery
	})
	require.True(w.t, discovers, "I13: nobody is told of the end of %s\n%s", w.short(t.Settles), w.describe())
}

func hasRace(n *graphNode) bool {
	return n.kind == graphRace || slices.ContainsFunc(n.children, hasRace)
}

// judge looks at the run that has ended.
func (w *graphWorld) judge() {
	history, err := w.store.RunHistory(w.ctx, stepwell.DefaultEnvironment(), w.run)
	require.NoError(w.t, err)
	run := history.Run
	require.Equal(w.t, 1, w.record.endings, "I5")
	require.True(w.t, w.meant(run), "%s %s is not what the code means\n%s", run.Status, run.Output, w.describe())
	w.replayed(run)

	ended := map[stepwell.EventID]bool{}
	for _, step := range history.Steps {
		if step.Event != (stepwell.EventID{}) {
			require.False(w.t, ended[step.Event], "I15: an event ended two waits\n%s", w.describe())
			ended[step.Event] = true
		}
		if yields := w.yields[step.ID]; step.Kind == stepwell.StepRun && step.Status == stepwell.StepCompleted {
			require.Contains(w.t, yields, string(step.Result.JSON), "a step's result is what its body yielded")
		}
	}
	require.NotContains(w.t, ended, run.Events[0], "I15: the trigger ended a wait")
	attempts := map[stepwell.ItemID]bool{}
	for _, attempt := range history.Attempts {
		require.False(w.t, attempts[attempt.Item], "I11: two attempts of %s\n%s", attempt.Item, w.describe())
		attempts[attempt.Item] = true
		require.Less(w.t, attempt.Number, graphAttempts, "an attempt too many\n%s", w.describe())
	}
	w.quiet()
}

// meant tells whether the run's status and output are what the function's code means.
func (w *graphWorld) meant(run stepwell.Run) bool {
	if run.Status == stepwell.RunCompleted {
		// What a body yielded tells which step and execution it was; the code does not know that.
		text := regexp.MustCompile(`#[0-9a-f]{40}#\d+`).ReplaceAllString(string(run.Output), "")
		var value any
		require.NoError(w.t, json.Unmarshal([]byte(text), &value))
		return w.program.mayYield(value, w.sdk.waitsForAll)
	}
	var failure struct {
		Message string `json:"message"`
	}
	require.NoError(w.t, json.Unmarshal(run.Output, &failure))
	return run.Status == stepwell.RunFailed && w.program.mayFail(failure.Message, w.sdk.waitsForAll)
}

// replayed requires that the results that were recorded, in their order, lead to what the run came to.
func (w *graphWorld) replayed(run stepwell.Run) {
	replay := graphReplay{sdk: w.sdk, memos: map[stepwell.StepID]graphMemo{}, attempt: graphAttempts - 1}
	for i, step := range w.state().Steps {
		replay.memos[step.ID] = readMemo(step.Result.AppendMemo(nil), i+1)
	}
	outcome := replay.run(w.program)
	require.False(w.t, outcome.pending, "the run ended too early\n%s", w.describe())
	require.Equal(w.t, run.Status == stepwell.RunFailed, outcome.failed, "%s", w.describe())
	if !outcome.failed {
		require.Equal(w.t, outcome.text, string(run.Output), "%s", w.describe())
	}
}

// quiet requires that nothing is left over.
func (w *graphWorld) quiet() {
	due, _, err := w.store.DueItems(w.ctx, store.DueQuery{Before: w.now.Add(graphGone), Limit: 1})
	require.NoError(w.t, err)
	require.Empty(w.t, due, "I8")
	backs, err := w.store.LookBacks(w.ctx, 1)
	require.NoError(w.t, err)
	require.Empty(w.t, backs)
	for _, name := range []string{"any/a", "any/b", "never/sent"} {
		waits, _, err := w.store.Waits(w.ctx, store.WaitQuery{Event: w.event(name, 1), Limit: 1})
		require.NoError(w.t, err)
		require.Empty(w.t, waits, "waits of a run that ended are gone")
	}
}
