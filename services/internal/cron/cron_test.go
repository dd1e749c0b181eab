package cron_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/cron"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestNext(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 3, 28, 10, 7, 0, 0, time.UTC) // the Saturday before Europe's clocks go forward
	tests := map[string]string{
		"*/5 * * * *":                        "2026-03-28T10:10:00Z",
		"0 9 * * 1-5":                        "2026-03-30T09:00:00Z",
		"TZ=Europe/Paris 0 9 * * *":          "2026-03-29T07:00:00Z",
		"CRON_TZ=America/New_York 0 0 1 * *": "2026-04-01T04:00:00Z",
		"0 0 29 feb *":                       "2028-02-29T00:00:00Z",
	}
	for expression, want := range tests {
		schedule, err := cron.Parse(expression)
		require.NoError(t, err, expression)
		require.Equal(t, want, schedule.Next(after).UTC().Format(time.RFC3339), expression)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", "@daily", "@every 1s", "* * * *", "* * * * * *", "61 * * * *", "TZ=Mars/Base 0 0 * * *"} {
		_, err := cron.Parse(expression)
		require.ErrorIs(t, err, stepwell.ErrInvalid, expression)
	}
}
