package standalone_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// app is a program of a customer's, small enough to read: functions written against steps, served by the SDK protocol.
type app struct {
	// endpoint answers requests to all paths but the SDK's own; optional.
	endpoint http.HandlerFunc

	mu        sync.Mutex
	functions map[string]function
	calls     []call
}

// serve makes these the functions of the app, as a deployment does. The server knows them from the next sync on.
func (a *app) serve(functions map[string]function) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.functions = functions
}

// served are the functions of the app.
func (a *app) served() map[string]function {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.functions
}

// function is a durable function: its code, and what its registration says of it.
type function struct {
	event string
	// cron is instead of event.
	cron string
	// expression is the trigger's.
	expression string
	retries    int
	cancel     []map[string]string
	// idempotency is an expression.
	idempotency string
	rateLimit   map[string]any
	timeouts    map[string]string
	debounce    map[string]string
	batch       map[string]any
	// flow are other options of flow control, as SDKs send them.
	flow map[string]any
	code func(s *steps) any
}

// call is one call that the app got.
type call struct {
	run     string
	target  string
	attempt int
	at      time.Time
	// traceparent is the trace that the app was told of.
	traceparent string
	// events are the data of all its events.
	events []string
}

// callBody is what the app reads of a call.
type callBody struct {
	Ctx struct {
		Attempt     int    `json:"attempt"`
		AttemptsMax int    `json:"max_attempts"`
		RunID       string `json:"run_id"`
		PlanOnly    bool   `json:"disable_immediate_execution"`
	} `json:"ctx"`
	Event  eventBody   `json:"event"`
	Events []eventBody `json:"events"`
	Steps  map[string]*struct {
		Data  json.RawMessage `json:"data"`
		Error json.RawMessage `json:"error"`
	} `json:"steps"`
}

type eventBody struct {
	Data json.RawMessage `json:"data"`
}

// answer is how the app ends a call: by panicking with it, wherever its code is.
type answer struct {
	status int
	body   any
}

// op is an operation of the protocol.
type op struct {
	Op    string `json:"op"`
	ID    string `json:"id"`
	Name  string `json:"name"`
	Data  any    `json:"data,omitempty"`
	Error any    `json:"error,omitempty"`
	Opts  any    `json:"opts,omitempty"`
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(sdk.HeaderSDK, "test:v1")
	w.Header().Set(sdk.HeaderRequestVersion, "2")
	if a.endpoint != nil && r.URL.Path != "/api/inngest" {
		a.endpoint(w, r)
		return
	}
	if r.Method == http.MethodPut {
		w.Header().Set(sdk.HeaderSyncKind, sdk.SyncInBand)
		a.write(w, http.StatusOK, a.registration())
		return
	}
	var body callBody
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		a.write(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
		return
	}
	s := &steps{callBody: body, target: r.URL.Query().Get("stepId")}
	a.mu.Lock()
	made := call{body.Ctx.RunID, s.target, body.Ctx.Attempt, time.Now(), r.Header.Get("Traceparent"), nil}
	for _, event := range body.Events {
		made.events = append(made.events, string(event.Data))
	}
	a.calls = append(a.calls, made)
	a.mu.Unlock()
	result := run(a.served()[r.URL.Query().Get("fnId")].code, s)
	a.write(w, result.status, result.body)
}

func (a *app) write(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// run runs the code until it has something to tell.
func run(code func(*steps) any, s *steps) (result answer) {
	defer func() {
		if told, ok := recover().(answer); ok {
			result = told
		}
	}()
	return answer{http.StatusOK, code(s)}
}

func (a *app) registration() map[string]any {
	var functions []map[string]any
	for id, f := range a.served() {
		triggers := []map[string]any{}
		if f.event != "" {
			triggers = append(triggers, map[string]any{"event": f.event, "expression": f.expression})
		}
		if f.cron != "" {
			triggers = append(triggers, map[string]any{"cron": f.cron})
		}
		registered := map[string]any{
			"id": id, "name": id, "triggers": triggers, "cancel": f.cancel, "idempotency": f.idempotency,
			"rateLimit": f.rateLimit, "timeouts": f.timeouts, "debounce": f.debounce, "batchEvents": f.batch,
			"steps": map[string]any{"step": map[string]any{
				"id": "step", "name": "step", "retries": map[string]int{"attempts": f.retries},
				"runtime": map[string]string{"type": "http", "url": appURL + "?fnId=" + id + "&stepId=step"},
			}},
		}
		maps.Copy(registered, f.flow)
		functions = append(functions, registered)
	}
	return map[string]any{"app_id": "app", "sdk": "test:v1", "url": appURL, "functions": functions}
}

// callsOf are the calls of one run.
func (a *app) callsOf(run string) []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.calls), func(c call) bool { return c.run != run })
}

// steps is what a function's code is written against.
type steps struct {
	callBody
	target string
}

// memo is the result of a step that ended before; nil if it did not.
func (s *steps) memo(id string) (json.RawMessage, bool) {
	result, known := s.Steps[id]
	if result == nil {
		return json.RawMessage("null"), known // a sleep yields null
	}
	return result.Data, known
}

// run runs a step, once.
func (s *steps) run(id string, code func() (any, error)) json.RawMessage {
	if data, known := s.memo(id); known {
		return data
	}
	if s.target != "step" && s.target != id {
		panic(answer{http.StatusInternalServerError, map[string]string{"message": "could not find step " + s.target}})
	}
	if s.target == "step" && s.Ctx.PlanOnly {
		panic(answer{http.StatusPartialContent, []op{{Op: "StepPlanned", ID: id, Name: id}}})
	}
	panic(answer{http.StatusPartialContent, []op{s.execute(id, code)}})
}

func (s *steps) execute(id string, code func() (any, error)) op {
	data, err := code()
	switch {
	case err == nil:
		return op{Op: "StepRun", ID: id, Name: id, Data: data}
	case s.Ctx.Attempt+1 < s.Ctx.AttemptsMax:
		return op{Op: "StepError", ID: id, Name: id, Error: map[string]string{"name": "Error", "message": err.Error()}}
	}
	return op{Op: "StepFailed", ID: id, Name: id, Error: map[string]string{"name": "Error", "message": err.Error()}}
}

// sleep sleeps for a duration of the protocol.
func (s *steps) sleep(id, duration string) {
	if _, known := s.memo(id); !known {
		panic(answer{http.StatusPartialContent, []op{{Op: "Sleep", ID: id, Name: duration}}})
	}
}

// parallel runs steps side by side and returns their results.
func (s *steps) parallel(count int, code func(i int) any) []json.RawMessage {
	results := make([]json.RawMessage, count)
	var planned []op
	for i := range results {
		id := fmt.Sprintf("p%d", i)
		data, known := s.memo(id)
		switch {
		case known:
			results[i] = data
		case s.target == id:
			panic(answer{http.StatusPartialContent, []op{s.execute(id, func() (any, error) { return code(i), nil })}})
		default:
			planned = append(planned, op{Op: "StepPlanned", ID: id, Name: id})
		}
	}
	if len(planned) > 0 {
		panic(answer{http.StatusPartialContent, planned})
	}
	return results
}
