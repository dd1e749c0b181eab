package standalone_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seenCalls are the events of each call that the app got, with the second at which it came.
func (w *world) seenCalls() []string {
	w.app.mu.Lock()
	defer w.app.mu.Unlock()
	calls := []string{}
	for _, call := range w.app.calls {
		calls = append(calls, fmt.Sprintf("%v s: %s", call.at.Sub(w.begin).Round(time.Millisecond).Seconds(), strings.Join(call.events, " ")))
	}
	return calls
}

// at lets time pass until a second of the test.
func (w *world) at(second float64) {
	<-time.After(time.Until(w.begin.Add(time.Duration(second * float64(time.Second)))))
}

// edit is a function that starts when a document has not been edited for ten seconds.
func edit(timeout string) map[string]function {
	return map[string]function{"app-edit": {
		event: "edit", debounce: map[string]string{"period": "10s", "key": "event.data.doc", "timeout": timeout},
		code: func(*steps) any { return "saved" },
	}}
}

// idOf publishes an event and returns its id.
func (w *world) idOf(event map[string]any) string {
	w.t.Helper()
	var published struct {
		IDs []string `json:"ids"`
	}
	w.post("/e/key", event, &published)
	return published.IDs[0]
}

type listedRun struct {
	ID         string `json:"run_id"`
	Status     string `json:"status"`
	SkipReason string `json:"-"`
}

// runsOfEvent are the runs that the API tells of an event.
func (w *world) runsOfEvent(id string) []listedRun {
	w.t.Helper()
	var runs struct {
		Data []listedRun `json:"data"`
	}
	w.get("/v1/events/"+id+"/runs", &runs)
	for i, run := range runs.Data {
		var history struct {
			Data struct {
				SkipReason string `json:"skip_reason"`
			} `json:"data"`
		}
		w.get("/api/v1/runs/"+run.ID, &history)
		runs.Data[i].SkipReason = history.Data.SkipReason
	}
	return runs.Data
}

// TestI19_DebounceStartsOnceWithTheLastEvent: of each key, at its time; the others are recorded.
func TestI19_DebounceStartsOnceWithTheLastEvent(t *testing.T) {
	t.Parallel()
	inWorld(t, edit(""), func(t *testing.T, w *world) {
		var events []string
		for i, at := range []float64{0, 4, 9} {
			w.at(at)
			events = append(events, w.idOf(map[string]any{"name": "edit", "data": map[string]any{"doc": "a", "n": i}}))
			if i == 0 {
				w.publish("edit", `{"doc":"b"}`)
			}
		}
		w.at(9.5)
		require.Empty(t, w.runsOfEvent(events[2]))
		w.at(60)
		require.Equal(t, []string{`10 s: {"doc":"b"}`, `19 s: {"doc":"a","n":2}`}, w.seenCalls())
		for i, want := range []listedRun{{Status: "Skipped", SkipReason: "Debounced"}, {Status: "Skipped", SkipReason: "Debounced"}, {Status: "Completed"}} {
			runs := w.runsOfEvent(events[i])
			require.Len(t, runs, 1)
			want.ID = runs[0].ID
			require.Equal(t, want, runs[0])
		}
		w.publish("edit", `{"doc":"a","n":3}`)
		w.at(80)
		require.Equal(t, `70 s: {"doc":"a","n":3}`, w.seenCalls()[2])
		w.settled()
	})
}

// TestI19_DebounceIsCappedByItsTimeout, from the first event on.
func TestI19_DebounceIsCappedByItsTimeout(t *testing.T) {
	t.Parallel()
	inWorld(t, edit("25s"), func(t *testing.T, w *world) {
		for n := range 5 { // 0, 8, 16, 24, 32
			w.at(float64(8 * n))
			w.publish("edit", fmt.Sprintf(`{"n":%d}`, n))
		}
		w.at(100)
		require.Equal(t, []string{`25 s: {"n":3}`, `42 s: {"n":4}`}, w.seenCalls())
	})
}

// TestI19_DebounceIgnoresOlderEvents, by their own time, and starts no run before its event's.
func TestI19_DebounceIgnoresOlderEvents(t *testing.T) {
	t.Parallel()
	inWorld(t, edit(""), func(t *testing.T, w *world) {
		send := func(n int, at time.Duration) string {
			return w.idOf(map[string]any{
				"name": "edit", "data": map[string]int{"n": n}, "ts": w.begin.Add(at).UnixMilli(),
			})
		}
		send(1, 5*time.Second)
		w.at(6)
		late := send(2, 4*time.Second)
		require.Equal(t, "Debounced", w.runsOfEvent(late)[0].SkipReason)
		w.at(12)
		require.Equal(t, []string{`10 s: {"n":1}`}, w.seenCalls(), "it was not moved")
		send(3, time.Minute)
		w.at(30)
		require.Len(t, w.seenCalls(), 1)
		w.at(100)
		require.Equal(t, `60 s: {"n":3}`, w.seenCalls()[1])
	})
}

// TestI19_DebounceOfBadKeys is one, and the same event again changes nothing.
func TestI19_DebounceOfBadKeys(t *testing.T) {
	t.Parallel()
	functions := edit("")
	bad := functions["app-edit"]
	bad.debounce = map[string]string{"period": "10s", "key": "event.data.list[3]"}
	functions["app-edit"] = bad
	inWorld(t, functions, func(t *testing.T, w *world) {
		w.publish("edit", `{"list":[],"n":1}`)
		w.publish("edit", `{"list":[1,2,3,4],"n":2}`)
		w.at(5)
		for range 2 {
			w.idOf(map[string]any{"name": "edit", "id": "mine", "data": json.RawMessage(`{"list":[],"n":3}`)})
			w.at(9)
		}
		w.at(60)
		require.Equal(t, []string{`10 s: {"list":[1,2,3,4],"n":2}`, `15 s: {"list":[],"n":3}`}, w.seenCalls())
	})
}

// TestI14_InvokerOfADebouncedFunction gets the run's result, or is told at once that another event took its place.
func TestI14_InvokerOfADebouncedFunction(t *testing.T) {
	t.Parallel()
	functions := edit("")
	functions["app-parent"] = function{event: "call", code: func(s *steps) any {
		return s.invoke("call", "app-edit", "1h", map[string]string{"doc": "a"})
	}}
	inWorld(t, functions, func(t *testing.T, w *world) {
		first := w.publish("call", `{}`)
		w.at(5)
		last := w.publish("call", `{}`)
		w.at(6)
		require.JSONEq(t, `{"error":{"name":"Error","message":"invoked function is debounced: another event took the place of this one","data":null}}`,
			w.output(first))
		require.Equal(t, "Running", w.run(last).Status)
		w.at(16)
		require.JSONEq(t, `{"data":"saved"}`, w.output(last))
	})
}

// TestI2_DebounceOfAFunctionThatIsGone is recorded as skipped.
func TestI2_DebounceOfAFunctionThatIsGone(t *testing.T) {
	t.Parallel()
	inWorld(t, edit(""), func(t *testing.T, w *world) {
		event := w.idOf(map[string]any{"name": "edit"})
		w.at(5)
		w.app.serve(map[string]function{"app-other": {event: "x", code: func(*steps) any { return nil }}})
		w.post("/api/v1/functions", map[string]string{"url": appURL}, nil)
		w.at(11)
		require.Equal(t, "FunctionArchived", w.runsOfEvent(event)[0].SkipReason)
	})
}

// TestDebounceComesAfterTheRateLimit, and the run's priority is that of its own event.
func TestDebounceComesAfterTheRateLimit(t *testing.T) {
	t.Parallel()
	functions := edit("")
	limited := functions["app-edit"]
	limited.rateLimit = map[string]any{"limit": 2, "period": "1h"}
	functions["app-edit"] = limited
	inWorld(t, functions, func(t *testing.T, w *world) {
		for n := range 3 {
			w.at(float64(n))
			event := w.idOf(map[string]any{"name": "edit", "data": map[string]int{"n": n}})
			if n == 2 {
				require.Equal(t, "RateLimited", w.runsOfEvent(event)[0].SkipReason)
			}
		}
		w.at(60)
		require.Equal(t, []string{`11 s: {"n":1}`}, w.seenCalls())
	})
}

// collect is a function that takes three events at a time.
func collect(options map[string]any) map[string]function {
	batch := map[string]any{"maxSize": 3, "timeout": "10s"}
	maps.Copy(batch, options)
	return map[string]function{"app-collect": {
		event: "item", batch: batch, timeouts: map[string]string{"start": "1s"}, code: func(*steps) any { return "collected" },
	}}
}

// TestI19_BatchHoldsEachEventOnce: full, it starts at once; else at its time.
func TestI19_BatchHoldsEachEventOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, collect(nil), func(t *testing.T, w *world) {
		var events []string
		for n := range 5 {
			w.at(float64(n))
			events = append(events, w.idOf(map[string]any{"name": "item", "id": fmt.Sprint(n), "data": map[string]int{"n": n}}))
			w.idOf(map[string]any{"name": "item", "id": fmt.Sprint(n), "data": map[string]int{"n": n}}) // again
		}
		w.at(60)
		require.Equal(t, []string{`2 s: {"n":0} {"n":1} {"n":2}`, `13 s: {"n":3} {"n":4}`}, w.seenCalls())
		first, second := w.runsOfEvent(events[0])[0], w.runsOfEvent(events[3])[0]
		require.Equal(t, "Completed", first.Status)
		for n, event := range events {
			want := first
			if n > 2 {
				want = second
			}
			require.Equal(t, []listedRun{want}, w.runsOfEvent(event), "event %d", n)
		}
		w.settled()
	})
}

// TestI19_BatchesOfOneRequest: what is published together is split in its order.
func TestI19_BatchesOfOneRequest(t *testing.T) {
	t.Parallel()
	inWorld(t, collect(nil), func(t *testing.T, w *world) {
		var events []map[string]any
		for n := range 7 {
			events = append(events, map[string]any{"name": "item", "data": map[string]int{"n": n}})
		}
		w.post("/e/key", events, nil)
		w.at(60)
		require.Equal(t, []string{`0 s: {"n":0} {"n":1} {"n":2}`, `0 s: {"n":3} {"n":4} {"n":5}`, `10 s: {"n":6}`}, slices.Sorted(slices.Values(w.seenCalls())))
	})
}

// TestI19_BatchIsOfOneKey, and what is not to be batched starts alone at once.
func TestI19_BatchIsOfOneKey(t *testing.T) {
	t.Parallel()
	inWorld(t, collect(map[string]any{"key": "event.data.of", "if": "event.data.alone != true"}), func(t *testing.T, w *world) {
		for n, data := range []string{`{"of":"a"}`, `{"of":"b"}`, `{"of":"a","n":1}`, `{"alone":true}`, `{"of":"a","n":2}`} {
			w.at(float64(n))
			w.publish("item", data)
		}
		w.at(60)
		require.Equal(t, []string{`3 s: {"alone":true}`, `4 s: {"of":"a"} {"of":"a","n":1} {"of":"a","n":2}`, `11 s: {"of":"b"}`}, w.seenCalls())
	})
}

// TestI19_BatchIsBoundedByItsBytes.
func TestI19_BatchIsBoundedByItsBytes(t *testing.T) {
	t.Parallel()
	inWorld(t, collect(nil), func(t *testing.T, w *world) {
		for range 3 {
			w.publish("item", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
		}
		w.at(60)
		calls := w.seenCalls()
		require.Len(t, calls, 2)
		require.Contains(t, calls[0], "0 s: ")
		require.InDelta(t, 2<<20, len(calls[0]), 1000)
		require.InDelta(t, 1<<20, len(calls[1]), 1000)
	})
}

// TestI14_InvokedFunctionIsNotBatched: who invokes it waits for its own result.
func TestI14_InvokedFunctionIsNotBatched(t *testing.T) {
	t.Parallel()
	functions := collect(nil)
	functions["app-parent"] = function{event: "call", code: func(s *steps) any {
		return s.invoke("call", "app-collect", "1h", map[string]string{})
	}}
	inWorld(t, functions, func(t *testing.T, w *world) {
		w.publish("item", `{}`)
		parent := w.publish("call", `{}`)
		w.at(1)
		require.JSONEq(t, `{"data":"collected"}`, w.output(parent))
	})
}
