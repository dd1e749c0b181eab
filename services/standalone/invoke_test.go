package standalone_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// invoked is what came of an invocation.
type invoked struct {
	Data  json.RawMessage `json:"data,omitempty"`
	Error json.RawMessage `json:"error,omitempty"`
}

// invoke invokes a function and returns what came of it.
func (s *steps) invoke(id, function, timeout string, data any) invoked {
	if result, known := s.Steps[id]; known {
		return invoked{result.Data, result.Error}
	}
	panic(answer{http.StatusPartialContent, []op{{Op: "InvokeFunction", ID: id, Name: id, Opts: map[string]any{
		"function_id": function, "payload": map[string]any{"data": data}, "timeout": timeout,
	}}}})
}

// fail fails the function's code for good.
func fail(name, message string) any {
	panic(answer{http.StatusBadRequest, map[string]string{"name": name, "message": message}})
}

// family is a parent that invokes a function, and children.
func family(child, timeout string) map[string]function {
	return map[string]function{
		"app-parent": {event: "order/placed", code: func(s *steps) any {
			return s.invoke("call", child, timeout, map[string]any{"amount": 42})
		}},
		"app-child": {code: func(s *steps) any {
			s.sleep("nap", "1h")
			var data map[string]any
			_ = json.Unmarshal(s.Event.Data, &data)
			return data["amount"]
		}},
		"app-failing": {code: func(*steps) any { return fail("Declined", "no money") }},
	}
}

func TestI14_InvokerGoesOnOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ child, timeout, want string }{
		"with the result":        {"app-child", "2h", `{"data":42}`},
		"with the failure":       {"app-failing", "2h", `{"error":{"name":"Declined","message":"no money","data":null}}`},
		"when it took too long":  {"app-child", "1m", `{"error":{"name":"InngestInvokeTimeoutError","message":"Timed out waiting for invoked function to complete","data":null}}`},
		"when there is no child": {"app-nobody", "2h", `{"error":{"name":"Error","message":"could not find function with ID: app-nobody","data":null}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, family(test.child, test.timeout), func(t *testing.T, w *world) {
				parent := w.publish("order/placed", `{}`)
				<-time.After(3 * time.Hour)
				require.JSONEq(t, test.want, w.output(parent))
				require.Len(t, w.app.callsOf(parent), 2)
			})
		})
	}
}

func TestI14_InvokerGoesOnWhenItsChildIsCancelled(t *testing.T) {
	t.Parallel()
	inWorld(t, family("app-child", "2h"), func(t *testing.T, w *world) {
		parent := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		require.Empty(t, w.output(parent))
		child := w.runOf("app-child")
		require.Equal(t, http.StatusOK, w.delete("/v1/runs/"+child))
		require.Equal(t, http.StatusConflict, w.delete("/v1/runs/"+child), "I16")
		<-time.After(time.Minute)
		require.JSONEq(t, `{"error":{"name":"Error","message":"The invoked function was cancelled","data":null}}`, w.output(parent))
	})
}

// TestI6_FailedRunStartsItsHandlerOnce: the event that tells of it holds all that a handler may need.
func TestI6_FailedRunStartsItsHandlerOnce(t *testing.T) {
	t.Parallel()
	functions := family("", "")
	functions["app-fails"] = function{event: "order/placed", code: func(*steps) any { return fail("Declined", "no money") }}
	functions["app-fails-failure"] = function{
		event: "inngest/function.failed", expression: "event.data.function_id == 'app-fails'",
		code: func(s *steps) any { return s.Event.Data },
	}
	delete(functions, "app-parent")
	inWorld(t, functions, func(t *testing.T, w *world) {
		run := w.publish("order/placed", `{"n":1}`)
		<-time.After(time.Minute)
		var told struct {
			FunctionID string          `json:"function_id"`
			RunID      string          `json:"run_id"`
			Error      json.RawMessage `json:"error"`
			Event      struct {
				Name string          `json:"name"`
				Data json.RawMessage `json:"data"`
			} `json:"event"`
			Internal struct {
				Status string `json:"status"`
			} `json:"_inngest"`
		}
		require.NoError(t, json.Unmarshal([]byte(w.output(w.runOf("app-fails-failure"))), &told))
		require.Equal(t, "app-fails", told.FunctionID)
		require.Equal(t, run, told.RunID)
		require.JSONEq(t, `{"name":"Declined","message":"no money","data":null}`, string(told.Error))
		require.Equal(t, "order/placed", told.Event.Name)
		require.JSONEq(t, `{"n":1}`, string(told.Event.Data))
		require.Equal(t, "Failed", told.Internal.Status)
	})
}

// TestI6_RunThatWaitsIsTold: of a run that ended after it began to wait.
func TestI6_RunThatWaitsIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-watch": {event: "watch", code: func(s *steps) any {
			return s.await("end", "inngest/function.finished", waitOptions{"async.data.function_id == 'app-short'", "1d"})
		}},
		"app-short": {event: "order/placed", code: func(*steps) any { return "done" }},
	}, func(t *testing.T, w *world) {
		w.publish("order/placed", `{}`)
		<-time.After(time.Minute) // else the look-back of the wait finds the end of that run
		watch := w.publish("watch", `{}`)
		<-time.After(time.Minute)
		require.Empty(t, w.output(watch))
		short := w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		var told struct {
			RunID  string `json:"run_id"`
			Result string `json:"result"`
		}
		require.NoError(t, json.Unmarshal([]byte(w.output(watch)), &told))
		require.Equal(t, short, told.RunID)
		require.Equal(t, "done", told.Result)
	})
}

// TestI3_FunctionWithAnIdempotencyKeyStartsOnce: for each value of the key in 24 hours. Who invokes it is told.
func TestI3_FunctionWithAnIdempotencyKeyStartsOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-mail": {event: "order/placed", idempotency: "event.data.to", code: func(s *steps) any { return s.Event.Data }},
		"app-parent": {event: "invoke", code: func(s *steps) any {
			return s.invoke("call", "app-mail", "1h", map[string]string{"to": "ada"})
		}},
	}, func(t *testing.T, w *world) {
		first := w.publish("order/placed", `{"to":"ada","n":1}`)
		require.Equal(t, first, w.publish("order/placed", `{"to":"ada","n":2}`))
		require.NotEqual(t, first, w.publish("order/placed", `{"to":"bob"}`))
		<-time.After(time.Minute)
		require.JSONEq(t, `{"to":"ada","n":1}`, w.output(first))
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Minute)
		require.JSONEq(t, `{"error":{"name":"Error","message":"invoked function is rate limited","data":null}}`, w.output(parent))
		<-time.After(24 * time.Hour)
		require.NotEqual(t, first, w.publish("order/placed", `{"to":"ada"}`))
	})
}

// TestI14_InvokerIsToldThatAKeyCannotBeEvaluated: nothing starts.
func TestI14_InvokerIsToldThatAKeyCannotBeEvaluated(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{
		"app-mail": {idempotency: "event.data.list[3]", code: func(*steps) any { return "sent" }},
		"app-parent": {event: "invoke", code: func(s *steps) any {
			return s.invoke("call", "app-mail", "1h", map[string]any{"list": []int{}})
		}},
	}, func(t *testing.T, w *world) {
		parent := w.publish("invoke", `{}`)
		<-time.After(time.Minute)
		require.Contains(t, w.output(parent), "invoked function was skipped: idempotency cannot be evaluated")
	})
}
