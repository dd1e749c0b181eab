package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
)

func signals() []scenario {
	return []scenario{
		{name: "signal by API", proves: proves(compatibility.Signals), play: signalByAPI},
		{name: "signal in vain", proves: proves(compatibility.SignalTimeout), play: signalInVain},
		{name: "second wait for a signal fails", proves: proves(compatibility.SignalConflicts), play: signalConflict},
		{name: "second wait for a signal replaces", proves: proves(compatibility.SignalConflicts), play: signalReplaced},
		{
			name: "step sends a signal", proves: proves(compatibility.SendSignal), play: signalByStep, needs: sdkapp.SendSignal,
		},
	}
}

// waitForSignal starts a run that waits for a signal of the scenario's own.
func (s *scene) waitForSignal(timeout, onConflict string) (run string) {
	s.Helper()
	run = s.start("e2e/signal-wait", s.signalData(timeout, onConflict))
	s.awaitWait(run)
	return run
}

func (s *scene) signalData(timeout, onConflict string) map[string]any {
	return map[string]any{"signal": s.key(), "timeout": timeout, "onConflict": onConflict}
}

// sendSignal sends the signal of the scenario to the run that must be waiting for it.
func (s *scene) sendSignal(run string, n int) {
	s.Helper()
	got, err := s.server.Signal(s.Context(), s.key(), map[string]any{"n": n})
	require.NoError(s, err)
	require.Equal(s, run, got)
}

// requireNoWait: nobody waits for the signal of the scenario.
func (s *scene) requireNoWait() {
	s.Helper()
	_, err := s.server.Signal(s.Context(), s.key(), nil)
	require.ErrorContains(s, err, "404 Not Found")
}

// signalled is what a run returns that got the signal.
func (s *scene) signalled(n string) string {
	return `{"got":{"signal":"` + s.key() + `","data":{"n":` + n + `}}}`
}

func signalByAPI(s *scene) {
	s.requireNoWait()
	run := s.waitForSignal("1h", "fail")
	s.sendSignal(run, 7)
	require.JSONEq(s, s.signalled("7"), s.output(run))
	require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts())
	s.requireNoWait()
}

func signalInVain(s *scene) {
	run := s.start("e2e/signal-wait", s.signalData("1s", "fail"))
	require.JSONEq(s, `{"got":null}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"after": 1}, executions.Counts())
	require.GreaterOrEqual(s, executions.Of("after")[0].Began().Sub(executions[0].Began()), nap)
	s.requireNoWait()
}

// signalConflict: a signal has one wait. A second one fails its run, and the first one does not notice.
func signalConflict(s *scene) {
	first := s.waitForSignal("1h", "fail")
	second := s.start("e2e/signal-wait", s.signalData("1h", "fail"))
	require.Contains(s, s.failure(second).Message, "Signal conflict; signal wait already exists for another run")
	s.sendSignal(first, 1)
	require.JSONEq(s, s.signalled("1"), s.output(first))
}

// signalReplaced: the second wait takes the place of the first one, which is then in vain.
func signalReplaced(s *scene) {
	first := s.waitForSignal("2s", "fail")
	second := s.waitForSignal("1h", "replace")
	s.sendSignal(second, 2)
	require.JSONEq(s, s.signalled("2"), s.output(second))
	require.JSONEq(s, `{"got":null}`, s.output(first))
}

func signalByStep(s *scene) {
	waits := s.waitForSignal("1h", "fail")
	sends := s.start("e2e/signal-send", map[string]any{"signal": s.key()})
	require.JSONEq(s, `{"sent":true}`, s.output(sends))
	require.JSONEq(s, s.signalled("7"), s.output(waits))
	again := s.start("e2e/signal-send", map[string]any{"signal": s.key()})
	require.JSONEq(s, `{"sent":true}`, s.output(again), "it is no error that nobody waits")
}
