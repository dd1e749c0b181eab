package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
)

func largeStates() []scenario {
	return []scenario{
		{name: "10 MB of results in sequence", proves: proves(compatibility.LargeState), play: func(s *scene) { largeState(s, false) }, heavy: true},
		{name: "10 MB of parallel results", proves: proves(compatibility.LargeState), play: func(s *scene) { largeState(s, true) }, heavy: true},
		{name: "result beyond its bound", proves: proves(compatibility.StateBounds), play: resultTooLarge},
		{name: "results beyond their bound", proves: proves(compatibility.StateBounds), play: stateTooLarge, heavy: true, server: true},
	}
}

// largeState: results that together are too large for a call reach the function all the same, and no step runs twice.
func largeState(s *scene, parallel bool) {
	const steps, bytes = 10, 1 << 20
	run := s.start("e2e/large-state", map[string]any{"steps": steps, "bytes": bytes, "parallel": parallel})
	all := sha256.New()
	for i := range steps {
		all.Write([]byte(strings.Repeat(string(rune('a'+i)), bytes)))
	}
	require.JSONEq(s, `{"sha256":"`+hex.EncodeToString(all.Sum(nil))+`"}`, s.output(run))
	require.Equal(s, map[string]int{"part": steps, "hash": 1}, s.executions(run).Counts())
}

func resultTooLarge(s *scene) {
	run := s.start("e2e/large-state", map[string]any{"steps": 1, "bytes": 5 << 20})
	failure := s.failure(run)
	require.Equal(s, "step_output_too_large", failure.Name)
	require.Contains(s, failure.Message, "at most 4194304 are allowed for one step")
}

func stateTooLarge(s *scene) {
	run := s.start("e2e/large-state", map[string]any{"steps": 9, "bytes": 4_000_000})
	failure := s.failure(run)
	require.Equal(s, "state_too_large", failure.Name)
	require.Contains(s, failure.Message, "at most 33554432 are allowed")
}
