package cron_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/cron"
)

func TestI18_Due(t *testing.T) {
	t.Parallel()
	five := parse(t, "*/5 * * * *")
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 10, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		next, now time.Time
		catchUp   time.Duration
		want      cron.Due
	}{
		"a second early": {at(5), at(5).Add(-time.Second), time.Hour, cron.Due{Next: at(5)}},
		"on time":        {at(5), at(5), 0, cron.Due{Fire: []time.Time{at(5)}, Next: at(10)}},
		"a clock that stepped back": {
			at(5), at(5).Add(-time.Hour), time.Hour, cron.Due{Next: at(5)},
		},
		"late": {
			at(5), at(16), time.Hour, cron.Due{Fire: []time.Time{at(5), at(10), at(15)}, Next: at(20)},
		},
		"more than are wanted at a time": {
			at(5), at(36), time.Hour, cron.Due{Fire: []time.Time{at(5), at(10), at(15)}, Next: at(20)},
		},
		"too late": {
			at(5), at(26), 10 * time.Minute, cron.Due{Fire: []time.Time{at(20), at(25)}, Skipped: 3, Next: at(30)},
		},
		"just not too late": {
			at(5), at(15), 10 * time.Minute, cron.Due{Fire: []time.Time{at(5), at(10), at(15)}, Next: at(20)},
		},
		"no catching up": {
			at(5), at(29), time.Second, cron.Due{Skipped: 5, Next: at(30)},
		},
	} {
		require.Equal(t, test.want, five.Due(test.next, test.now, test.catchUp, 3), name)
	}
}

// TestDueAfterYears: what was missed is not counted for ever.
func TestDueAfterYears(t *testing.T) {
	t.Parallel()
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin.AddDate(6, 0, 0)
	due := parse(t, "* * * * *").Due(begin, now, time.Minute, 10)
	require.Equal(t, cron.Due{
		Skipped: 10_000, Fire: []time.Time{now.Add(-time.Minute), now}, Next: now.Add(time.Minute),
	}, due)
}

func TestDueWithoutANext(t *testing.T) {
	t.Parallel()
	never := parse(t, "0 0 30 2 *")
	require.Equal(t, cron.Due{}, never.Due(time.Time{}, time.Now(), time.Hour, 10))
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, cron.Due{Fire: []time.Time{begin}}, never.Due(begin, begin, time.Hour, 10))
	require.Equal(t, cron.Due{Skipped: 1}, never.Due(begin, begin.AddDate(1, 0, 0), time.Hour, 10))
}
