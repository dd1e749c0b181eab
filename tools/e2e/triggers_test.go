package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func triggers() []scenario {
	return []scenario{
		{name: "two triggers", proves: proves(compatibility.Triggers), play: twoTriggers},
		{name: "two triggers match one event", proves: proves(compatibility.Triggers), play: overlappingTriggers},
		{name: "wildcard trigger", proves: proves(compatibility.Wildcards), play: wildcardTrigger},
		{name: "trigger expression", proves: proves(compatibility.Expressions), play: triggerExpression},
	}
}

func twoTriggers(s *scene) {
	for _, event := range []string{"e2e/either.one", "e2e/either.two"} {
		run := s.start(event, nil)
		require.JSONEq(s, `{"name":"`+event+`"}`, s.output(run))
		require.Len(s, s.executions(run), 1)
	}
}

func overlappingTriggers(s *scene) {
	run := s.start("e2e/overlapping.one", nil)
	require.JSONEq(s, `{"name":"e2e/overlapping.one"}`, s.output(run))
	require.Len(s, s.executions(run), 1)
	require.JSONEq(s, `{"name":"e2e/overlapping.two"}`, s.output(s.start("e2e/overlapping.two", nil)))
}

func wildcardTrigger(s *scene) {
	started := s.requireLastStarts(
		target.Event{Name: "e2e.wild"}, target.Event{Name: "e2e.wilder/thing"}, target.Event{Name: "e2e/wild/thing"},
		target.Event{Name: "e2e.wild/thing.happened"})
	require.JSONEq(s, `{"name":"e2e.wild/thing.happened"}`, started)
}

func triggerExpression(s *scene) {
	order := func(data map[string]any) target.Event { return target.Event{Name: "e2e/order", Data: data} }
	started := s.requireLastStarts(
		order(map[string]any{"amount": 100}), order(map[string]any{"amount": "a lot"}), order(nil),
		order(map[string]any{"amount": 101}))
	require.JSONEq(s, `{"amount":101}`, started)
}

// requireLastStarts publishes events of which only the last one starts a run, and returns what that one returns.
func (s *scene) requireLastStarts(events ...target.Event) string {
	s.Helper()
	ids := s.send(events...)
	last := len(ids) - 1
	output := s.output(s.runOf(ids[last]))
	for i, id := range ids[:last] {
		runs, err := s.server.EventRuns(s.Context(), id)
		require.NoError(s, err)
		require.Empty(s, runs, "%s with %v", events[i].Name, events[i].Data)
	}
	return output
}
