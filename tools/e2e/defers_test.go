package e2e

import (
	"fmt"
	"maps"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func defers() []scenario {
	deferring := func(name string, feature compatibility.Feature, play func(*scene)) scenario {
		return scenario{name: name, proves: proves(feature), play: play, needs: sdkapp.Defers}
	}
	return []scenario{
		deferring("deferred functions start at the end", compatibility.Defer, deferred),
		deferring("failed run starts what it deferred", compatibility.Defer, deferredFailing),
		deferring("cancelled run starts what it deferred", compatibility.Defer, deferredCancelled),
		deferring("twenty functions are deferred", compatibility.DeferBounds, deferredMany),
	}
}

// requireRan: these bodies ran, each as often as it says, for the run and what it deferred. Those of deferred functions
// are waited for.
func (s *scene) requireRan(run string, own map[string]int, deferred ...string) {
	s.Helper()
	all := maps.Clone(own)
	for _, body := range deferred {
		s.awaitBody(run, body)
		all[body] = 1
	}
	require.Equal(s, all, s.executions(run).Counts())
}

// deferred: what is deferred twice runs once, what is aborted does not.
func deferred(s *scene) {
	run := s.start("e2e/defer", map[string]any{})
	require.JSONEq(s, `{"done":true}`, s.output(run))
	s.requireRan(run, map[string]int{"a": 1, "b": 1}, "receipt after defer", "last after defer")
}

func deferredFailing(s *scene) {
	run := s.start("e2e/defer-failing", nil)
	require.Contains(s, s.failure(run).Message, "out of luck")
	s.requireRan(run, map[string]int{"a": 1}, "excuse after defer-failing")
}

func deferredCancelled(s *scene) {
	run := s.start("e2e/defer", map[string]any{"nap": "1h"})
	s.awaitStep(run, "nap", "Open")
	require.NoError(s, s.server.Cancel(s.Context(), run))
	s.await(run, target.Cancelled)
	s.requireRan(run, map[string]int{"a": 1}, "receipt after defer", "letter after defer")
}

// deferredMany: what is beyond the bound does not run, and keeps nothing from running.
func deferredMany(s *scene) {
	run := s.start("e2e/defer-many", map[string]any{"count": 23})
	require.JSONEq(s, `{}`, s.output(run))
	var first []string
	for i := range 20 {
		first = append(first, fmt.Sprintf("number %d after defer-many", i+1))
	}
	s.requireRan(run, map[string]int{}, first...)
}
