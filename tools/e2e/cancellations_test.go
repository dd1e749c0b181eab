package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func cancellations() []scenario {
	return []scenario{
		{name: "event cancels a run", proves: proves(compatibility.CancelOn), play: cancelOn},
		{name: "event cancels with an expression", proves: proves(compatibility.CancelOn), play: cancelIf},
		{
			name: "event cancels a run at work", proves: proves(compatibility.CancelAtWork), play: cancelAtWork,
			needs: sdkapp.Halts,
		},
		{name: "event comes too late to cancel", proves: proves(compatibility.CancelOnTimeout), play: cancelTooLate},
		{name: "run cancelled by API", proves: proves(compatibility.CancelByAPI), play: cancelByAPI},
		{
			name: "run at work cancelled by API", proves: proves(compatibility.CancelByAPI, compatibility.CancelAtWork),
			play: cancelAtWorkByAPI, needs: sdkapp.Halts,
		},
	}
}

// startAsleep starts a run of the function that sleeps for long, and returns when it sleeps.
func (s *scene) startAsleep(function, key string) string {
	s.Helper()
	run := s.start("e2e/"+function, map[string]any{"key": key})
	s.awaitStep(run, "nap", "Open")
	return run
}

// stop is an event that cancels the runs with a key.
func stop(key string, hard bool) target.Event {
	return target.Event{Name: "e2e/stop", Data: map[string]any{"key": key, "hard": hard}}
}

// requireAlive: the run has not ended. What could have ended it was worked on before something that did end another one.
func (s *scene) requireAlive(run string) {
	s.Helper()
	is, err := s.server.Run(s.Context(), run)
	require.NoError(s, err)
	require.Equal(s, target.Running, is.Status)
}

// cancelOn: the event cancels the runs that it is about, and no other.
func cancelOn(s *scene) {
	one, two := s.startAsleep("cancel-asleep", s.key()), s.startAsleep("cancel-asleep", s.key())
	other := s.startAsleep("cancel-asleep", "other "+s.key())
	s.send(stop(s.key(), true))
	s.await(one, target.Cancelled)
	s.await(two, target.Cancelled)
	s.requireAlive(other)
	require.Empty(s, s.executions(one).Counts())
	s.send(stop("other "+s.key(), false))
	s.await(other, target.Cancelled)
}

func cancelIf(s *scene) {
	soft := s.startAsleep("cancel-asleep", s.key())
	run := s.startAsleep("cancel-if", s.key())
	s.send(stop(s.key(), false))
	s.await(soft, target.Cancelled)
	s.requireAlive(run)
	s.send(stop(s.key(), true))
	s.await(run, target.Cancelled)
}

// cancelAtWork: the run is cancelled while a step of it runs. What the step yields is refused, and no other step starts.
func cancelAtWork(s *scene) {
	run := s.start("e2e/cancel-at-work", map[string]any{"key": s.key(), "gate": s.key()})
	s.awaitBody(run, "held")
	s.send(stop(s.key(), true))
	s.await(run, target.Cancelled)
	s.requireStaysCancelled(run, map[string]int{"held": 1})
}

// requireStaysCancelled opens the gate at which a step of the run waits. What the step reports changes nothing.
func (s *scene) requireStaysCancelled(run string, counts map[string]int) {
	s.Helper()
	s.open(s.key())
	other := s.start("e2e/sequence", nil) // by the time it is over, the step has reported long since
	s.output(other)
	s.await(run, target.Cancelled)
	require.Equal(s, counts, s.executions(run).Counts())
}

// cancelTooLate: the run could be cancelled for a second. Another run, which is cancelled by the same event, shows that the
// event was worked on.
func cancelTooLate(s *scene) {
	run := s.start("e2e/cancel-too-late", map[string]any{"key": s.key(), "gate": s.key()})
	other := s.startAsleep("cancel-asleep", s.key())
	s.awaitBody(run, "held")
	s.send(stop(s.key(), true))
	s.await(other, target.Cancelled)
	s.open(s.key())
	require.JSONEq(s, `{"done":true}`, s.output(run))
}

func cancelByAPI(s *scene) {
	run := s.start("e2e/sleep", map[string]any{"milliseconds": 3600_000})
	s.awaitStep(run, "nap", "Open")
	require.NoError(s, s.server.Cancel(s.Context(), run))
	s.await(run, target.Cancelled)
	require.Equal(s, map[string]int{"before": 1}, s.executions(run).Counts())
	require.ErrorContains(s, s.server.Cancel(s.Context(), "01HZZZZZZZZZZZZZZZZZZZZZZZ"), "404 Not Found")
}

func cancelAtWorkByAPI(s *scene) {
	run := s.start("e2e/held", map[string]any{"gate": s.key()})
	s.awaitBody(run, "held")
	require.NoError(s, s.server.Cancel(s.Context(), run))
	s.await(run, target.Cancelled)
	s.requireStaysCancelled(run, map[string]int{"first": 1, "held": 1})
}
