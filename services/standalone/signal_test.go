package standalone_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// signal waits for a signal and returns what it carries; null after a time-out.
func (s *steps) signal(id, name, timeout, conflict string) json.RawMessage {
	if data, known := s.memo(id); known {
		return data
	}
	panic(answer{http.StatusPartialContent, []op{{Op: "WaitForSignal", ID: id, Name: name, Opts: map[string]any{
		"signal": name, "timeout": timeout, "conflict": conflict,
	}}}})
}

// sendSignal sends a signal and returns the status and the run that got it.
func (w *world) sendSignal(body string) (int, string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, serverURL+"/v1/signals", bytes.NewReader([]byte(body)))
	require.NoError(w.t, err)
	response, err := w.client.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Run string `json:"run_id"`
		} `json:"data"`
	}
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&answer))
	return response.StatusCode, answer.Data.Run
}

// delete asks for a deletion and returns the status.
func (w *world) delete(path string) int {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodDelete, serverURL+path, nil)
	require.NoError(w.t, err)
	response, err := w.client.Do(request)
	require.NoError(w.t, err)
	require.NoError(w.t, response.Body.Close())
	return response.StatusCode
}

// runOf is the latest run of a function.
func (w *world) runOf(slug string) string {
	w.t.Helper()
	synctest.Wait()
	var answer struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	w.get("/api/v1/runs?function="+slug, &answer)
	require.NotEmpty(w.t, answer.Data, "runs of %s", slug)
	return answer.Data[0].ID
}

func awaitSignals(conflict string) map[string]function {
	return map[string]function{"app-order": {event: "order/placed", code: func(s *steps) any {
		return s.signal("approved", "approve", "1h", conflict)
	}}}
}

func TestSignalResumesTheRunThatWaits(t *testing.T) {
	t.Parallel()
	inWorld(t, awaitSignals("fail"), func(t *testing.T, w *world) {
		status, _ := w.sendSignal(`{"signal":"approve","data":{"by":"ada"}}`)
		require.Equal(t, http.StatusNotFound, status)
		run := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		status, got := w.sendSignal(`{"signal":"approve","data":{"by":"ada"}}`)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, run, got)
		<-time.After(time.Minute)
		require.JSONEq(t, `{"signal":"approve","data":{"by":"ada"}}`, w.output(run))
		status, _ = w.sendSignal(`{"signal":"approve"}`)
		require.Equal(t, http.StatusNotFound, status)
		for _, bad := range []string{`{`, `{}`, `{"signal":""}`} {
			status, _ = w.sendSignal(bad)
			require.Equal(t, http.StatusBadRequest, status, bad)
		}
		late := w.publish("order/placed", `{}`)
		<-time.After(2 * time.Hour)
		require.JSONEq(t, `null`, w.output(late))
	})
}

func TestSignalIsForOneRun(t *testing.T) {
	t.Parallel()
	inWorld(t, awaitSignals("fail"), func(t *testing.T, w *world) {
		first := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		second := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		require.Equal(t, "Failed", w.run(second).Status)
		require.Equal(t, "Running", w.run(first).Status)
		_, got := w.sendSignal(`{"signal":"approve"}`)
		require.Equal(t, first, got)
	})
}

func TestSignalGoesToTheRunThatReplacedAnother(t *testing.T) {
	t.Parallel()
	inWorld(t, awaitSignals("replace"), func(t *testing.T, w *world) {
		first := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		second := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		_, got := w.sendSignal(`{"signal":"approve","data":1}`)
		require.Equal(t, second, got)
		<-time.After(2 * time.Hour)
		require.JSONEq(t, `null`, w.output(first))
		require.JSONEq(t, `{"signal":"approve","data":1}`, w.output(second))
	})
}

// cancellable sleeps for a day unless a refund of its order comes.
func cancellable() map[string]function {
	return map[string]function{
		"app-order": {
			event: "order/placed", cancel: []map[string]string{{"event": "order/refunded", "if": "async.data.id == event.data.id", "timeout": "12h"}},
			code: func(s *steps) any {
				s.sleep("nap", "1d")
				return "slept"
			},
		},
		"app-log": {event: "inngest/function.cancelled", code: func(s *steps) any { return s.Event.Data }},
	}
}

func TestI16_EventCancelsTheRunThatItFits(t *testing.T) {
	t.Parallel()
	inWorld(t, cancellable(), func(t *testing.T, w *world) {
		w.publish("order/refunded", `{"id":1}`)
		one, two := w.publish("order/placed", `{"id":1}`), w.publish("order/placed", `{"id":2}`)
		<-time.After(time.Hour)
		require.Equal(t, "Running", w.run(one).Status, "what was before it does not cancel it")
		w.publish("order/refunded", `{"id":1}`)
		<-time.After(time.Minute)
		require.Equal(t, "Cancelled", w.run(one).Status)
		require.Equal(t, "Running", w.run(two).Status)
		var told struct {
			RunID string `json:"run_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(w.output(w.runOf("app-log"))), &told))
		require.Equal(t, one, told.RunID)

		<-time.After(12 * time.Hour)
		w.publish("order/refunded", `{"id":2}`)
		<-time.After(24 * time.Hour)
		require.Equal(t, "Completed", w.run(two).Status, "it no longer listened")
	})
}

func TestI16_NothingOfACancelledRunGoesOn(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"app-order": {event: "order/placed", code: func(s *steps) any {
		s.run("slow", func() (any, error) {
			<-time.After(time.Hour)
			return 1, nil
		})
		s.run("never", func() (any, error) { return 2, nil })
		return "done"
	}}}, func(t *testing.T, w *world) {
		run := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		require.Equal(t, http.StatusOK, w.delete("/v1/runs/"+run))
		<-time.After(2 * time.Hour)
		require.Equal(t, "Cancelled", w.run(run).Status)
		require.Len(t, w.app.callsOf(run), 1)
		require.Equal(t, http.StatusNotFound, w.delete("/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV"))
		require.Equal(t, http.StatusBadRequest, w.delete("/v1/runs/x"))
	})
}

// TestI16_MissingMembersAreNullForWhatCancels: on both sides, by the rules for such conditions.
func TestI16_MissingMembersAreNullForWhatCancels(t *testing.T) {
	t.Parallel()
	inWorld(t, cancellable(), func(t *testing.T, w *world) {
		run := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		w.publish("order/refunded", `{}`)
		<-time.After(time.Minute)
		require.Equal(t, "Cancelled", w.run(run).Status)
	})
}
