package standalone_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// waitOptions are what the app says of a wait.
type waitOptions struct {
	If      string `json:"if,omitempty"`
	Timeout string `json:"timeout"`
}

// await waits for an event and returns its data; nil after a time-out.
func (s *steps) await(id, event string, options waitOptions) json.RawMessage {
	if data, known := s.memo(id); known {
		return data
	}
	panic(answer{http.StatusPartialContent, []op{{Op: "WaitForEvent", ID: id, Name: event, Opts: &options}}})
}

// publish publishes an event and returns the run that it started, if any.
func (w *world) publish(name, data string) string {
	w.t.Helper()
	runs := w.send(map[string]any{"name": name, "data": json.RawMessage(data)})
	if len(runs) == 0 {
		return ""
	}
	return runs[0]
}

// run is the run as it is now.
func (w *world) run(id string) runState {
	w.t.Helper()
	synctest.Wait()
	var answer struct {
		Data runState `json:"data"`
	}
	w.get("/v1/runs/"+id, &answer)
	return answer.Data
}

// output is what a run yielded; empty while it goes on.
func (w *world) output(run string) string {
	w.t.Helper()
	return string(w.run(run).Output)
}

// approval waits for the approval of its own order.
func approval(timeout string) map[string]function {
	return map[string]function{"app-order": {event: "order/placed", code: func(s *steps) any {
		return s.await("approved", "order/approved", waitOptions{"async.data.id == event.data.id", timeout})
	}}}
}

func TestI15_RunIsResumedByTheEventThatFits(t *testing.T) {
	t.Parallel()
	inWorld(t, approval("30d"), func(t *testing.T, w *world) {
		one, two := w.publish("order/placed", `{"id":1}`), w.publish("order/placed", `{"id":2}`)
		<-time.After(time.Hour)
		w.publish("order/approved", `{"id":3}`)
		w.publish("order/approved", `{"id":2,"by":"ada"}`)
		<-time.After(time.Minute)
		require.JSONEq(t, `{"id":2,"by":"ada"}`, w.output(two))
		require.Empty(t, w.output(one))
		w.publish("order/approved", `{"id":1}`)
		<-time.After(time.Minute)
		require.JSONEq(t, `{"id":1}`, w.output(one))
	})
}

func TestI15_WaitTimesOutOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, approval("1h"), func(t *testing.T, w *world) {
		one := w.publish("order/placed", `{"id":1}`)
		<-time.After(time.Hour + time.Minute)
		require.JSONEq(t, `null`, w.output(one))
		w.publish("order/approved", `{"id":1}`)
		<-time.After(time.Minute)
		require.JSONEq(t, `null`, w.output(one))
	})
}

// TestI15_EventOfTheStepBeforeIsFound: the event comes while the step that sends it still runs.
func TestI15_EventOfTheStepBeforeIsFound(t *testing.T) {
	t.Parallel()
	var w *world
	functions := map[string]function{"app-order": {event: "order/placed", code: func(s *steps) any {
		s.run("send", func() (any, error) {
			w.publish("order/approved", `{"id":1}`)
			return "sent", nil
		})
		return s.await("approved", "order/approved", waitOptions{"async.data.id == event.data.id", "30d"})
	}}}
	inWorld(t, functions, func(t *testing.T, world *world) {
		w = world
		w.publish("order/approved", `{"id":1,"before":true}`)
		<-time.After(time.Minute)
		one := w.publish("order/placed", `{"id":1}`)
		<-time.After(25 * time.Hour)
		require.JSONEq(t, `{"id":1}`, w.output(one))
	})
}

// TestI15_EveryEventEndsOneWaitOfALoop: a loop of waits for one name takes each event once.
func TestI15_EveryEventEndsOneWaitOfALoop(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"app-order": {event: "order/placed", code: func(s *steps) any {
		var taken []json.RawMessage
		for _, id := range []string{"first", "second", "third"} {
			taken = append(taken, s.await(id, "order/*", waitOptions{Timeout: "30d"}))
		}
		return taken
	}}}, func(t *testing.T, w *world) {
		one := w.publish("order/placed", `{"id":0}`)
		for _, data := range []string{`{"id":1}`, `{"id":2}`, `{"id":3}`} {
			<-time.After(time.Minute)
			w.publish("order/paid", data)
		}
		<-time.After(25 * time.Hour)
		require.JSONEq(t, `[{"id":1},{"id":2},{"id":3}]`, w.output(one))
	})
}

// awaitBoth waits for two events of a name at once.
func (s *steps) awaitBoth(event string) any {
	first, knowsFirst := s.memo("first")
	second, knowsSecond := s.memo("second")
	if knowsFirst && knowsSecond {
		return []json.RawMessage{first, second}
	}
	options := &waitOptions{Timeout: "30d"}
	panic(answer{http.StatusPartialContent, []op{
		{Op: "WaitForEvent", ID: "first", Name: event, Opts: options},
		{Op: "WaitForEvent", ID: "second", Name: event, Opts: options},
	}})
}

// TestI15_EventEndsOneOfTwoWaitsOfARun: also if both look back.
func TestI15_EventEndsOneOfTwoWaitsOfARun(t *testing.T) {
	t.Parallel()
	var w *world
	inWorld(t, map[string]function{
		"app-order": {event: "order/placed", code: func(s *steps) any { return s.awaitBoth("order/approved") }},
		"app-late": {event: "late/placed", code: func(s *steps) any {
			s.run("send", func() (any, error) {
				w.publish("late/approved", `{"id":1}`)
				w.publish("late/approved", `{"id":2}`)
				return "sent", nil
			})
			return s.awaitBoth("late/approved")
		}},
	}, func(t *testing.T, world *world) {
		w = world
		one, late := w.publish("order/placed", `{}`), w.publish("late/placed", `{}`)
		<-time.After(time.Minute)
		var taken []struct{ ID int }
		require.NoError(t, json.Unmarshal([]byte(w.output(late)), &taken))
		require.ElementsMatch(t, []struct{ ID int }{{1}, {2}}, taken)
		w.publish("order/approved", `{"id":1}`)
		<-time.After(time.Minute)
		require.Empty(t, w.output(one))
		w.publish("order/approved", `{"id":2}`)
		<-time.After(time.Minute)
		require.NoError(t, json.Unmarshal([]byte(w.output(one)), &taken))
		require.ElementsMatch(t, []struct{ ID int }{{1}, {2}}, taken)
	})
}

func TestExpressionThatCannotBeCompiledFailsTheRun(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"app-order": {event: "order/placed", retries: 3, code: func(s *steps) any {
		return s.await("approved", "order/approved", waitOptions{"async.data.id ==", "1h"})
	}}}, func(t *testing.T, w *world) {
		one := w.publish("order/placed", `{"id":1}`)
		<-time.After(time.Minute)
		require.Contains(t, w.output(one), "InvalidExpression")
	})
}
