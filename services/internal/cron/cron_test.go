package cron_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/cron"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func parse(t require.TestingT, expression string) cron.Schedule {
	schedule, err := cron.Parse(expression)
	require.NoError(t, err, expression)
	return schedule
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// following are the next n instants.
func following(schedule cron.Schedule, after time.Time, n int) []string {
	var texts []string
	for range n {
		after = schedule.Next(after)
		texts = append(texts, after.Format(time.RFC3339))
	}
	return texts
}

func TestNext(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 3, 28, 10, 7, 0, 0, time.UTC) // the Saturday before Europe's clocks go forward
	tests := map[string]string{
		"*/5 * * * *":                        "2026-03-28T10:10:00Z",
		"7 10 * * *":                         "2026-03-29T10:07:00Z",
		"0 9 * * 1-5":                        "2026-03-30T09:00:00Z",
		"0 9 1 * 1":                          "2026-03-30T09:00:00Z", // the first, and Mondays
		"0 9 */2 * 0":                        "2026-03-29T09:00:00Z",
		"0 0 31 apr-may *":                   "2026-05-31T00:00:00Z",
		"TZ=Europe/Paris 0 9 * * *":          "2026-03-29T07:00:00Z",
		"CRON_TZ=America/New_York 0 0 1 * *": "2026-04-01T04:00:00Z",
		"TZ=Asia/Kathmandu 0 9 * * *":        "2026-03-29T03:15:00Z",
		"0 0 29 feb *":                       "2028-02-29T00:00:00Z",
		"0 0 29 feb mon":                     "2027-02-01T00:00:00Z",
		"0 0 30 feb *":                       "0001-01-01T00:00:00Z",
	}
	for expression, want := range tests {
		require.Equal(t, want, parse(t, expression).Next(after).Format(time.RFC3339), expression)
	}
	require.Equal(t, "2104-02-29T00:00:00Z", parse(t, "0 0 29 2 *").Next(instant(t, "2096-03-01T00:00:00Z")).Format(time.RFC3339))
}

// TestI18_ClocksThatAreChanged: a time that the clock passes over does not come, one that it shows twice comes twice.
func TestI18_ClocksThatAreChanged(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression, after string
		want              []string
	}{
		// Berlin, forward: 02:00 is 03:00.
		{"TZ=Europe/Berlin 30 2 * * *", "2026-03-28T00:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"TZ=Europe/Berlin 0 * * * *", "2026-03-28T23:30:00Z", []string{
			"2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z",
		}},
		{"TZ=Europe/Berlin 0 3 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"}},
		// Berlin, back: 03:00 is 02:00.
		{"TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00Z", []string{
			"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z",
		}},
		{"TZ=Europe/Berlin 0 * * * *", "2026-10-24T23:30:00Z", []string{
			"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z",
		}},
		{"TZ=Europe/Berlin 0 3 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"}},
		// New York, forward: 02:00 is 03:00.
		{"TZ=America/New_York 15 2 * * *", "2026-03-07T00:00:00Z", []string{"2026-03-07T07:15:00Z", "2026-03-09T06:15:00Z"}},
		{"TZ=America/New_York 0 9 * * *", "2026-03-07T00:00:00Z", []string{"2026-03-07T14:00:00Z", "2026-03-08T13:00:00Z"}},
		// New York, back: 02:00 is 01:00.
		{"TZ=America/New_York 15 1 * * *", "2026-10-31T12:00:00Z", []string{
			"2026-11-01T05:15:00Z", "2026-11-01T06:15:00Z", "2026-11-02T06:15:00Z",
		}},
		// Cairo has a Friday without a midnight, Lord Howe an hour of which half is missing.
		{"TZ=Africa/Cairo 0 12 * * 5", "2026-04-18T00:00:00Z", []string{"2026-04-24T09:00:00Z", "2026-05-01T09:00:00Z"}},
		{"TZ=Africa/Cairo 0 0 * * *", "2026-04-22T12:00:00Z", []string{"2026-04-22T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"TZ=Australia/Lord_Howe 45 1 * * *", "2026-04-03T20:00:00Z", []string{
			"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-05T15:15:00Z",
		}},
		{"TZ=Australia/Lord_Howe 15,45 2 * * *", "2026-10-03T12:00:00Z", []string{
			"2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z", "2026-10-04T15:45:00Z",
		}},
	} {
		require.Equal(t, test.want, following(parse(t, test.expression), instant(t, test.after), len(test.want)), test.expression)
	}
}

// TestI18_NextIsTheFirstMinuteThatFits: no minute before it fits, as found by looking at each of them.
func TestI18_NextIsTheFirstMinuteThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{
			"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Asia/Beirut",
			"Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Antarctica/Troll",
		}).Draw(t, "zone")
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		minute, hour := rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 23).Draw(t, "hour")
		expression := fmt.Sprintf("TZ=%s %d %d * * *", name, minute, hour)
		after := time.Date(2011, 1, 1, 0, rapid.IntRange(0, 366*24*60).Draw(t, "after"), 0, 0, time.UTC)

		got := parse(t, expression).Next(after)
		want := after
		for {
			want = want.Add(time.Minute)
			if local := want.In(zone); local.Hour() == hour && local.Minute() == minute {
				break
			}
		}
		require.Equal(t, want, got, "%s after %s", expression, after)
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "@daily", "@every 1s", "* * * *", "* * * * * *", "61 * * * *", "TZ=Mars/Base 0 0 * * *", "TZ=Europe/Berlin", "TZ=",
		"TZ= 0 0 * * *", "TZ=Local 0 0 * * *", "CRON_TZ=UTC", "CRON_TZ=UTC ", "TZ=UTC @daily",
	} {
		_, err := cron.Parse(expression)
		require.ErrorIs(t, err, stepwell.ErrInvalid, expression)
	}
}
