package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func waits() []scenario {
	return []scenario{
		{name: "wait for a match", proves: proves(compatibility.WaitForEvent), play: waitMatch},
		{name: "wait with an expression", proves: proves(compatibility.WaitForEvent), play: waitIf},
		{name: "waits of several runs", proves: proves(compatibility.WaitForEvent), play: waitMany},
		{name: "wait of a cancelled run", proves: proves(compatibility.CancelByAPI), play: waitCancelled},
		{name: "wait in vain", proves: proves(compatibility.WaitTimeout), play: waitTimeout},
		{name: "wait for what the step before sent", proves: proves(compatibility.WaitLookBack), play: waitSent},
		{name: "waits in a loop", proves: proves(compatibility.WaitLoop), play: waitLoop},
		{name: "waits beside each other", proves: proves(compatibility.WaitParallel), play: waitAll},
	}
}

// key is what an event has in common with the run that waits for it: no other app's run does.
func (s *scene) key() string { return s.Name() }

// startWaiting starts a run of the function, and returns when it waits.
func (s *scene) startWaiting(function string, more ...any) string {
	s.Helper()
	data := map[string]any{"key": s.key()}
	for i := 0; i < len(more); i += 2 {
		name, _ := more[i].(string)
		data[name] = more[i+1]
	}
	run := s.start("e2e/"+function, data)
	s.awaitWait(run)
	return run
}

// awaitWait waits until a step of the run is open.
func (s *scene) awaitWait(run string) {
	s.Helper()
	eventually(s, "run "+run+" waits", func() (bool, error) {
		history, err := s.server.History(s.Context(), run)
		if err != nil {
			return false, err
		}
		open := false
		for _, step := range history.Steps {
			open = open || step.Status == "Open"
		}
		return open, check(open, "the steps are %v", history.Steps)
	})
}

func paid(key string, amount int) target.Event {
	return target.Event{Name: "e2e/paid", Data: map[string]any{"key": key, "amount": amount}}
}

// waitMatch: the run goes on with the event that has the same member as the one that started it.
func waitMatch(s *scene) {
	run := s.startWaiting("wait-match")
	s.send(paid("other "+s.key(), 1), target.Event{Name: "e2e/paid"}, paid(s.key(), 2))
	require.JSONEq(s, `{"got":{"name":"e2e/paid","data":{"key":"`+s.key()+`","amount":2}}}`, s.output(run))
	require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts())
}

func waitIf(s *scene) {
	run := s.startWaiting("wait-if")
	s.send(paid(s.key(), 99), paid("other "+s.key(), 100), paid(s.key(), 101))
	require.JSONEq(s, `{"got":{"name":"e2e/paid","data":{"key":"`+s.key()+`","amount":101}}}`, s.output(run))
	require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts())
}

// waitMany: one event ends the waits of all runs that it fits.
func waitMany(s *scene) {
	var runs []string
	for range 3 {
		runs = append(runs, s.startWaiting("wait-match"))
	}
	s.send(paid(s.key(), 5))
	for _, run := range runs {
		require.JSONEq(s, `{"got":{"name":"e2e/paid","data":{"key":"`+s.key()+`","amount":5}}}`, s.output(run))
		require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts())
	}
}

// waitCancelled: a run that was cancelled waits no longer. Another one gets the event.
func waitCancelled(s *scene) {
	cancelled, other := s.startWaiting("wait-match"), s.startWaiting("wait-match")
	require.NoError(s, s.server.Cancel(s.Context(), cancelled))
	s.send(paid(s.key(), 6))
	s.output(other)
	s.await(cancelled, target.Cancelled)
	require.Empty(s, s.executions(cancelled).Counts())
}

// waitTimeout: without an event that matches, the run goes on with nothing.
func waitTimeout(s *scene) {
	run := s.start("e2e/wait-timeout", map[string]any{"key": s.key()})
	s.send(paid("other "+s.key(), 1))
	require.JSONEq(s, `{"got":null}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"after": 1}, executions.Counts())
	require.GreaterOrEqual(s, executions.Of("after")[0].Began().Sub(executions[0].Began()), nap)
}

// waitSent: the event is there before the run waits for it.
func waitSent(s *scene) {
	run := s.start("e2e/wait-sent", map[string]any{"key": s.key()})
	require.JSONEq(s, `{"got":{"name":"e2e/paid","data":{"key":"`+s.key()+`","amount":7}}}`, s.output(run))
}

// waitLoop: each event is taken once, and none is missed that comes while the run works on the one before.
func waitLoop(s *scene) {
	const times = 6
	run := s.startWaiting("wait-loop", "times", times)
	var amounts []int
	for n := range times {
		s.send(paid(s.key(), n))
		eventually(s, "the event is noted", func() (bool, error) {
			executions, err := s.process.Executions(s.Context(), run)
			if err != nil {
				return false, err
			}
			noted := len(executions.Of("note"))
			return true, check(noted > n, "%d are", noted)
		})
		amounts = append(amounts, n)
	}
	output := decode[struct{ Amounts []int }](s, s.output(run))
	require.Equal(s, amounts, output.Amounts)
	require.Equal(s, map[string]int{"note": times}, s.executions(run).Counts())
}

// waitAll: waits beside a step of the run's own; one of them in vain.
func waitAll(s *scene) {
	run := s.startWaiting("wait-all")
	event := func(name string) target.Event {
		return target.Event{Name: "e2e/" + name, Data: map[string]any{"key": s.key()}}
	}
	s.send(event("right"))
	s.send(event("left"))
	data := `"data":{"key":"` + s.key() + `"}`
	require.JSONEq(s, `{"left":{"name":"e2e/left",`+data+`},"own":"own","right":{"name":"e2e/right",`+data+`},"never":null}`,
		s.output(run))
	require.Equal(s, map[string]int{"own": 1}, s.executions(run).Counts())
}
