package e2e

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// An app that is killed forgets what it executed: after a restart the executions are those of the new process.
func restarts() []scenario {
	return []scenario{
		{name: "app starts late", proves: proves(compatibility.Restarts), play: lateApp, alone: true, urls: true},
		{name: "app down at first call", proves: proves(compatibility.Restarts), play: downAtFirstCall, alone: true, urls: true},
		{name: "app killed in a sleep", proves: proves(compatibility.Restarts), play: killedInSleep, alone: true, urls: true},
		{name: "app killed in a step", proves: proves(compatibility.Restarts), play: killedInStep, alone: true, urls: true},
		{name: "function removed", proves: proves(compatibility.Deployments), play: removedFunction, alone: true},
	}
}

// foundWithin is how long a developer waits until the server finds an app.
const foundWithin = 5 * time.Second

func lateApp(s *scene) {
	s.startApp("")
	within(s, foundWithin, "the server finds the app", func() (bool, error) {
		known, err := s.knows("hello")
		if err != nil {
			return false, err
		}
		return known, check(known, "it does not")
	})
	run := s.start("e2e/hello", map[string]any{"name": "Ada"})
	require.JSONEq(s, `{"greeting":"Hello Ada"}`, s.output(run))
}

func downAtFirstCall(s *scene) {
	s.startApp("")
	s.awaitFunction("hello")
	s.process.Kill()
	ids, err := s.server.Publish(s.Context(), target.Event{Name: "e2e/hello", Data: map[string]any{"name": "Ada"}})
	require.NoError(s, err)
	run := s.runOf(ids[0])
	eventually(s, "a call to the app fails", func() (bool, error) {
		history, err := s.server.History(s.Context(), run)
		if err != nil {
			return false, err
		}
		return true, check(len(history.Attempts) > 0, "there was none")
	})
	s.startApp("")
	require.JSONEq(s, `{"greeting":"Hello Ada"}`, s.output(run))
	require.Len(s, s.executions(run), 1)
}

func killedInSleep(s *scene) {
	s.startApp("")
	s.awaitFunction("sleep")
	run := s.start("e2e/sleep", map[string]any{"milliseconds": 10_000}) // long enough to be seen on a busy machine
	s.awaitStep(run, "nap", "Open")
	require.Equal(s, map[string]int{"before": 1}, s.executions(run).Counts())
	s.process.Kill()
	s.startApp("")
	require.JSONEq(s, `{"after":2}`, s.output(run))
	require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts(), "finished steps are not repeated")
}

func killedInStep(s *scene) {
	s.startApp("")
	s.awaitFunction("held")
	run := s.start("e2e/held", map[string]any{"gate": "held"})
	s.awaitBody(run, "held")
	require.Equal(s, map[string]int{"first": 1, "held": 1}, s.executions(run).Counts())
	s.process.Kill()
	s.startApp("")
	s.open("held")
	require.JSONEq(s, `{"last":3}`, s.output(run))
	require.Equal(s, map[string]int{"held": 1, "last": 1}, s.executions(run).Counts(), "finished steps are not repeated")
}

// removedFunction is a deployment, where the new version of the app has another URL and one function less, while the old
// version still works on a run of that function.
func removedFunction(s *scene) {
	s.startApp("")
	require.NoError(s, s.process.Sync(s.Context()))
	s.awaitFunction("held")
	run := s.start("e2e/held", map[string]any{"gate": "held"})
	s.awaitBody(run, "held")

	port, err := process.FreePort(s.Context())
	require.NoError(s, err)
	next := s.startAppWith(sdkapp.Settings{Port: port, Without: "held"})
	require.NoError(s, next.Sync(s.Context()))
	eventually(s, "the function is gone", func() (bool, error) {
		known, err := s.knows("held")
		if err != nil {
			return false, err
		}
		return true, check(!known, "it is not")
	})
	ids, err := next.Send(s.Context(), target.Event{Name: "e2e/held"}, target.Event{Name: "e2e/echo"})
	require.NoError(s, err)
	s.output(s.runOf(ids[1]))
	runs, err := s.server.EventRuns(s.Context(), ids[0])
	require.NoError(s, err)
	require.Empty(s, runs, "a function that was removed is not triggered")

	s.open("held")
	require.JSONEq(s, `{"last":3}`, s.output(run), "its live run goes on")
	require.Equal(s, map[string]int{"first": 1, "held": 1, "last": 1}, s.executions(run).Counts())
}
