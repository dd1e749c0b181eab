package eventapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestAppAsksForWhatACallLeftOut: the memos and events are as in a call, in the same order and byte for byte.
func TestAppAsksForWhatACallLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sync("charge", "a")
	run := r.start("a")[0]
	require.Equal(t, `{}`, r.do(http.MethodGet, "/v0/runs/"+run.ID.String()+"/actions", "").Body.String())
	r.commit(run, stepwell.Transition{Settles: run.Progress.Open[0].ID, Records: []stepwell.Step{
		{ID: "b", Status: stepwell.StepCompleted, Result: stepwell.Result{JSON: json.RawMessage(`{"<x>": 1.0}`)}},
		{ID: "a", Kind: stepwell.StepSleep, Status: stepwell.StepCompleted, Result: stepwell.Result{
			Kind: stepwell.ResultBare, JSON: json.RawMessage(`null`),
		}},
		{ID: "c", Status: stepwell.StepFailed, Result: stepwell.Result{
			Kind: stepwell.ResultError, JSON: stepwell.Failure{Name: "E", Message: "m"}.JSON(),
		}},
	}})

	actions := r.do(http.MethodGet, "/v0/runs/"+run.ID.String()+"/actions", "")
	require.Equal(t, 200, actions.Code)
	require.Equal(t, "application/json", actions.Header().Get("Content-Type"))
	require.Equal(t, `{"b":{"data":{"<x>": 1.0}},"a":null,"c":{"error":{"name":"E","message":"m","data":null}}}`, //nolint:testifylint // the order matters
		actions.Body.String())

	batch := r.do(http.MethodGet, "/v0/runs/"+run.ID.String()+"/batch", "")
	require.Equal(t, 200, batch.Code)
	require.Equal(t, "application/json", batch.Header().Get("Content-Type"))
	events, err := r.Event(t.Context(), run.Environment, run.Events[0])
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`[{"data":{},"id":%q,"name":"a","ts":%d,"user":{}}]`, run.Events[0], events.Time.UnixMilli()),
		batch.Body.String())
}

// TestOnlyLiveRunsOfTheEnvironmentAreGivenOut: an app that is late is told to stop (I16), a stranger sees nothing (I24).
func TestOnlyLiveRunsOfTheEnvironmentAreGivenOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sync("charge", "a")
	ended := r.start("a")[0]
	r.end(ended, stepwell.RunCancelled, "")
	for _, what := range []string{"/actions", "/batch"} {
		requireFailure(t, r.do(http.MethodGet, "/v0/runs/7"+what, ""), 400, "not a ULID")
		requireFailure(t, r.do(http.MethodGet, "/v0/runs/"+runText+what, ""), 404, "not found")
		requireFailure(t, r.do(http.MethodGet, "/v0/runs/"+ended.ID.String()+what, ""), 410, "the run has ended")
	}
	live := r.start("a")[0]
	stranger := newRigWith(t, keys{})
	stranger.state.Store = r.Store
	for _, what := range []string{"/actions", "/batch"} {
		path := "/v0/runs/" + live.ID.String() + what
		requireFailure(t, stranger.do(http.MethodGet, path, ""), 401, "Authentication failed")
		requireFailure(t, stranger.do(http.MethodGet, path, "", "Authorization", "Bearer "+goodKey), 404, "not found")
	}
}
