package standalone_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hold pauses, resumes or drains a function.
func (w *world) hold(function, verb string, body any) {
	w.t.Helper()
	w.post("/api/v1/functions/"+function+"/"+verb, body, nil)
}

// runsOf are the statuses of a function's runs, newest first.
func (w *world) runsOf(function string) []string {
	w.t.Helper()
	var answer struct {
		Data []struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	w.get("/api/v1/runs?function="+function, &answer)
	statuses := make([]string, len(answer.Data))
	for i, run := range answer.Data {
		statuses[i] = run.Status
	}
	return statuses
}

// TestI2_StartsOfADrainedFunctionAreSkipped, with a record, and live runs go on.
func TestI2_StartsOfADrainedFunctionAreSkipped(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-nap":    {event: "nap", code: nap},
		"app-parent": {event: "invoke", code: func(s *steps) any { return s.invoke("call", "app-nap", "1h", map[string]string{}) }},
	}, func(t *testing.T, w *world) {
		live := w.publish("nap", `{}`)
		<-time.After(time.Minute)
		w.hold("app-nap", "drain", nil)
		late := w.publish("nap", `{}`)
		require.Equal(t, skipped{Status: "Skipped", Reason: "FunctionDrained"}, w.skipped(late))
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Second)
		require.JSONEq(t, `{"error":{"name":"Error","message":"invoked function was skipped: it is drained","data":null}}`, w.output(parent))
		require.Equal(t, "Completed", w.statusAfter(live, time.Hour))
		w.hold("app-nap", "resume", nil)
		require.Equal(t, "Running", w.run(w.publish("nap", `{}`)).Status)
		require.Equal(t, "Skipped", w.run(late).Status)
		require.Empty(t, w.app.callsOf(late))
	})
}

// TestI2_CronInstantsOfAPausedFunctionAreSkipped, each with a record.
func TestI2_CronInstantsOfAPausedFunctionAreSkipped(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-clock": {cron: "0 * * * *", code: func(*steps) any { return "done" }},
	}, func(t *testing.T, w *world) {
		<-time.After(time.Hour + time.Second)
		require.Equal(t, []string{"Completed"}, w.runsOf("app-clock"))
		w.hold("app-clock", "pause", map[string]string{"mode": "skip"})
		<-time.After(2 * time.Hour)
		require.Equal(t, []string{"Skipped", "Skipped", "Completed"}, w.runsOf("app-clock"))
		w.hold("app-clock", "resume", nil)
		<-time.After(time.Hour)
		require.Equal(t, []string{"Completed", "Skipped", "Skipped", "Completed"}, w.runsOf("app-clock"))
	})
}

// TestI16_PausedFunctionIsStillCancelled, by events and by its timeouts.
func TestI16_PausedFunctionIsStillCancelled(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-nap":  {event: "nap", cancel: []map[string]string{{"event": "stop"}}, code: nap},
		"app-late": {event: "late", timeouts: map[string]string{"finish": "1m"}, code: nap},
	}, func(t *testing.T, w *world) {
		sleeps, late := w.publish("nap", `{}`), w.publish("late", `{}`)
		<-time.After(time.Second)
		for _, function := range []string{"app-nap", "app-late"} {
			w.hold(function, "pause", map[string]string{"mode": "skip"})
		}
		require.Equal(t, "Running", w.run(sleeps).Status)
		w.send(map[string]any{"name": "stop"})
		require.Equal(t, "Cancelled", w.statusAfter(sleeps, time.Second))
		require.Equal(t, "Cancelled", w.statusAfter(late, time.Minute+2*time.Second))
	})
}

// TestI8_RunsOfAPausedFunctionWait, those that were live and those that start, until it is resumed.
func TestI8_RunsOfAPausedFunctionWait(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"app-nap": {event: "nap", code: nap}}, func(t *testing.T, w *world) {
		live := w.publish("nap", `{}`)
		<-time.After(time.Minute)
		w.hold("app-nap", "pause", nil)
		waits := w.publish("nap", `{}`)
		require.Equal(t, "Running", w.statusAfter(live, 2*time.Hour))
		require.Empty(t, w.app.callsOf(waits))
		w.hold("app-nap", "resume", nil)
		<-time.After(time.Hour) // until a runner has looked whether functions changed: once an hour here
		require.Equal(t, "Completed", w.statusAfter(live, time.Minute))
		require.Equal(t, "Completed", w.statusAfter(waits, time.Hour))
		require.Len(t, w.app.callsOf(waits), 2)
	})
}
