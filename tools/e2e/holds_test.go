package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func holds() []scenario {
	return []scenario{
		{name: "function paused, starts skipped", proves: proves(compatibility.Holds), play: pausedSkips},
		{name: "function paused, runs wait", proves: proves(compatibility.Holds), play: pausedQueues},
		{name: "function drained", proves: proves(compatibility.Holds), play: drained},
	}
}

// hold pauses, drains or resumes a function of the app's.
func (s *scene) hold(function, verb, mode string) {
	s.Helper()
	require.NoError(s, s.server.Hold(s.Context(), s.app.ID+"-"+function, verb, mode))
}

// requireSkipped starts a function, which must be recorded and not executed.
func (s *scene) requireSkipped(function, reason string) {
	s.Helper()
	run := s.start("e2e/"+function, map[string]any{"user": "ada"})
	s.await(run, "Skipped")
	require.Empty(s, s.executions(run))
	history, err := s.server.History(s.Context(), run)
	require.NoError(s, err)
	require.Equal(s, reason, history.SkipReason)
}

// pausedSkips, until the function is resumed.
func pausedSkips(s *scene) {
	s.hold("paused", "pause", "skip")
	s.requireSkipped("paused", "FunctionPaused")
	s.hold("paused", "resume", "")
	run := s.start("e2e/paused", map[string]any{"user": "ada"})
	s.awaitStep(run, "end", "Open")
	s.send(target.Event{Name: "e2e/paused.end", Data: map[string]any{"user": "ada"}})
	require.JSONEq(s, `"done"`, s.output(run))
}

// pause pauses a function and returns a run that waits, and says so. A pause takes effect within a second, so one that comes
// before may not wait.
func (s *scene) pause(function string, data map[string]any) (run string) {
	s.Helper()
	s.hold(function, "pause", "queue")
	eventually(s, "a run waits", func() (bool, error) {
		if run == "" {
			run = s.start("e2e/"+function, data)
		}
		history, err := s.server.History(s.Context(), run)
		if err != nil {
			return false, err
		}
		if history.Status != target.Running {
			run = ""
			return false, check(false, "it was too early")
		}
		waits := len(history.Open) == 1 && history.Open[0].Waiting.For == "paused"
		return waits, check(waits, "its items are %v", history.Open)
	})
	return run
}

// pausedQueues: what starts while a function is paused waits, and goes on when it is resumed.
func pausedQueues(s *scene) {
	run := s.pause("paused-queue", nil)
	require.Empty(s, s.executions(run))
	s.hold("paused-queue", "resume", "")
	require.JSONEq(s, `"done"`, s.output(run))
}

// drained: what is live goes on to its end, and nothing else starts.
func drained(s *scene) {
	run := s.start("e2e/drained", map[string]any{"user": "ada"})
	s.awaitStep(run, "end", "Open")
	s.hold("drained", "drain", "")
	s.requireSkipped("drained", "FunctionDrained")
	s.send(target.Event{Name: "e2e/drained.end", Data: map[string]any{"user": "ada"}})
	require.JSONEq(s, `"done"`, s.output(run))
	s.hold("drained", "resume", "")
	again := s.start("e2e/drained", map[string]any{"user": "ada"})
	s.awaitStep(again, "end", "Open")
	require.NoError(s, s.server.Cancel(s.Context(), again))
}
