package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestI18_Timer(t *testing.T) {
	t.Parallel()
	app := stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop")
	function := stepwell.Function{ID: stepwell.NewFunctionID(app, "a"), Environment: stepwell.DefaultEnvironment()}
	trigger := stepwell.Trigger{Cron: "TZ=Europe/Berlin */5 * * * *"}
	slot := time.Date(2026, 8, 22, 10, 5, 0, 0, time.UTC)
	now := slot.Add(12*time.Millisecond + 345*time.Microsecond)

	event := engine.Timer(function, trigger, slot.In(time.FixedZone("", 7200)), now)
	require.Equal(t, stepwell.NewTimerEventID(function.ID, trigger.Cron, slot), event.ID)
	require.Equal(t, "2026-08-22T10:05:00Z", event.PublicID())
	require.Equal(t, slot, event.Time)
	require.Equal(t, slot.Add(12*time.Millisecond), event.ReceivedAt)
	require.JSONEq(t,
		`{"cron":"TZ=Europe/Berlin */5 * * * *","scheduledAt":"2026-08-22T10:05:00Z","fireAt":"2026-08-22T10:05:00Z"}`,
		string(event.Data))
	require.Equal(t, trigger.Cron, event.Cron())
	later := engine.Timer(function, trigger, slot, now.Add(time.Minute))
	later.ReceivedAt = event.ReceivedAt
	require.Equal(t, event, later)

	start, other := engine.Start(function, event, now), trigger
	other.Cron = "*/5 * * * *"
	require.NotEqual(t, start.Key, engine.Start(function, engine.Timer(function, other, slot, now), now).Key,
		"two expressions of one function at one instant")
	require.Equal(t, now, start.Run.Progress.Open[0].DueAt)
}

func TestI18_Jitter(t *testing.T) {
	t.Parallel()
	function := stepwell.Function{Environment: stepwell.DefaultEnvironment()}
	slot := time.Date(2026, 8, 22, 10, 5, 0, 0, time.UTC)
	for _, most := range []time.Duration{stepwell.JitterMin, 30 * time.Second, stepwell.JitterMax} {
		offsets := map[time.Duration]bool{}
		for i := range 100 {
			slot := slot.Add(time.Duration(i) * time.Minute)
			event := engine.Timer(function, stepwell.Trigger{Cron: "* * * * *", Jitter: most}, slot, slot)
			offset := event.Time.Sub(slot)
			require.GreaterOrEqual(t, offset, time.Second)
			require.True(t, offset < most || most == time.Second, "%s of %s", offset, most)
			require.Equal(t, event.Time, engine.Start(function, event, slot).Run.Progress.Open[0].DueAt, "it starts no earlier")
			require.Contains(t, string(event.Data), `"fireAt":"`+event.Time.Format(time.RFC3339Nano)+`"`)
			offsets[offset] = true
		}
		require.True(t, len(offsets) > 80 || most == time.Second, "%d offsets of %s", len(offsets), most)
	}
}
