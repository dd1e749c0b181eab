package executor

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const origin = "http://app:3000"

func newCircuits(log *bytes.Buffer) *circuits {
	return &circuits{
		failuresMax: 3, random: func() float64 { return 0 }, origins: map[string]*circuit{},
		log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

func TestCircuitOpensAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	c := newCircuits(&log)
	admitted := func(at time.Time) bool {
		_, ok := c.admit(origin, at)
		return ok
	}
	for range 2 {
		c.failed(t.Context(), origin, "refused", now, now)
	}
	c.answered(t.Context(), origin)
	for range 2 {
		c.failed(t.Context(), origin, "refused", now, now)
	}
	require.True(t, admitted(now), "an answer came between")
	require.Empty(t, log.String())
	c.failed(t.Context(), origin, "refused", now, now)
	missed, ok := c.admit(origin, now)
	require.False(t, ok)
	require.Equal(t, outage{since: now, reason: "refused", tryAt: now.Add(openForMin)}, missed)
	_, ok = c.admit("http://app:3001", now)
	require.True(t, ok, "another origin is not concerned")
	require.Contains(t, log.String(), origin)

	c.failed(t.Context(), origin, "refused", now.Add(-time.Second), now.Add(time.Millisecond))
	missed, _ = c.admit(origin, now.Add(time.Millisecond))
	require.Equal(t, now.Add(openForMin), missed.tryAt, "a call that was under way tells nothing new")

	c.answered(t.Context(), origin)
	require.True(t, admitted(now))
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.Empty(t, c.origins, "what answers is not remembered")
}

func TestOpenCircuitIsTriedOneCallAtATime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	c := newCircuits(&bytes.Buffer{})
	for range 3 {
		c.failed(t.Context(), origin, "refused", now, now)
	}
	for _, openFor := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		missed, ok := c.admit(origin, now.Add(openFor*time.Second-1))
		require.False(t, ok)
		require.Equal(t, now.Add(openFor*time.Second), missed.tryAt)
		now = missed.tryAt
		_, ok = c.admit(origin, now)
		require.True(t, ok)
		missed, ok = c.admit(origin, now)
		require.False(t, ok, "one is tried already")
		require.Equal(t, now.Add(max(openFor*time.Second, dialTimeout)), missed.tryAt)
		c.failed(t.Context(), origin, "refused", now, now)
	}
	now = now.Add(openForMax)
	_, ok := c.admit(origin, now)
	require.True(t, ok)
	now = now.Add(openForMax)
	_, ok = c.admit(origin, now)
	require.True(t, ok, "a call that takes long does not keep others from trying")
}

func TestOriginsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	c := newCircuits(&bytes.Buffer{})
	for i := range originsMax + 1 {
		c.failed(t.Context(), fmt.Sprintf("http://app:%d", i), "refused", now, now.Add(time.Duration(i)))
	}
	require.Len(t, c.origins, originsMax)
	require.NotContains(t, c.origins, "http://app:0")
	require.Contains(t, c.origins, fmt.Sprintf("http://app:%d", originsMax))
}

func TestOriginIsSchemeHostAndPort(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"http://app:3000/api/inngest?fnId=a": origin, "https://app/api": "https://app", "http://u:p@app:3000/": origin,
		"://": "://",
	} {
		require.Equal(t, want, originOf(target))
	}
}
