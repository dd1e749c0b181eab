package stepwell_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestHoldSaysWhatBecomesOfRuns(t *testing.T) {
	t.Parallel()
	for hold, want := range map[stepwell.Hold]struct {
		text  string
		skip  string
		waits bool
	}{
		stepwell.HoldNone:  {"", "", false},
		stepwell.HoldQueue: {"queue", "", true},
		stepwell.HoldSkip:  {"skip", "FunctionPaused", true},
		stepwell.HoldDrain: {"drain", "FunctionDrained", false},
	} {
		require.Equal(t, want.text, hold.String())
		require.Equal(t, want.skip, hold.Skip().String())
		require.Equal(t, want.waits, hold.Waits())
	}
}
