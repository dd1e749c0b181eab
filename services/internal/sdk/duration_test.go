package sdk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const day = 24 * time.Hour

func TestDurationsOfSDKs(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Duration{
		"0s": 0, "1ns": 1, "1us": time.Microsecond, "1µs": time.Microsecond, "1ms": time.Millisecond, "5s": 5 * time.Second,
		"1m": time.Minute, "2h": 2 * time.Hour, "1d": day, "1w": 7 * day, "1h30m": 90 * time.Minute,
		"1w2d3h4m5s": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"1.5h":       90 * time.Minute, ".5s": 500 * time.Millisecond, "30m30m": time.Hour, "52w": 364 * day,
	}
	for text, want := range tests {
		got, err := sdk.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestTextThatIsNoDurationIsRefusedWithAnExample(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "s", "5", "5 s", " 5s", "5s ", "-5s", "+5s", "1h-5m", "5S", "5 minutes", "1y", "1.2.3s", ".s", "1e3s", "1_000s",
		"∞s",
		"5\u00b5", "0x1s",
	} {
		_, err := sdk.ParseDuration(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.ErrorContains(t, err, "such as 30s, 1h30m or 7d", text)
	}
}

func TestDurationsAreBounded(t *testing.T) {
	t.Parallel()
	longest, err := sdk.ParseDuration("1281023h")
	require.NoError(t, err)
	require.Equal(t, 1281023*time.Hour, longest)
	for _, text := range []string{"1281024h", "99999999999999999999w", "1281023h1281023h", "1281023h1h"} {
		_, err := sdk.ParseDuration(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.ErrorContains(t, err, "longer than 146 years", text)
	}
}

// TestGoDurationsAreRead: the Go SDK writes them in the language's own form.
func TestGoDurationsAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		duration := time.Duration(rapid.Int64Range(0, int64(366*day)).Draw(t, "seconds")).Truncate(time.Second)
		got, err := sdk.ParseDuration(duration.String())
		require.NoError(t, err)
		require.Equal(t, duration, got)
	})
}

func TestDatesOfSDKs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 8, 23, 10, 0, 0, 0, time.UTC)
	tests := map[string]time.Time{
		"2026-08-23T10:00:00Z":            at,
		"2026-08-23T10:00:00.000Z":        at,
		"2026-08-23T10:00:00.123456789Z":  at.Add(123456789),
		"2026-08-23T12:00:00+02:00":       at,
		"2026-08-23T10:00:00":             at,
		"2026-08-23T10:00:00.123":         at.Add(123 * time.Millisecond),
		"Sun, 23 Aug 2026 10:00:00 GMT":   at,
		"Sun, 23 Aug 2026 12:00:00 +0200": at,
		"23 Aug 26 10:00 UTC":             at,
		"23 Aug 26 12:00 +0200":           at,
		"Sunday, 23-Aug-26 10:00:00 UTC":  at,
		"Sun Aug 23 10:00:00 2026":        at,
		"Sun Aug 23 10:00:00 UTC 2026":    at,
		"Sun Aug 23 12:00:00 +0200 2026":  at,
		"2026-08-23":                      time.Date(2026, 8, 23, 0, 0, 0, 0, time.UTC),
	}
	for text, want := range tests {
		got, err := sdk.ParseDate(text)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	for _, text := range []string{"", "tomorrow", "2026", "2026-13-01", "2026-08-23 10:00:00", "1754000000000"} {
		_, err := sdk.ParseDate(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.ErrorContains(t, err, "write it as 2026-01-02T15:04:05Z", text)
	}
}
