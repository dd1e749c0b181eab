package e2e

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func failures() []scenario {
	return []scenario{
		{name: "failure is handled", proves: proves(compatibility.OnFailure), play: failureHandled},
		{name: "completed run is heard of", proves: proves(compatibility.EndEvents), play: completionHeard},
		{name: "failed run is heard of", proves: proves(compatibility.EndEvents), play: failureHeard},
		{name: "cancelled run is heard of", proves: proves(compatibility.EndEvents), play: cancelHeard},
	}
}

// requireHeard: functions that listen to the ends of runs heard this of the run, each once.
func (s *scene) requireHeard(run string, texts ...string) {
	s.Helper()
	once := map[string]int{}
	for _, text := range texts {
		s.awaitBody(run, text)
		once[text] = 1
	}
	require.Equal(s, once, s.executions(run).Counts())
}

func failureHandled(s *scene) {
	run := s.start("e2e/failing-handled", map[string]any{"n": 3})
	require.Contains(s, s.failure(run).Message, "out of luck")
	s.requireHeard(run, fmt.Sprintf("handled %s-failing-handled of e2e/failing-handled with 3: out of luck", s.app.ID))
}

// ends is what the listener notes of an event about a run of the function heard.
func (s *scene) ends(event, status, came string) string {
	return fmt.Sprintf("inngest/function.%s of %s-heard, from e2e/heard, %s: %s", event, s.app.ID, status, came)
}

func completionHeard(s *scene) {
	run := s.start("e2e/heard", map[string]any{"n": 4})
	require.JSONEq(s, `{"n":4}`, s.output(run))
	s.requireHeard(run, s.ends("finished", "Completed", "n=4"))
}

func failureHeard(s *scene) {
	run := s.start("e2e/heard", map[string]any{"fail": true})
	s.failure(run)
	s.requireHeard(run, s.ends("finished", "Failed", "out of luck"), s.ends("failed", "Failed", "out of luck"))
}

func cancelHeard(s *scene) {
	run := s.start("e2e/heard", map[string]any{"sleep": "1h"})
	s.awaitStep(run, "nap", "Open")
	require.NoError(s, s.server.Cancel(s.Context(), run))
	s.await(run, target.Cancelled)
	s.requireHeard(run, s.ends("finished", "Cancelled", ""), s.ends("cancelled", "Cancelled", ""))
}
