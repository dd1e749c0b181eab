package standalone_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// statusAfter is where a run stands some time later.
func (w *world) statusAfter(run string, d time.Duration) string {
	w.t.Helper()
	<-time.After(d)
	return w.run(run).Status
}

// TestI16_RunThatTakesTooLongIsCancelled, from its first call on, whatever it does then.
func TestI16_RunThatTakesTooLongIsCancelled(t *testing.T) {
	t.Parallel()
	within := map[string]string{"finish": "1m"}
	inWorld(t, map[string]function{
		"app-sleeps": {event: "sleep", timeouts: within, code: func(s *steps) any {
			s.sleep("nap", "2m")
			return "done"
		}},
		"app-works": {event: "work", timeouts: within, code: func(*steps) any {
			<-time.After(2 * time.Minute)
			return "done"
		}},
		"app-waits": {event: "wait", timeouts: within, code: func(s *steps) any {
			return s.await("never", "never", waitOptions{"", "1d"})
		}},
		"app-is-quick": {event: "quick", timeouts: within, code: func(s *steps) any {
			s.sleep("nap", "55s")
			return "done"
		}},
	}, func(t *testing.T, w *world) {
		sleeps, works, waits, quick := w.publish("sleep", `{}`), w.publish("work", `{}`), w.publish("wait", `{}`), w.publish("quick", `{}`)
		<-time.After(59 * time.Second)
		for _, run := range []string{sleeps, works, waits} {
			require.Equal(t, "Running", w.run(run).Status)
		}
		require.Equal(t, "Completed", w.run(quick).Status)
		<-time.After(3 * time.Second)
		for _, run := range []string{sleeps, works, waits} {
			require.Equal(t, "Cancelled", w.run(run).Status)
		}
		<-time.After(2 * time.Minute)
		require.Equal(t, "Cancelled", w.run(works).Status, "what its call yields is refused")
		require.Equal(t, "Completed", w.run(quick).Status)
	})
}

// TestI16_RunThatStartsTooLateIsCancelled; one that started in time goes on, however long its first call takes.
func TestI16_RunThatStartsTooLateIsCancelled(t *testing.T) {
	t.Parallel()
	within := map[string]string{"start": "10s"}
	inWorld(t, map[string]function{
		"app-late": {event: "late", timeouts: within, code: func(*steps) any { return "done" }},
		"app-slow": {event: "slow", timeouts: within, code: func(*steps) any {
			<-time.After(30 * time.Second)
			return "done"
		}},
	}, func(t *testing.T, w *world) {
		slow := w.publish("slow", `{}`)
		late := w.send(map[string]any{"name": "late", "ts": time.Now().Add(time.Minute).UnixMilli()})[0]
		require.Equal(t, "Running", w.statusAfter(late, 9*time.Second))
		require.Equal(t, "Cancelled", w.statusAfter(late, 3*time.Second))
		require.Equal(t, "Running", w.run(slow).Status)
		require.Equal(t, "Completed", w.statusAfter(slow, 30*time.Second))
		require.Empty(t, w.app.callsOf(late))
	})
}

// TestI16_BothTimeouts: the second begins when the first is over.
func TestI16_BothTimeouts(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-both": {event: "both", timeouts: map[string]string{"start": "2m", "finish": "1m"}, code: func(s *steps) any {
			s.sleep("nap", "1h")
			return "done"
		}},
	}, func(t *testing.T, w *world) {
		run := w.send(map[string]any{"name": "both", "ts": time.Now().Add(90 * time.Second).UnixMilli()})[0]
		require.Equal(t, "Running", w.statusAfter(run, 149*time.Second))
		require.Equal(t, "Cancelled", w.statusAfter(run, 3*time.Second))
	})
}
