package standalone_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestI21_RateLimitHoldsInEveryWindow: what is beyond it is recorded as skipped, and nothing of it is executed.
func TestI21_RateLimitHoldsInEveryWindow(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-mail": {
			event: "mail", rateLimit: map[string]any{"limit": 2, "period": "1m", "key": "event.data.to"},
			code: func(*steps) any { return "sent" },
		},
		"app-parent": {event: "invoke", code: func(s *steps) any {
			return s.invoke("call", "app-mail", "1h", map[string]string{"to": "ada"})
		}},
	}, func(t *testing.T, w *world) {
		status := func(to string) string {
			run := w.publish("mail", `{"to":"`+to+`"}`)
			<-time.After(time.Second)
			return w.run(run).Status
		}
		require.Equal(t, "Completed", status("ada")) // at 0 s
		<-time.After(29 * time.Second)
		require.Equal(t, "Completed", status("ada")) // at 30 s
		require.Equal(t, "Skipped", status("ada"))
		require.Equal(t, "Completed", status("bob"))
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Second)
		require.JSONEq(t, `{"error":{"name":"Error","message":"invoked function is rate limited","data":null}}`, w.output(parent))
		<-time.After(27 * time.Second)
		require.Equal(t, "Completed", status("ada"), "60 s after the first")
		require.Equal(t, "Skipped", status("ada"))
		<-time.After(29 * time.Second)
		require.Equal(t, "Completed", status("ada"), "60 s after the second")
		skipped := w.publish("mail", `{"to":"ada"}`)
		require.Equal(t, "Skipped", w.run(skipped).Status)
		require.Empty(t, w.app.callsOf(skipped))
	})
}

// TestI21_KeyThatIsFalseIsNotLimited, and one that cannot be evaluated keeps the function from starting.
func TestI21_KeyThatIsFalseIsNotLimited(t *testing.T) {
	t.Parallel()
	limit := func(key string) map[string]any { return map[string]any{"limit": 1, "period": "1h", "key": key} }
	inWorld(t, map[string]function{
		"app-free": {event: "free", rateLimit: limit("event.data.limited"), code: func(*steps) any { return "done" }},
		"app-bad":  {event: "bad", rateLimit: limit("event.data.list[3]"), code: func(*steps) any { return "done" }},
	}, func(t *testing.T, w *world) {
		for range 3 {
			run := w.publish("free", `{"limited":false}`)
			<-time.After(time.Second)
			require.Equal(t, "Completed", w.run(run).Status)
		}
		bad := w.publish("bad", `{"list":[]}`)
		require.Equal(t, skipped{
			Status: "Skipped", Reason: "KeyInvalid",
			Notes: []string{"rateLimit.key cannot be evaluated: 1:16: index 3 is out of range in a list of 0, so nothing is executed"},
		}, w.skipped(bad))
		require.Empty(t, w.app.callsOf(bad))
	})
}
