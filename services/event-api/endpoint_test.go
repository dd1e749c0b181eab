package eventapi_test

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// endpointBody is a report of a request to an endpoint, of a run that begins now.
func endpointBody(run string) string {
	return `{"run_id":"` + run + `","request_version":2,"retries":-1,"steps":[{"op":"StepRun","id":"a","data":1}],` +
		`"event":{"name":"inngest/http.request","data":{"domain":"https://shop.example","method":"GET","path":"/pay/7","body":""}}}`
}

func newRun() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

func TestEndpointRunIsStartedWithItsFunction(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	run := newRun()
	body := endpointBody(run)
	for _, path := range []string{"/v1/checkpoint", "/v1/http/runs"} {
		requireFailure(t, r.do(http.MethodPost, path, body), 401, "Authentication failed")
		recorder := r.do(http.MethodPost, path, body, "Authorization", "Bearer "+goodKey, sdk.HeaderSDK, "inngest-js:v4.24.0")
		require.Equal(t, 200, recorder.Code, recorder.Body)
		data := object(t, recorder)["data"].(map[string]any)
		require.Equal(t, run, data["run_id"])
		require.NotEmpty(t, data["token"])
		require.NotEmpty(t, data["realtime_token"])
	}
	require.Len(t, r.exec.endpoints, 2)
	require.Equal(t, otherEnvironment(), r.exec.endpoints[0].Environment)
	require.JSONEq(t, `[{"op":"StepRun","id":"a","data":1}]`, string(r.exec.endpoints[0].Ops))

	catalog, err := r.Functions(t.Context(), otherEnvironment(), -1)
	require.NoError(t, err)
	require.Equal(t, "https://shop.example", catalog.Apps[0].Name)
	require.Equal(t, "js:v4.24.0", catalog.Apps[0].SDK)
	require.Len(t, catalog.Functions, 1)
	require.Equal(t, "https://shop.example-GET /pay/7", catalog.Functions[0].Slug)
	require.Equal(t, stepwell.RetriesDefault, catalog.Functions[0].Retries)
	require.True(t, catalog.Functions[0].Endpoint())

	// Another endpoint joins it.
	other := strings.Replace(endpointBody(newRun()), "/pay/7", "/ship", 1)
	require.Equal(t, 200, r.do(http.MethodPost, "/v1/checkpoint", other, "Authorization", "Bearer "+goodKey).Code)
	catalog, err = r.Functions(t.Context(), otherEnvironment(), -1)
	require.NoError(t, err)
	require.Len(t, catalog.Functions, 2)
	for _, function := range catalog.Functions {
		require.Zero(t, function.ArchivedAt)
		require.Equal(t, 1, function.Version)
	}
	changed := strings.Replace(body, `"body":""`, `"body":"x"`, 1)
	requireFailure(t, r.do(http.MethodPost, "/v1/checkpoint", changed, "Authorization", "Bearer "+goodKey), 409, "Run already exists")
}

func TestEndpointReportThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := newRun()
	old := ulid.MustNew(ulid.Timestamp(time.Now().Add(-48*time.Hour)), nil).String()
	for problem, body := range map[string]string{
		"the checkpoint cannot be read": `[]`,
		`run id "x" is not a ULID`:      endpointBody("x"),
		"from the server's":             endpointBody(old),
		"event.name is":                 strings.Replace(endpointBody(run), "inngest/http.request", "a/b", 1),
		"event data must be a JSON":     strings.Replace(endpointBody(run), `"data":{`, `"data":7,"x":{`, 1),
		"event.data.domain is":          strings.Replace(endpointBody(run), "https://", "file://", 1),
		"an id of its own":              strings.Replace(endpointBody(run), "/pay/7", "/"+strings.Repeat("x", 300), 1),
	} {
		requireFailure(t, r.do(http.MethodPost, "/v1/checkpoint", body), 400, problem)
	}
	require.Empty(t, r.exec.endpoints)
	r.runner.fail = stepwell.ErrUnavailable
	requireFailure(t, r.do(http.MethodPost, "/v1/checkpoint", endpointBody(run)), 503, "temporarily unavailable")
}

func TestStepsOfAnEndpointAreReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/v1/checkpoint/" + runText + "/steps", "/v1/http/runs/" + runText + "/steps"} {
		require.Equal(t, 200, r.do(http.MethodPost, path, `{"steps":[{"op":"StepRun","id":"a"}]}`).Code)
		require.Equal(t, 200, r.do(http.MethodPost, path, `{"steps":[]}`).Code, "there is nothing to tell")
	}
	require.Len(t, r.exec.endpoints, 2)
	require.Equal(t, runText, r.exec.endpoints[0].Run.String())
	r.exec.report = stepwell.ErrConflict
	recorder := r.do(http.MethodPost, "/v1/checkpoint/"+runText+"/steps", `{"steps":[{"op":"StepRun","id":"a"}]}`)
	requireFailureWith(t, recorder, 409, "conflict", map[string]any{"run_id": runText})
	recorder = r.do(http.MethodPost, "/v1/checkpoint/"+runText+"/steps", `7`)
	requireFailureWith(t, recorder, 400, "cannot be read", map[string]any{"run_id": runText})
}

func TestOutputNeedsAToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/v1/checkpoint/" + runText + "/output", "/v1/http/runs/" + runText + "/output?token=x", "/v1/checkpoint/7/output"} {
		requireFailure(t, r.do(http.MethodGet, path, ""), 401, "Authentication failed")
	}
}
