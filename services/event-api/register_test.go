package eventapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// registrationOf is a registration of functions with these members.
func registrationOf(members ...string) string {
	functions := make([]string, len(members))
	for i, m := range members {
		functions[i] = fmt.Sprintf(
			`{"id":"shop-%d","name":"F","steps":{"step":{"runtime":{"url":"http://app/api/inngest?fnId=shop-%d"}}}%s}`, i, i, m)
	}
	return `{"url":"http://app/api/inngest","deployType":"ping","appName":"shop","sdk":"js:v4.24.0","v":"0.1","functions":[` +
		strings.Join(functions, ",") + `]}`
}

func (r *rig) register(body string, header ...string) map[string]any {
	r.t.Helper()
	recorder := r.do(http.MethodPost, "/fn/register", body, header...)
	require.Equal(r.t, 200, recorder.Code, "%s", recorder.Body)
	return object(r.t, recorder)
}

// slugs are the functions that are not archived.
func (r *rig) slugs(environment stepwell.EnvironmentID) []string {
	r.t.Helper()
	catalog, err := r.Functions(r.t.Context(), environment, -1)
	require.NoError(r.t, err)
	slugs := []string{}
	for _, function := range catalog.Functions {
		if function.ArchivedAt.IsZero() {
			slugs = append(slugs, function.Slug)
		}
	}
	return slugs
}

func TestAppRegistersItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.register(registrationOf("", ""))
	require.Equal(t, true, first["ok"])
	require.Equal(t, true, first["modified"])
	app := stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop")
	require.Equal(t, app.String(), first["app_id"])
	_, err := uuid.Parse(first["sync_id"].(string))
	require.NoError(t, err)
	require.Equal(t, []string{"shop-0", "shop-1"}, r.slugs(stepwell.DefaultEnvironment()))
	require.Contains(t, r.log.String(), `msg="app synced" app=shop url=http://app/api/inngest sdk=js:v4.24.0 function_count=2`)

	r.log.Reset()
	same := r.register(registrationOf("", ""))
	require.Equal(t, map[string]any{
		"ok": true, "modified": false, "app_id": first["app_id"], "sync_id": first["sync_id"],
	}, same)
	require.Empty(t, r.log.String(), "only what changed is told")

	changed := r.register(registrationOf(`,"retries":0`))
	require.Equal(t, true, changed["modified"])
	require.NotEqual(t, first["sync_id"], changed["sync_id"])
	require.Equal(t, []string{"shop-0"}, r.slugs(stepwell.DefaultEnvironment()), "the other is archived")

	put := r.do(http.MethodPut, "/fn/register?deployId=7", registrationOf(""))
	require.Equal(t, 200, put.Code)
}

func TestServerKindMustBeTheExpectedOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	recorder := r.do(http.MethodPost, "/fn/register", registrationOf(""), sdk.HeaderExpectedKind, sdk.KindCloud)
	requireFailure(t, recorder, 400, "Expected server kind cloud, got dev")
	require.Empty(t, r.slugs(stepwell.DefaultEnvironment()))
	require.Equal(t, true, r.register(registrationOf(""), sdk.HeaderExpectedKind, sdk.KindDev)["ok"])
}

func TestRegistrationThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for body, problem := range map[string]string{
		``:                                   "the registration is not valid JSON",
		`{}`:                                 "App ID required",
		`{"appName":"shop","url":"nowhere"}`: `app "shop": url: "nowhere" is not an http or https URL`,
		registrationOf(`,"retries":21`):      `function "shop-0": retries is 21, it must be 0 to 20`,
	} {
		requireFailure(t, r.do(http.MethodPost, "/fn/register", body), 400, problem)
	}
	body := registrationOf("") + strings.Repeat(" ", sdk.RegistrationBytesMax)
	requireFailure(t, r.do(http.MethodPost, "/fn/register", body), 413, "the request's body is larger than 4194304 bytes")
	many := registrationOf(make([]string, sdk.FunctionsMax+1)...)
	requireFailure(t, r.do(http.MethodPost, "/fn/register", many), 413, "1001 functions, at most 1000 are allowed")
	require.Empty(t, r.slugs(stepwell.DefaultEnvironment()))
}

// TestExpressionsAreCheckedAtRegistration: the error names the function, the member, and the place in the expression.
func TestExpressionsAreCheckedAtRegistration(t *testing.T) {
	t.Parallel()
	const odd = "`event.data.n >`: 1:15: syntax error"
	for members, problem := range map[string]string{
		`"triggers":[{"event":"a"},{"event":"b","expression":"event.data.n >"}]`: "trigger 1: expression " + odd,
		`"triggers":[{"event":"b","expression":"foo == 1"}]`:                     "trigger 0: expression `foo == 1`: 1:1: unknown",
		`"triggers":[{"cron":"61 * * * *"}]`:                                     `trigger 0: schedule_invalid: cron "61 * * * *"`,
		`"triggers":[{"event":"a"},{"cron":"@daily"}]`:                           `trigger 1: schedule_invalid: cron "@daily"`,
		`"priority":{"run":"event.data.n >"}`:                                    "priority.run: expression " + odd,
		`"idempotency":"event.data.n >"`:                                         "idempotency: expression " + odd,
		`"concurrency":[{"limit":1},{"limit":1,"key":"event.data.n >"}]`:         "concurrency 1: key: expression " + odd,
		`"cancel":[{"event":"a","if":"async.data.n + 1 == 2"}]`:                  "cancelOn 0: if: expression `async.data.n + 1 == 2`: 1:14: operator +",
		`"throttle":{"limit":1,"period":"1s","key":"event.data.n >"}`:            "throttle.key: expression " + odd,
		`"rateLimit":{"limit":1,"period":"1s","key":"event.data.n >"}`:           "rateLimit.key: expression " + odd,
		`"debounce":{"period":"1s","key":"event.data.n >"}`:                      "debounce.key: expression " + odd,
		`"batchEvents":{"maxSize":2,"timeout":"1s","key":"event.data.n >"}`:      "batch_key_expression_invalid: batchEvents.key: expression " + odd,
		`"batchEvents":{"maxSize":2,"timeout":"1s","if":"event.data.n >"}`:       "batch_if_expression_invalid: batchEvents.if: expression " + odd,
		`"singleton":{"key":"event.data.n >"}`:                                   "singleton.key: expression " + odd,
	} {
		t.Run(members, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			recorder := r.do(http.MethodPost, "/fn/register", registrationOf("", ","+members))
			requireFailure(t, recorder, 400, `function "shop-1": `+problem)
			require.Empty(t, r.slugs(stepwell.DefaultEnvironment()))
		})
	}
	recorder := newRig(t).do(http.MethodPost, "/fn/register",
		registrationOf(`,"idempotency":"foo"`, "", `,"idempotency":"bar"`))
	requireFailure(t, recorder, 400, "unknown variable foo\n"+
		"function \"shop-2\": idempotency: expression `bar`: 1:1: unknown variable bar")
	good := newRig(t).register(registrationOf(
		`,"cancel":[{"event":"a","if":"event.data.id == async.data.id"}],"triggers":[{"cron":"TZ=Europe/Paris 0 9 * * *"}]`,
		`,"concurrency":{"limit":1,"key":"event.data.a + 'x'"},"triggers":[{"event":"a","expression":"event.data.n > 1"}]`,
	))
	require.Equal(t, true, good["ok"])
}

func TestRegistrationGoesToTheKeysEnvironment(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	for _, path := range []string{"/fn/register", "/api/v1/functions"} {
		requireFailure(t, r.do(http.MethodPost, path, registrationOf("")), 401, "Authentication failed")
	}
	r.register(registrationOf(""), "Authorization", "Bearer "+goodKey)
	require.Equal(t, []string{"shop-0"}, r.slugs(otherEnvironment()))
	require.Empty(t, r.slugs(stepwell.DefaultEnvironment()))
}

func TestStateThatDoesNotAnswerARegistration(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.state.fail = stepwell.ErrUnavailable
	recorder := r.do(http.MethodPost, "/fn/register", registrationOf(""))
	requireFailure(t, recorder, 503, "temporarily unavailable, try again")
	require.Equal(t, "1", recorder.Header().Get("Retry-After"))
	require.Contains(t, r.log.String(), "sync app shop")
}

// TestAddedURLIsAsked: the app at the URL tells what it serves, or says that it will register itself.
func TestAddedURLIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const body = `{"url":"http://app/api/inngest"}`
	r.exec.requestSync = func(string) ([]byte, error) { return []byte(registrationOf("", "")), nil }
	recorder := r.do(http.MethodPost, "/api/v1/functions", body)
	require.Equal(t, 200, recorder.Code)
	require.JSONEq(t, `{"app":"shop","function_count":2,"modified":true,"out_of_band":false}`, recorder.Body.String())
	require.Equal(t, []string{"shop-0", "shop-1"}, r.slugs(stepwell.DefaultEnvironment()))
	recorder = r.do(http.MethodPost, "/api/v1/functions", body)
	require.JSONEq(t, `{"app":"shop","function_count":2,"modified":false,"out_of_band":false}`, recorder.Body.String())

	r.exec.requestSync = func(string) ([]byte, error) { return nil, nil }
	recorder = r.do(http.MethodPost, "/api/v1/functions", body)
	require.JSONEq(t, `{"app":"","function_count":0,"modified":false,"out_of_band":true}`, recorder.Body.String())
	require.Equal(t, []string{"http://app/api/inngest", "http://app/api/inngest", "http://app/api/inngest"}, r.exec.urls)

	r.exec.requestSync = func(string) ([]byte, error) { return []byte(registrationOf(`,"retries":21`)), nil }
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions", body), 400, "retries is 21")
	r.exec.requestSync = func(string) ([]byte, error) { return nil, stepwell.Invalidf("nothing is served there (404)") }
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions", body), 400,
		"sync http://app/api/inngest: nothing is served there (404)")
	r.exec.requestSync = func(string) ([]byte, error) { return nil, errors.New("odd") }
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions", body), 500, "internal error")
}

func TestRegistrationMayBeAddedToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	recorder := r.do(http.MethodPost, "/api/v1/functions", registrationOf(""))
	require.JSONEq(t, `{"app":"shop","function_count":1,"modified":true,"out_of_band":false}`, recorder.Body.String())
	require.Empty(t, r.exec.urls)
	for body, problem := range map[string]string{
		``:                 "the body must be a JSON object",
		`[]`:               "the body must be a JSON object",
		`"x"`:              "the body must be a JSON object",
		`null`:             "the body must have a url",
		`{}`:               "the body must have a url, the app's serve endpoint, or functions, its registration",
		`{"url":""}`:       "the body must have a url",
		`{"url":7}`:        "the body must have a url",
		`{"functions":[]}`: "App ID required",
	} {
		requireFailure(t, r.do(http.MethodPost, "/api/v1/functions", body), 400, problem)
	}
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions", strings.Repeat(" ", sdk.RegistrationBytesMax+1)), 413,
		"larger than 4194304 bytes")
	require.Empty(t, r.exec.urls)
}

func TestSyncURL(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec.requestSync = func(string) ([]byte, error) { return []byte(registrationOf("")), nil }
	synced, err := r.service.SyncURL(t.Context(), otherEnvironment(), "http://app/api/inngest")
	require.NoError(t, err)
	require.Equal(t, "shop", synced.App.Name)
	require.Equal(t, 1, synced.FunctionCount)
	require.True(t, synced.Modified)
	require.False(t, synced.OutOfBand)
	require.Equal(t, []string{"shop-0"}, r.slugs(otherEnvironment()))

	r.exec.requestSync = func(string) ([]byte, error) { return nil, stepwell.ErrUnavailable }
	_, err = r.service.SyncURL(t.Context(), otherEnvironment(), "http://app/api/inngest")
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "sync http://app/api/inngest")
}
