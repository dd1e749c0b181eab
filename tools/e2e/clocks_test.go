package e2e

import (
	"regexp"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
)

// The last scenarios: what they wait for comes while others are played.
func clocks() []scenario {
	return []scenario{
		{name: "cron", proves: proves(compatibility.Cron), play: cron},
	}
}

// cronWithin is how long it takes at most until a minute begins, on a machine that does other work.
const cronWithin = time.Minute + patience

// cron: the function is started when a minute begins, and by no other of its expressions. However many servers there are,
// it is started once.
func cron(s *scene) {
	ticks := within(s, cronWithin, "a minute begins", func() (map[string]int, error) {
		executions, err := s.process.Executions(s.Context(), "clock")
		if err != nil {
			return nil, err
		}
		return executions.Counts(), check(len(executions) > 0, "none did")
	})
	begins := regexp.MustCompile(`^inngest/scheduled\.timer \d{4}-\d\d-\d\dT\d\d:\d\d:00Z \* \* \* \* \*$`)
	for tick, times := range ticks {
		require.Regexp(s, begins, tick)
		require.Equal(s, 1, times, tick)
	}
}
