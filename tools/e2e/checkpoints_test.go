package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
)

// Steps that an app reports while its call goes on, when something is wrong.
func checkpoints() []scenario {
	return []scenario{
		{
			name: "checkpoints fail", proves: proves(compatibility.Checkpointing), play: checkpointsFail,
			needs: sdkapp.Checkpoints, alone: true,
		},
		{
			name: "call is superseded", proves: proves(compatibility.Restarts), play: supersededCall, alone: true, urls: true,
		},
	}
}

// checkpointsFail: the app answers its calls with what it cannot report.
func checkpointsFail(s *scene) {
	refuser := s.refuse("/async")
	s.process = s.startAppWith(sdkapp.Settings{Port: s.port, Env: refuser.env})
	require.NoError(s, s.process.Sync(s.Context()))
	s.awaitFunction("sequence")
	run := s.start("e2e/sequence", nil)
	require.JSONEq(s, `{"a":1,"b":2,"c":3}`, s.output(run))
	require.Equal(s, map[string]int{"a": 1, "b": 1, "c": 1}, s.executions(run).Counts())
	require.NotZero(s, refuser.refused.Load())
	require.Greater(s, len(s.executions(run).Of("function")), 1, "one call is not enough")
}

// supersededCall: the connection breaks while a step runs, so the app is called again. When the step of the first call ends
// its report is refused, and the app does not go on with what the second call does.
func supersededCall(s *scene) {
	port, err := process.FreePort(s.Context())
	require.NoError(s, err)
	relay := s.relayTo(s.port, port)
	s.process = s.startAppWith(sdkapp.Settings{Port: port})
	s.awaitFunction("held")
	run := s.start("e2e/held", map[string]any{"gate": "held"})
	s.awaitBody(run, "held")
	relay.cut()
	eventually(s, "the app is called again", func() (bool, error) {
		counts := s.executions(run).Counts()
		return true, check(counts["held"] == 2, "it executed %v", counts)
	})
	s.open("held")
	require.JSONEq(s, `{"last":3}`, s.output(run))
	counts := s.executions(run).Counts()
	require.Equal(s, map[string]int{"first": 1, "held": 2, "last": 1}, counts)
}
