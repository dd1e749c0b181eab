package eventapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the service with a store in memory, a runner that starts functions by the event's name only, and an executor
// that a test answers for.
type rig struct {
	*memstore.Store
	t       *testing.T
	service *eventapi.Service
	log     *strings.Builder
	runner  *fakeRunner
	exec    *fakeExecutor
	state   *fakeState
}

// fakeRunner stores what is published, unless it is to fail.
type fakeRunner struct {
	store *memstore.Store
	fail  error
	// requests are the events of each request that reached it.
	requests [][]stepwell.Event
	// signals and cancelled are what it was told; waiting is the run that waits for signals, if any.
	signals   []string
	cancelled []stepwell.RunID
	waiting   stepwell.RunID
	explained map[stepwell.ItemID]stepwell.Waiting
}

func (r *fakeRunner) SendSignal(
	_ context.Context, _ stepwell.EnvironmentID, signal string, data []byte,
) (stepwell.RunID, error) {
	if r.waiting == (stepwell.RunID{}) {
		return stepwell.RunID{}, fmt.Errorf("wait: %w", stepwell.ErrNotFound)
	}
	r.signals = append(r.signals, signal+" "+string(data))
	return r.waiting, r.fail
}

func (r *fakeRunner) CancelRun(ctx context.Context, environment stepwell.EnvironmentID, run stepwell.RunID) error {
	if _, err := r.store.Run(ctx, environment, run); err != nil {
		return err
	}
	r.cancelled = append(r.cancelled, run)
	return r.fail
}

func (r *fakeRunner) Publish(ctx context.Context, events []stepwell.Event) error {
	r.requests = append(r.requests, events)
	if r.fail != nil {
		return r.fail
	}
	catalog, err := r.store.Functions(ctx, events[0].Environment, -1)
	if err != nil {
		return err
	}
	now := time.Now()
	request := store.Ingest{Environment: events[0].Environment, Revision: catalog.Revision, Now: now}
	for _, event := range events {
		in := store.IngestEvent{Event: event}
		for _, function := range catalog.Functions {
			for _, trigger := range function.Triggers {
				if trigger.Event == event.Name {
					in.Starts = append(in.Starts, engine.Start(function, event, now))
				}
			}
		}
		request.Events = append(request.Events, in)
	}
	results, err := r.store.Ingest(ctx, []store.Ingest{request})
	if err != nil {
		return err
	}
	return results[0].Err
}

func (r *fakeRunner) ExplainWaiting(context.Context, []stepwell.Item) (map[stepwell.ItemID]stepwell.Waiting, error) {
	return r.explained, r.fail
}

func (r *fakeRunner) StartEndpointRun(ctx context.Context, run runnerclient.EndpointRun) (bool, error) {
	if r.fail != nil {
		return false, r.fail
	}
	catalog, err := r.store.Functions(ctx, run.Event.Environment, -1)
	if err != nil {
		return false, err
	}
	now := time.Now()
	start := engine.StartEndpoint(run.ID, run.Function, run.Event, run.RequestVersion, now)
	results, err := r.store.Ingest(ctx, []store.Ingest{{
		Environment: run.Event.Environment, Revision: catalog.Revision, Now: now,
		Events: []store.IngestEvent{{Event: run.Event, Starts: []stepwell.RunStart{start}}},
	}})
	if err != nil {
		return false, err
	}
	return results[0].Runs[0][0].Existed, results[0].Err
}

// fakeExecutor answers as a test says.
type fakeExecutor struct {
	endpoints   []executorclient.Report
	report      error
	reports     []executorclient.Checkpoint
	checkpoint  error
	urls        []string
	requestSync func(url string) ([]byte, error)
}

func (e *fakeExecutor) Checkpoint(_ context.Context, report executorclient.Checkpoint) error {
	e.reports = append(e.reports, report)
	return e.checkpoint
}

func (e *fakeExecutor) Report(_ context.Context, report executorclient.Report) error {
	e.endpoints = append(e.endpoints, report)
	return e.report
}

func (e *fakeExecutor) RequestSync(_ context.Context, url string) ([]byte, error) {
	e.urls = append(e.urls, url)
	return e.requestSync(url)
}

// fakeState is the store, unless it is to fail.
type fakeState struct {
	*memstore.Store
	fail error
}

func (s *fakeState) Functions(ctx context.Context, e stepwell.EnvironmentID, known int64) (store.Functions, error) {
	if s.fail != nil {
		return store.Functions{}, s.fail
	}
	return s.Store.Functions(ctx, e, known)
}

func (s *fakeState) SyncApp(ctx context.Context, app stepwell.App, functions []stepwell.Function) (bool, error) {
	if s.fail != nil {
		return false, s.fail
	}
	return s.Store.SyncApp(ctx, app, functions)
}

func (s *fakeState) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	return s.Store.Ingest(ctx, requests)
}

func (s *fakeState) Runs(ctx context.Context, query store.RunQuery) ([]stepwell.Run, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	return s.Store.Runs(ctx, query)
}

// keys know one key, which opens an environment of its own.
type keys struct{}

const goodKey = "good/key"

func otherEnvironment() stepwell.EnvironmentID {
	return stepwell.EnvironmentID{UUID: uuid.MustParse("00000000-0000-4000-b000-000000000001")}
}

func (keys) EventKey(_ context.Context, key string) (stepwell.EnvironmentID, error) {
	if key != goodKey {
		return stepwell.EnvironmentID{}, unauthorized{"Event key not found"}
	}
	return otherEnvironment(), nil
}

func (keys) Authorization(_ context.Context, header string) (stepwell.EnvironmentID, error) {
	if header != "Bearer "+goodKey {
		return stepwell.EnvironmentID{}, unauthorized{"Authentication failed"}
	}
	return otherEnvironment(), nil
}

func (keys) TokenKeys() [][]byte { return [][]byte{[]byte(goodKey)} }

type unauthorized struct{ text string }

func (e unauthorized) Error() string { return e.text }
func (unauthorized) Unwrap() error   { return stepwell.ErrUnauthorized }

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, eventapi.OpenKeys{})
}

func newRigWith(t *testing.T, k eventapi.Keys) *rig {
	t.Helper()
	r := &rig{Store: memstore.New(memstore.DefaultConfig()), t: t, log: &strings.Builder{}, exec: &fakeExecutor{}}
	r.runner, r.state = &fakeRunner{store: r.Store}, &fakeState{Store: r.Store}
	var err error
	r.service, err = eventapi.New(eventapi.Deps{
		State: r.state, Runner: r.runner, Executor: r.exec, Keys: k, ServerKind: sdk.KindDev,
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	require.NoError(t, err)
	return r
}

// sync adds an app of this function, which events of the name start.
func (r *rig) sync(slug, event string) stepwell.Function {
	r.t.Helper()
	return r.syncWith(stepwell.FlowControl{}, slug, event)
}

func (r *rig) syncWith(flow stepwell.FlowControl, slug, event string) stepwell.Function {
	r.t.Helper()
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{
		ID: stepwell.NewAppID(environment, "app of "+slug), Environment: environment, Name: "app of " + slug,
		SDK: "js:v4.24.0", Checksum: slug, SyncedAt: time.Now(),
	}
	_, err := r.SyncApp(r.t.Context(), app, []stepwell.Function{{
		ID: stepwell.NewFunctionID(app.ID, slug), Environment: environment, App: app.ID, Slug: slug, Name: "Function " + slug,
		URL: "http://app/api/inngest?fnId=" + slug, Retries: 4, FlowControl: flow,
		Triggers: []stepwell.Trigger{{Event: event}},
	}})
	require.NoError(r.t, err)
	catalog, err := r.Functions(r.t.Context(), environment, -1)
	require.NoError(r.t, err)
	for _, function := range catalog.Functions {
		if function.Slug == slug {
			return function
		}
	}
	require.FailNow(r.t, "function was not synced")
	return stepwell.Function{}
}

// runs are all runs, newest first.
func (r *rig) runs() []stepwell.Run {
	r.t.Helper()
	runs, err := r.Runs(r.t.Context(), store.RunQuery{Environment: stepwell.DefaultEnvironment(), Limit: store.PageMax})
	require.NoError(r.t, err)
	return runs
}

// do makes a request; header are names and values.
func (r *rig) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	r.service.Handler().ServeHTTP(recorder, request)
	require.Equal(r.t, sdk.KindDev, recorder.Header().Get(sdk.HeaderServerKind), "every answer says what the server is")
	return recorder
}

// answer is an answer to a publish request.
type answer struct {
	IDs    []string `json:"ids"`
	Status int      `json:"status"`
	Error  string   `json:"error"`
}

// post publishes and returns what the answer says; its status is in the body, too.
func (r *rig) post(body string, header ...string) answer {
	r.t.Helper()
	recorder := r.do(http.MethodPost, "/e/key", body, header...)
	require.Equal(r.t, "application/json", recorder.Header().Get("Content-Type"))
	require.Equal(r.t, "*", recorder.Header().Get("Access-Control-Allow-Origin"))
	var a answer
	require.NoError(r.t, json.Unmarshal(recorder.Body.Bytes(), &a), "%s", recorder.Body)
	require.Equal(r.t, recorder.Code, a.Status)
	require.NotNil(r.t, a.IDs, "SDKs need a list")
	return a
}

// took is the one event that the runner was handed.
func (r *rig) took() stepwell.Event {
	r.t.Helper()
	require.Len(r.t, r.runner.requests, 1)
	require.Len(r.t, r.runner.requests[0], 1)
	return r.runner.requests[0][0]
}

// accept publishes one event, which must be taken, and returns what the runner was handed.
func (r *rig) accept(body string, header ...string) stepwell.Event {
	r.t.Helper()
	a := r.post(body, header...)
	require.Equal(r.t, answer{IDs: a.IDs, Status: 200}, a)
	require.Len(r.t, a.IDs, 1)
	event := r.took()
	require.Equal(r.t, a.IDs[0], event.ID.String())
	return event
}

// refuse publishes what must be refused, and returns the answer's error. Nothing reaches the runner (I4).
func (r *rig) refuse(status int, body string, header ...string) string {
	r.t.Helper()
	a := r.post(body, header...)
	require.Equal(r.t, status, a.Status, a.Error)
	require.Empty(r.t, a.IDs)
	require.Empty(r.t, r.runner.requests)
	return a.Error
}

// object decodes an answer.
func object(t *testing.T, recorder *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &decoded), "%s", recorder.Body)
	return decoded
}

// requireFailure checks an answer in the form that SDKs read.
func requireFailure(t *testing.T, recorder *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	requireFailureWith(t, recorder, status, text, nil)
}

// requireFailureWith is requireFailure for an answer that says what it is about.
func requireFailureWith(t *testing.T, recorder *httptest.ResponseRecorder, status int, text string, data any) {
	t.Helper()
	body := object(t, recorder)
	require.Equal(t, status, recorder.Code, body)
	require.InDelta(t, status, body["status"], 0)
	require.Contains(t, body["error"], text)
	require.Contains(t, body, "data")
	require.Equal(t, data, body["data"])
}
