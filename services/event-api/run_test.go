package eventapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// start publishes an event of this name and returns the runs that it started.
func (r *rig) start(name string) []stepwell.Run {
	r.t.Helper()
	before := map[stepwell.RunID]bool{}
	for _, run := range r.runs() {
		before[run.ID] = true
	}
	require.Equal(r.t, 200, r.post(`{"name":"`+name+`"}`).Status)
	var started []stepwell.Run
	for _, run := range r.runs() {
		if !before[run.ID] {
			started = append(started, run)
		}
	}
	return started
}

// commit changes a run.
func (r *rig) commit(run stepwell.Run, t stepwell.Transition) {
	r.t.Helper()
	t.Run, t.At = run.ID, time.Now()
	results, err := r.Commit(r.t.Context(), []stepwell.Transition{t})
	require.NoError(r.t, err)
	require.NoError(r.t, results[0].Err)
}

func (r *rig) end(run stepwell.Run, status stepwell.RunStatus, output string) {
	r.t.Helper()
	end := &stepwell.End{Status: status}
	if output != "" {
		end.Output = json.RawMessage(output)
	}
	r.commit(run, stepwell.Transition{End: end})
}

// data is the data of an answer that must be fine.
func (r *rig) data(path string) any {
	r.t.Helper()
	recorder := r.do(http.MethodGet, path, "")
	require.Equal(r.t, 200, recorder.Code, "%s", recorder.Body)
	body := object(r.t, recorder)
	fetched, err := time.Parse(time.RFC3339Nano, body["metadata"].(map[string]any)["fetched_at"].(string))
	require.NoError(r.t, err)
	require.WithinDuration(r.t, time.Now(), fetched, time.Minute)
	return body["data"]
}

func text(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func TestRunAsSDKsKnowIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		function := r.sync("charge", "a")
		begin := time.Now()
		<-time.After(time.Second)
		run := r.start("a")[0]
		want := map[string]any{
			"run_id": run.ID.String(), "run_started_at": text(begin.Add(time.Second)), "function_id": function.ID.String(),
			"function_version": 1.0, "environment_id": stepwell.DefaultEnvironment().String(),
			"event_id": run.Events[0].String(), "status": "Running", "ended_at": nil,
		}
		require.Equal(t, want, r.data("/v1/runs/"+run.ID.String()))
		<-time.After(time.Hour)
		r.end(run, stepwell.RunCompleted, `{"ok": true}`)
		want["status"], want["ended_at"] = "Completed", text(begin.Add(time.Hour+time.Second))
		want["output"] = map[string]any{"ok": true}
		require.Equal(t, want, r.data("/v1/runs/"+run.ID.String()))
		require.Equal(t, []any{want}, r.data("/v1/events/"+run.Events[0].String()+"/runs"))
	})
}

func TestOutputOfARunAsSDKsKnowIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       stepwell.RunStatus
		output, want string
	}{
		{stepwell.RunCompleted, `null`, `null`},
		{stepwell.RunCompleted, `12345678901234567890.10`, `12345678901234567890.10`},
		{stepwell.RunFailed, `{"name":"E","message":"m","data":null}`, `{"error":{"name":"E","message":"m","data":null}}`},
		{stepwell.RunCancelled, ``, ``},
		{stepwell.RunSkipped, ``, ``},
	} {
		r := newRig(t)
		r.sync("charge", "a")
		run := r.start("a")[0]
		r.end(run, test.status, test.output)
		recorder := r.do(http.MethodGet, "/v1/runs/"+run.ID.String(), "")
		var body struct {
			Data struct {
				Status string          `json:"status"`
				Output json.RawMessage `json:"output"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &body), "%s", recorder.Body)
		require.Equal(t, test.status.String(), body.Data.Status)
		require.Equal(t, test.want, string(body.Data.Output))
	}
}

func TestRunsOfAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sync("charge", "a")
	r.sync("mail", "a")
	quiet := r.post(`{"name":"quiet"}`).IDs[0]
	require.Equal(t, []any{}, r.data("/v1/events/"+quiet+"/runs"), "an event that started nothing")
	require.Len(t, r.start("a"), 2)
	event := r.start("a")[0].Events[0]
	list, ok := r.data("/v1/events/" + event.String() + "/runs").([]any)
	require.True(t, ok)
	require.Len(t, list, 2, "its own, and not those of the event before")
	first, second := list[0].(map[string]any), list[1].(map[string]any)
	require.Greater(t, first["run_id"], second["run_id"])
	require.Equal(t, event.String(), first["event_id"])
	require.NotEqual(t, first["function_id"], second["function_id"])
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, problem := range map[string]string{
		"/v1/runs/" + runText:             "run " + runText + ": not found",
		"/api/v1/runs/" + runText:         "run " + runText + ": not found",
		"/v1/events/" + runText + "/runs": "event " + runText + ": not found",
	} {
		requireFailure(t, r.do(http.MethodGet, path, ""), 404, problem)
	}
	for path, problem := range map[string]string{
		"/v1/runs/7":          `run id "7" is not a ULID`,
		"/api/v1/runs/7":      `run id "7" is not a ULID`,
		"/v1/events/7/runs":   `event id "7" is not a ULID`,
		"/v1/events/%20/runs": `event id " " is not a ULID`,
	} {
		requireFailure(t, r.do(http.MethodGet, path, ""), 400, problem)
	}
}

// TestEnvironmentsDoNotSeeEachOther: with another's key, what is there is not found.
func TestEnvironmentsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	r.sync("charge", "a")
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: discovery(t).Run.ULID}, Environment: stepwell.DefaultEnvironment(), Name: "a",
		Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`),
	}
	require.NoError(t, r.runner.Publish(t.Context(), []stepwell.Event{event}))
	run := r.runs()[0]
	for _, path := range []string{
		"/v1/runs/" + run.ID.String(), "/api/v1/runs/" + run.ID.String(), "/v1/events/" + event.ID.String() + "/runs",
	} {
		requireFailure(t, r.do(http.MethodGet, path, ""), 401, "Authentication failed")
		requireFailure(t, r.do(http.MethodGet, path, "", "Authorization", "Bearer "+goodKey), 404, "not found")
	}
	for _, path := range []string{"/api/v1/runs", "/api/v1/functions"} {
		requireFailure(t, r.do(http.MethodGet, path, ""), 401, "Authentication failed")
		recorder := r.do(http.MethodGet, path, "", "Authorization", "Bearer "+goodKey)
		require.Equal(t, []any{}, object(t, recorder)["data"], path)
	}
}

func TestStateThatDoesNotAnswerAReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sync("charge", "a")
	run := r.start("a")[0]
	r.state.fail = fmt.Errorf("dial: %w", stepwell.ErrUnavailable)
	for _, path := range []string{"/v1/events/" + run.Events[0].String() + "/runs", "/api/v1/runs", "/api/v1/functions"} {
		recorder := r.do(http.MethodGet, path, "")
		requireFailure(t, recorder, 503, "temporarily unavailable, try again")
		require.Equal(t, "1", recorder.Header().Get("Retry-After"))
	}
}
