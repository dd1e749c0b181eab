package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunsAreATable(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	var out strings.Builder
	require.NoError(t, printRuns(&out, []run{
		{
			ID: "R2", Function: "shop-charge", Status: "Running", EventName: "order/paid",
			CreatedAt: now.Add(-90 * time.Second),
		},
		{
			ID: "R1", Function: "f", Status: "Completed", EventName: "a", CreatedAt: now.Add(-26 * time.Hour),
			EndedAt: now.Add(-26*time.Hour + 1234*time.Millisecond),
		},
	}, now))
	require.Equal(t, `RUN  FUNCTION     STATUS     STARTED      TOOK   EVENT
R2   shop-charge  Running    1m30s ago    1m30s  order/paid
R1   f            Completed  26h0m0s ago  1.23s  a
`, out.String())

	out.Reset()
	require.NoError(t, printRuns(&out, nil, now))
	require.Equal(t, "No runs. Publish an event: stepwell send NAME --data '{}'\n", out.String())
}

func TestDurationsAreShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:               "0s",
		0:                          "0s",
		400 * time.Microsecond:     "0s",
		1500 * time.Microsecond:    "2ms",
		15 * time.Millisecond:      "15ms",
		999_900 * time.Microsecond: "1s",
		1234 * time.Millisecond:    "1.23s",
		59_994 * time.Millisecond:  "59.99s",
		61_600 * time.Millisecond:  "1m2s",
		3599 * time.Second:         "59m59s",
		3629 * time.Second:         "1h0m0s",
		3631 * time.Second:         "1h1m0s",
		50 * time.Hour:             "50h0m0s",
	} {
		require.Equal(t, want, shortDuration(d), d)
	}
}

// TestTerminalIsDrawnOver: what is no terminal gets the last version only.
func TestTerminalIsDrawnOver(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &screen{out: &out, terminal: true}
	require.NoError(t, s.draw([]string{"a", "b", "c"}, false))
	require.NoError(t, s.draw([]string{"d"}, false))
	require.NoError(t, s.draw([]string{"e", "f"}, true))
	require.Equal(t, "a\nb\nc\n\x1b[3A\x1b[Jd\n\x1b[1A\x1b[Je\nf\n", out.String())

	out.Reset()
	s = newScreen(&out)
	require.NoError(t, s.draw([]string{"a"}, false))
	require.Empty(t, out.String())
	require.NoError(t, s.draw([]string{"b", "c"}, true))
	require.Equal(t, "b\nc\n", out.String())
	require.Equal(t, widthDefault, s.width)

	full := errors.New("disk is full")
	require.ErrorIs(t, (&screen{out: brokenWriter{full}}).draw(nil, true), full)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
