package standalone_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestI18_CronStartsRuns: functions are called at their times, with what the SDKs expect.
func TestI18_CronStartsRuns(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-report": {cron: "TZ=Europe/Berlin 30 9 * * 1-5", code: func(s *steps) any {
			return s.run("data", func() (any, error) { return s.Event.Data, nil })
		}},
		"app-never": {cron: "0 0 30 2 *", code: func(*steps) any { return nil }},
	}, func(t *testing.T, w *world) {
		<-time.After(7 * day)
		synctest.Wait()
		var called []string
		runs := map[string]bool{}
		w.app.mu.Lock()
		for _, call := range w.app.calls {
			called = append(called, call.at.UTC().Format("Mon 15:04:05"))
			runs[call.run] = true
		}
		w.app.mu.Unlock()
		require.Equal(t, []string{ // fake time begins at a Saturday's midnight; a run of one step is two calls
			"Mon 08:30:00", "Mon 08:30:00", "Tue 08:30:00", "Tue 08:30:00", "Wed 08:30:00", "Wed 08:30:00",
			"Thu 08:30:00", "Thu 08:30:00", "Fri 08:30:00", "Fri 08:30:00",
		}, called)
		require.Len(t, runs, 5)

		var run struct {
			Data struct {
				Cron    string          `json:"cron"`
				EventID string          `json:"event_id"`
				Output  json.RawMessage `json:"output"`
			} `json:"data"`
		}
		w.get("/v1/runs/"+w.app.calls[0].run, &run)
		require.Equal(t, "TZ=Europe/Berlin 30 9 * * 1-5", run.Data.Cron)
		require.JSONEq(t, `{"cron":"TZ=Europe/Berlin 30 9 * * 1-5","scheduledAt":"2000-01-03T08:30:00Z",
			"fireAt":"2000-01-03T08:30:00Z"}`, string(run.Data.Output))
		var runsOfEvent struct {
			Data []struct {
				Cron string `json:"cron"`
			} `json:"data"`
		}
		w.get("/v1/events/"+run.Data.EventID+"/runs", &runsOfEvent)
		require.Equal(t, "TZ=Europe/Berlin 30 9 * * 1-5", runsOfEvent.Data[0].Cron)
		w.settled()
	})
}
