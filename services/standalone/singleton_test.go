package standalone_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// skipped is what the API says of a run that was skipped.
type skipped struct {
	Status   string   `json:"status"`
	Reason   string   `json:"skip_reason"`
	Existing string   `json:"existing_run_id"`
	Notes    []string `json:"notes"`
}

func (w *world) skipped(run string) skipped {
	w.t.Helper()
	var answer struct {
		Data skipped `json:"data"`
	}
	w.get("/api/v1/runs/"+run, &answer)
	return answer.Data
}

// singleton is the option of a function.
func singleton(key, mode string) map[string]any {
	return map[string]any{"singleton": map[string]string{"key": key, "mode": mode}}
}

func nap(s *steps) any {
	s.sleep("nap", "1h")
	return "done"
}

// TestI22_SingletonSkipsWhileARunIsLive: also while it sleeps, and not any more when it has ended, however it did.
func TestI22_SingletonSkipsWhileARunIsLive(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-nap": {event: "nap", flow: singleton("event.data.user", ""), code: nap},
		"app-late": {
			event: "late", flow: singleton("", "skip"), timeouts: map[string]string{"finish": "1m"}, code: nap,
		},
		"app-parent": {event: "invoke", code: func(s *steps) any {
			return s.invoke("call", "app-nap", "1h", map[string]string{"user": "ada"})
		}},
	}, func(t *testing.T, w *world) {
		first, bob := w.publish("nap", `{"user":"ada"}`), w.publish("nap", `{"user":"bob"}`)
		<-time.After(30 * time.Minute)
		second := w.publish("nap", `{"user":"ada"}`)
		require.Equal(t, skipped{Status: "Skipped", Reason: "Singleton", Existing: first}, w.skipped(second))
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Second)
		require.JSONEq(t, `{"error":{"name":"Error","data":null,
			"message":"invoked function was skipped: another run of it is live, and it is a singleton"}}`, w.output(parent))
		require.Equal(t, "Completed", w.statusAfter(first, 30*time.Minute))
		require.Equal(t, "Completed", w.run(bob).Status)
		require.Empty(t, w.app.callsOf(second))
		third := w.publish("nap", `{"user":"ada"}`)
		require.Equal(t, "Running", w.run(third).Status)

		late := w.publish("late", `{}`)
		require.Equal(t, late, w.skipped(w.publish("late", `{}`)).Existing)
		require.Equal(t, "Cancelled", w.statusAfter(late, 2*time.Minute))
		require.Equal(t, "Running", w.run(w.publish("late", `{}`)).Status, "a time-out frees it")
	})
}

// TestI22_SingletonCancelsTheRunBefore: who waits for it is told, and who listens.
func TestI22_SingletonCancelsTheRunBefore(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	inWorld(t, map[string]function{
		"app-nap": {event: "nap", flow: singleton("event.data.user", "cancel"), code: nap},
		"app-parent": {event: "invoke", code: func(s *steps) any {
			return s.invoke("call", "app-nap", "2h", map[string]string{"user": "ada"})
		}},
		"app-listener": {event: "inngest/function.cancelled", code: func(*steps) any { return heard.Add(1) }},
	}, func(t *testing.T, w *world) {
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Second)
		require.Equal(t, "Running", w.run(parent).Status)
		first := w.publish("nap", `{"user":"ada"}`)
		<-time.After(time.Second)
		require.JSONEq(t, `{"error":{"name":"Error","message":"The invoked function was cancelled","data":null}}`, w.output(parent))
		second := w.publish("nap", `{"user":"ada"}`)
		require.Equal(t, "Cancelled", w.statusAfter(first, time.Second))
		require.EqualValues(t, 2, heard.Load())
		require.Equal(t, "Completed", w.statusAfter(second, time.Hour))
		require.Equal(t, "Cancelled", w.run(first).Status)
	})
}

// TestI22_LastEventOfARequestIsTheOneThatStays, and the same event again changes nothing.
func TestI22_LastEventOfARequestIsTheOneThatStays(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-nap": {event: "nap", flow: singleton("", "cancel"), code: nap},
	}, func(t *testing.T, w *world) {
		before := w.publish("nap", `{}`)
		var published struct {
			IDs []string `json:"ids"`
		}
		events := []map[string]any{{"name": "nap", "id": "a"}, {"name": "nap", "id": "b"}, {"name": "nap", "id": "c"}}
		for range 2 { // the second time all of them are known
			w.post("/e/key", events, &published)
			<-time.After(time.Second)
		}
		status := map[string]int{}
		for _, id := range published.IDs {
			var runs struct {
				Data []struct {
					Status string `json:"status"`
				} `json:"data"`
			}
			w.get("/v1/events/"+id+"/runs", &runs)
			for _, run := range runs.Data {
				status[run.Status]++
			}
		}
		require.Equal(t, map[string]int{"Cancelled": 2, "Running": 1}, status)
		require.Equal(t, "Cancelled", w.run(before).Status)
	})
}

// TestI22_KeyThatIsFalseIsNoSingleton, nor is one that cannot be evaluated.
func TestI22_KeyThatIsFalseIsNoSingleton(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-free": {event: "free", flow: singleton("event.data.single", ""), code: nap},
		"app-bad":  {event: "bad", flow: singleton("event.data.list[3]", "cancel"), code: nap},
	}, func(t *testing.T, w *world) {
		var runs []string
		for range 2 {
			for event, data := range map[string]string{"free": `{"single":false}`, "bad": `{"list":[]}`} {
				runs = append(runs, w.publish(event, data))
			}
			runs = append(runs, w.publish("free", `{}`))
		}
		<-time.After(time.Second)
		for _, run := range runs {
			require.Equal(t, "Running", w.run(run).Status)
		}
	})
}
