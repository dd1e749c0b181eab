package eventapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestFunctionsAreListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Equal(t, []any{}, r.data("/api/v1/functions"))
	r.register(registrationOf(
		`,"name":"B","triggers":[{"event":"a/*","expression":"event.data.n > 1"},{"cron":"0 9 * * *"}],"retries":2`, ``))
	want := []any{
		map[string]any{
			"id": "shop-0", "name": "B", "app": "shop", "sdk": "js:v4.24.0", "url": "http://app/api/inngest?fnId=shop-0",
			"version": 1.0, "retries": 2.0, "triggers": []any{
				map[string]any{"event": "a/*", "expression": "event.data.n > 1"}, map[string]any{"cron": "0 9 * * *"},
			},
		},
		map[string]any{
			"id": "shop-1", "name": "F", "app": "shop", "sdk": "js:v4.24.0", "url": "http://app/api/inngest?fnId=shop-1",
			"version": 1.0, "retries": 4.0, "triggers": []any{},
		},
	}
	require.Equal(t, want, r.data("/api/v1/functions"))
	require.Equal(t, want, r.data("/api/v1/functions"), "also when nothing changed since")
	r.register(registrationOf(``))
	list, ok := r.data("/api/v1/functions").([]any)
	require.True(t, ok)
	require.Len(t, list, 1, "an archived function is not listed")
	require.InDelta(t, 2, list[0].(map[string]any)["version"], 0)
}

// ids are the ids of listed runs.
func ids(t *testing.T, list any) []string {
	t.Helper()
	runs, ok := list.([]any)
	require.True(t, ok)
	texts := []string{}
	for _, run := range runs {
		texts = append(texts, run.(map[string]any)["id"].(string))
	}
	return texts
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sync("charge", "a")
		r.sync("mail", "b")
		require.Equal(t, []any{}, r.data("/api/v1/runs"))
		var all []string
		for range 25 {
			<-time.After(time.Second)
			all = append([]string{r.start("a")[0].ID.String()}, all...)
		}
		<-time.After(time.Second)
		mail := r.start("b")[0]
		all = append([]string{mail.ID.String()}, all...)
		require.Equal(t, all[:20], ids(t, r.data("/api/v1/runs")), "a page has 20")
		require.Equal(t, all, ids(t, r.data("/api/v1/runs?limit=100")))
		require.Equal(t, all[:1], ids(t, r.data("/api/v1/runs?limit=1")))
		require.Equal(t, all[20:], ids(t, r.data("/api/v1/runs?before="+all[19])))
		require.Equal(t, all[1:], ids(t, r.data("/api/v1/runs?limit=100&function=charge")))
		require.Equal(t, all[:1], ids(t, r.data("/api/v1/runs?function=mail")))

		r.end(mail, stepwell.RunFailed, `{"name":"E","message":"m","data":null}`)
		require.Equal(t, all[:1], ids(t, r.data("/api/v1/runs?status=Failed")))
		require.Equal(t, all[1:], ids(t, r.data("/api/v1/runs?limit=100&status=Running")))
		require.Equal(t, all, ids(t, r.data("/api/v1/runs?limit=100&status=Running&status=Failed")))
		require.Empty(t, ids(t, r.data("/api/v1/runs?status=Completed")))
		require.Empty(t, ids(t, r.data("/api/v1/runs?status=Failed&function=charge")))

		r.register(registrationOf(``)) // leaves other apps alone
		require.Equal(t, all[:1], ids(t, r.data("/api/v1/runs?function=mail")))
	})
}

// TestRunsOfAnArchivedFunctionAreListed: its history is not gone with it.
func TestRunsOfAnArchivedFunctionAreListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(registrationOf(`,"triggers":[{"event":"a"}]`))
	run := r.start("a")[0]
	r.register(registrationOf())
	require.Empty(t, r.slugs(stepwell.DefaultEnvironment()))
	list, ok := r.data("/api/v1/runs?function=shop-0").([]any)
	require.True(t, ok)
	require.Len(t, list, 1)
	require.Equal(t, run.ID.String(), list[0].(map[string]any)["id"])
	require.Equal(t, "shop-0", list[0].(map[string]any)["function"])
}

func TestRunQueryThatIsWrongIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for query, problem := range map[string]string{
		"limit=0":                   `limit is "0", it must be 1 to 100`,
		"limit=101":                 `limit is "101", it must be 1 to 100`,
		"limit=-1":                  `limit is "-1", it must be 1 to 100`,
		"limit=ten":                 `limit is "ten", it must be 1 to 100`,
		"before=7":                  `run id "7" is not a ULID`,
		"status=failed":             `run status "failed" is unknown: use Running`,
		"status=Failed&status=Lost": `run status "Lost" is unknown`,
		"function=nobody":           `function "nobody" is unknown`,
	} {
		requireFailure(t, r.do(http.MethodGet, "/api/v1/runs?"+query, ""), 400, problem)
	}
}

// TestRunIsShownWithAllThatHappened: its steps, attempts and open items.
func TestRunIsShownWithAllThatHappened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sync("charge", "a")
		run := r.start("a")[0]
		begin := time.Now()
		<-time.After(time.Second)
		now := time.Now()
		nap := stepwell.NewStepItem(run, stepwell.ItemSleep, "nap", now.Add(time.Hour))
		nap.Attempt, nap.Forgiven = 3, 1
		r.commit(run, stepwell.Transition{
			Settles: run.Progress.Open[0].ID,
			Attempt: &stepwell.Attempt{
				Item: run.Progress.Open[0].ID, Step: "bad", StepName: "Bad", Number: 0, Status: stepwell.AttemptFailed,
				StartedAt: begin, EndedAt: now, HTTPStatus: 206, Error: json.RawMessage(`{"name":"E","message":"m"}`),
			},
			Records: []stepwell.Step{
				{
					ID: "good", Name: "Good", Status: stepwell.StepCompleted,
					Result:   stepwell.Result{JSON: json.RawMessage(`{"x": 1}`)},
					OpenedAt: begin, StartedAt: begin, EndedAt: now,
				},
				{
					ID: "bad", Name: "Bad", Status: stepwell.StepFailed, OpenedAt: begin, EndedAt: now,
					Result: stepwell.Result{Kind: stepwell.ResultError, JSON: json.RawMessage(`{"name":"E","message":"m"}`)},
				},
			},
			Opens: []stepwell.Opening{{
				Step: stepwell.Step{
					ID: "nap", Name: "Nap", Kind: stepwell.StepSleep, OpenedAt: now, StartedAt: now, DueAt: now.Add(time.Hour),
				},
				Item: nap,
			}},
		})
		failure := map[string]any{"name": "E", "message": "m"}
		want := map[string]any{
			"id": run.ID.String(), "status": "Running", "function": "charge", "event_name": "a",
			"event_ids": []any{run.Events[0].String()}, "created_at": text(begin), "started_at": text(begin), "ended_at": nil,
			"open": []any{map[string]any{"kind": "sleep", "step": "nap", "attempt": 2.0, "due_at": text(now.Add(time.Hour))}},
			"steps": []any{
				map[string]any{
					"id": "nap", "name": "Nap", "kind": "sleep", "status": "Open", "opened_at": text(now),
					"started_at": text(now), "ended_at": nil, "due_at": text(now.Add(time.Hour)),
				},
				map[string]any{
					"id": "good", "name": "Good", "kind": "run", "status": "Completed", "opened_at": text(begin),
					"started_at": text(begin), "ended_at": text(now), "due_at": nil, "output": map[string]any{"x": 1.0},
				},
				map[string]any{
					"id": "bad", "name": "Bad", "kind": "run", "status": "Failed", "opened_at": text(begin), "started_at": nil,
					"ended_at": text(now), "due_at": nil, "error": failure,
				},
			},
			"attempts": []any{map[string]any{
				"step": "bad", "name": "Bad", "number": 0.0, "status": "Failed", "started_at": text(begin),
				"ended_at": text(now), "next_at": nil, "http_status": 206.0, "error": failure,
			}},
		}
		require.Equal(t, want, r.data("/api/v1/runs/"+run.ID.String()))
	})
}

func TestErrorOfAFailedRunIsNoOutput(t *testing.T) {
	t.Parallel()
	for status, member := range map[stepwell.RunStatus]string{
		stepwell.RunFailed: "error", stepwell.RunCompleted: "output",
	} {
		r := newRig(t)
		r.sync("charge", "a")
		run := r.start("a")[0]
		r.end(run, status, `{"name":"E"}`)
		shown, ok := r.data("/api/v1/runs/" + run.ID.String()).(map[string]any)
		require.True(t, ok)
		require.Equal(t, map[string]any{"name": "E"}, shown[member])
		both := 0
		for _, name := range []string{"error", "output"} {
			if _, has := shown[name]; has {
				both++
			}
		}
		require.Equal(t, 1, both)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	for _, path := range []string{"/health", "/ready"} {
		recorder := r.do(http.MethodGet, path, "")
		require.Equal(t, 200, recorder.Code)
		require.JSONEq(t, `{"status":200,"message":"OK"}`, recorder.Body.String())
	}
	r.state.fail = errors.New("secret")
	require.Equal(t, 200, r.do(http.MethodGet, "/health", "").Code, "it lives")
	recorder := r.do(http.MethodGet, "/ready", "")
	require.Equal(t, 503, recorder.Code)
	require.JSONEq(t, `{"status":503,"message":"the state service does not answer"}`, recorder.Body.String())
}

func TestWhatIsNoRouteIsNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, request := range [][2]string{
		{"GET", "/"},
		{"GET", "/e/key"},
		{"POST", "/e/"},
		{"POST", "/e/a/b"},
		{"PUT", "/v1/runs/" + runText},
		{"POST", "/v1/checkpoint/" + runText},
		{"GET", "/fn/register"},
		{"POST", "/health"},
	} {
		recorder := r.do(request[0], request[1], "")
		require.Equal(t, 404, recorder.Code)
		require.Equal(t, map[string]any{"error": "there is nothing at " + request[0] + " " + request[1], "status": 404.0},
			object(t, recorder))
	}
}
