package stepwell_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestI18_TimerEventIsTheSameForWhoeverFires(t *testing.T) {
	t.Parallel()
	app := stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop")
	function, other := stepwell.NewFunctionID(app, "a"), stepwell.NewFunctionID(app, "b")
	slot := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	id := stepwell.NewTimerEventID(function, "*/5 * * * *", slot)
	require.Equal(t, id, stepwell.NewTimerEventID(function, "*/5 * * * *", slot.In(time.FixedZone("", 3600))))
	require.Equal(t, slot, id.Timestamp().UTC())
	for _, another := range []stepwell.EventID{
		stepwell.NewTimerEventID(other, "*/5 * * * *", slot),
		stepwell.NewTimerEventID(function, "5 * * * *", slot),
		stepwell.NewTimerEventID(function, "*/5 * * * *", slot.Add(5*time.Minute)),
	} {
		require.NotEqual(t, id, another)
	}
	key, ok := stepwell.Event{ID: id, Name: stepwell.TimerEventName}.TimerKey()
	require.True(t, ok)
	require.Equal(t, stepwell.NewTimerKey(function, "*/5 * * * *"), key)
	require.NotEqual(t, stepwell.NewTimerKey(other, "*/5 * * * *"), key)
	_, ok = stepwell.Event{ID: id, Name: "shop/order.placed"}.TimerKey()
	require.False(t, ok)
	require.Empty(t, stepwell.Event{Name: "shop/order.placed", Data: []byte(`{"cron":"* * * * *"}`)}.Cron())
	require.Empty(t, stepwell.Event{Name: stepwell.TimerEventName, Data: []byte(`{"cron":1}`)}.Cron())
}
