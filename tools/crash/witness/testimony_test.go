package witness

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// calls has a witness see calls of a run, each with the memos of some steps, and returns what is complained of.
func calls(t *testing.T, of ...call) []string {
	t.Helper()
	w := &Witness{testimony: newTestimony()}
	for _, c := range of {
		w.arrive(&c)
	}
	return w.Testimony().Runs["run"].Complaints
}

// discovery is a call without a target that knows of these steps.
func discovery(job string, generation int, steps ...string) call {
	c := call{function: Functions()[1], target: plainTarget, memos: map[string]json.RawMessage{}}
	c.Context.RunID, c.Context.JobID, c.Context.Generation = "run", job, generation
	c.Steps = map[string]json.RawMessage{}
	for _, step := range steps {
		c.Steps[Step{Name: step}.ID()] = json.RawMessage(`{"data":"done"}`)
	}
	return c
}

func TestAResultThatALaterCallDoesNotKnowIsNoticed(t *testing.T) {
	t.Parallel()
	require.Empty(t, calls(t, discovery("run.d1.0", 1), discovery("run.d2.0", 1, "first"), discovery("run.d2.0", 7, "first")))
	require.Empty(t, calls(t, discovery("run.d2.0", 2, "first"), discovery("run.d1.0", 1)), "it was under way for long")
	for _, later := range []call{discovery("run.d3.0", 1), discovery("run.d2.1", 1), discovery("run.d2.0", 8)} {
		complaints := calls(t, discovery("run.d2.0", 7, "first"), later)
		require.Len(t, complaints, 1)
		require.Contains(t, complaints[0], "knew the result of step first")
	}
}

func TestWrongCallsAreNoticed(t *testing.T) {
	t.Parallel()
	targeted := discovery("run.s.0", 1, "first")
	targeted.target = Step{Name: "first"}.ID()
	failed := discovery("run.d1.0", 1)
	failed.Steps[Step{Name: "first"}.ID()] = json.RawMessage(`{"error":{}}`)
	for want, c := range map[string]call{
		"was to be run although":     targeted,
		"has the result {\"error\"":  failed,
		"that the function does not": discovery("run.d1.0", 1, "else"),
		"is no discovery of the run": discovery("other.d1.0", 1),
	} {
		complaints := calls(t, c)
		require.NotEmpty(t, complaints, want)
		require.Contains(t, strings.Join(complaints, "\n"), want)
	}
}
