package app

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunWaitsForAnEventOfItsOwn(t *testing.T) {
	t.Parallel()
	a := started(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	batch := a.Expect(Plan{WaitFor: time.Hour}, 2)
	_, ops := callApp(t, a, batch, "{}", nil)
	require.Len(t, ops, 1)
	require.Equal(t, "WaitForEvent", ops[0].Op)
	require.JSONEq(t, `{"timeout":"3600000ms","if":"async.data.id == event.data.id"}`, string(ops[0].Opts))
	require.Equal(t, ops[0].Name, batch.Resuming(0).Name)
	require.NotEqual(t, batch.Resuming(0).Data, batch.Resuming(1).Data)
	require.Equal(t, 1, batch.Count(Asleep))
	require.True(t, batch.Run(0).Resumed.IsZero())

	status, _ := callApp(t, a, batch, `{"w":{"name":"load/resume"}}`, nil)
	require.Equal(t, http.StatusOK, status)
	require.False(t, batch.Run(0).Resumed.IsZero())
	require.Equal(t, 1, batch.Count(Ended))
}
