package standalone_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
)

// endpointRun is a request to an endpoint of the test's app, which tells of it by itself.
type endpointRun struct {
	*world

	id    string
	token string
	event json.RawMessage
}

// completeID is the id of the operation that ends a run.
var completeID = string(sdk.HashStepID("complete"))

// request begins a request to the endpoint pay.
func (w *world) request() *endpointRun {
	return &endpointRun{world: w, id: ulid.MustNew(ulid.Now(), nil).String(), event: json.RawMessage(`{
		"name":"inngest/http.request","data":{"domain":"http://app","method":"POST","path":"/pay/7","query_params":"a=1",
		"content_type":"application/json","body":"{\"x\":1}","fn":"pay","ip":""}}`)}
}

// report tells what came of it: the first time as a new run. It returns the answer's status.
func (r *endpointRun) report(ops ...op) int {
	r.t.Helper()
	path := "/v1/checkpoint/" + r.id + "/steps"
	if r.token == "" {
		path = "/v1/checkpoint"
	}
	status, body := r.told(path, ops...)
	if r.token == "" && status == http.StatusOK {
		var answer struct {
			Data struct{ Token string } `json:"data"`
		}
		require.NoError(r.t, json.Unmarshal(body, &answer))
		r.token = answer.Data.Token
	}
	return status
}

func (r *endpointRun) told(path string, ops ...op) (int, []byte) {
	r.t.Helper()
	encoded, err := json.Marshal(map[string]any{
		"run_id": r.id, "request_version": 2, "retries": 1, "event": r.event, "steps": ops,
	})
	require.NoError(r.t, err)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, serverURL+path, strings.NewReader(string(encoded)))
	require.NoError(r.t, err)
	request.Header.Set(sdk.HeaderSDK, "inngest-js:v4.24.0")
	response, err := r.client.Do(request)
	require.NoError(r.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	return response.StatusCode, body
}

// output waits for the endpoint's answer.
func (r *endpointRun) output() (status int, header http.Header, answer string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet,
		serverURL+"/v1/http/runs/"+r.id+"/output?token="+r.token, nil)
	require.NoError(r.t, err)
	response, err := r.client.Do(request)
	require.NoError(r.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	return response.StatusCode, response.Header, string(body)
}

func stepRun(id string, data any) op { return op{Op: "StepRun", ID: id, Name: id, Data: data} }

func runComplete(status int, body string) op {
	return op{Op: "RunComplete", ID: completeID, Data: map[string]any{
		"status": status, "headers": map[string]string{"content-type": "text/plain", "x-shop": "yes"}, "body": body, "version": 2,
	}}
}

// reentered is how the test's app answers calls to its endpoint: with what it says of the steps that are recorded.
func (w *world) reentered(answer func(steps map[string]json.RawMessage) any) *[]*http.Request {
	var requests []*http.Request
	w.app.endpoint = func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		requests = append(requests, r)
		steps := map[string]json.RawMessage{}
		w.get("/v0/runs/"+r.Header.Get(sdk.HeaderRunID)+"/actions", &steps)
		w.app.write(out, http.StatusPartialContent, answer(steps))
	}
	return &requests
}

func TestEndpointThatFinishesByItselfIsNotCalled(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		r := w.request()
		require.Equal(t, 200, r.report(stepRun("a", 1)))
		w.settled() // what is due in a quarter of an hour is no business of the queue yet
		require.Equal(t, 200, r.report(stepRun("b", 2)))
		require.Equal(t, 200, r.report(runComplete(201, "paid")))
		require.Equal(t, "Completed", w.until(r.id, time.Minute).Status)
		status, header, body := r.output()
		require.Equal(t, 201, status)
		require.Equal(t, "yes", header.Get("X-Shop"))
		require.Equal(t, "text/plain", header.Get("Content-Type"))
		require.Equal(t, "paid", body)
		<-time.After(2 * engine.InlineFor)
		w.settled()
		require.Equal(t, 409, r.report(stepRun("c", 3)), "the run has ended")
		require.Equal(t, 200, r.report(stepRun("b", 2)), "a repeated report is no harm")
	})
}

// TestEndpointGoesOnWithTheServer: with a sleep the server takes over, and calls the endpoint as its client did.
func TestEndpointGoesOnWithTheServer(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		requests := w.reentered(func(steps map[string]json.RawMessage) any {
			if _, known := steps["b"]; !known {
				return []op{stepRun("b", 2)}
			}
			return runComplete(202, "late")
		})
		r := w.request()
		require.Equal(t, 200, r.report(stepRun("a", 1), op{Op: "Sleep", ID: "z", Name: "1h"}))
		require.Equal(t, 200, r.report(op{Op: "Sleep", ID: "z", Name: "1h"}), "a repeated report is no harm")
		began := time.Now()
		_, _, running := r.output()
		require.JSONEq(t, `{"status":"running","message":"run did not end within 5 minutes"}`, running)
		require.Equal(t, 5*time.Minute, time.Since(began))
		<-time.After(54 * time.Minute)
		status, _, body := r.output()
		require.Equal(t, 202, status)
		require.Equal(t, "late", body)
		require.GreaterOrEqual(t, time.Since(began), time.Hour)
		require.Len(t, *requests, 2)
		request := (*requests)[0]
		require.Equal(t, "POST /pay/7?a=1", request.Method+" "+request.URL.String())
		require.Equal(t, "application/json", request.Header.Get("Content-Type"))
		require.Equal(t, []string{""}, request.Header[sdk.HeaderSignature])
		require.Empty(t, request.Header.Values(sdk.HeaderStepID))
		sent, _ := io.ReadAll(request.Body)
		require.JSONEq(t, `{"x":1}`, string(sent))
		w.settled()
	})
}

// TestI7_EndpointWhoseAppDiedEnds: a run that its app no longer works on is taken over.
func TestI7_EndpointWhoseAppDiedEnds(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.reentered(func(steps map[string]json.RawMessage) any {
			require.Contains(t, steps, "a")
			return runComplete(200, "after all")
		})
		r := w.request()
		require.Equal(t, 200, r.report(stepRun("a", 1)))
		began := time.Now()
		require.Equal(t, "Completed", w.until(r.id, 2*engine.InlineFor).Status)
		require.GreaterOrEqual(t, time.Since(began), engine.InlineFor)
		w.settled()
	})
}

// TestEndpointStepIsRetriedByTheServer: it alone knows when an attempt was the last.
func TestEndpointStepIsRetriedByTheServer(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		flaky := op{Op: "StepError", ID: "a", Name: "a", Error: map[string]string{"name": "Error", "message": "flaky"}}
		requests := w.reentered(func(steps map[string]json.RawMessage) any {
			if _, failed := steps["a"]; !failed {
				return []op{flaky}
			}
			return runComplete(503, "sorry")
		})
		r := w.request()
		require.Equal(t, 200, r.report(flaky))
		require.Equal(t, "Failed", w.until(r.id, time.Hour).Status)
		require.Len(t, *requests, 2, "the second and last attempt, and one that catches the error")
		status, _, body := r.output()
		require.Equal(t, 503, status)
		require.Equal(t, "sorry", body)
		w.settled()
	})
}

func TestEndpointRunIsStartedOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		r := w.request()
		require.Equal(t, 200, r.report(stepRun("a", 1)))
		r.token = ""
		require.Equal(t, 200, r.report(stepRun("a", 1)), "the app lost the answer")
		r.event = json.RawMessage(strings.Replace(string(r.event), "a=1", "a=2", 1))
		status, body := r.told("/v1/http/runs", stepRun("a", 1))
		require.Equal(t, 409, status)
		require.Contains(t, string(body), "Run already exists")
		token := r.token
		r.token = "x" + token[1:]
		status, _, _ = r.output()
		require.Equal(t, 401, status)
	})
}
