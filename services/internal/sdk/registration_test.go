package sdk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// steps is the only entry that a function's configuration needs besides its id.
const steps = `"steps":{"step":{"runtime":{"url":"http://app/api/inngest?fnId=shop-a&stepId=step"}}}`

// registrationOf is a registration of these functions.
func registrationOf(functions ...string) string {
	return `{"url":"http://app/api/inngest","deployType":"ping","framework":"express","appName":"shop","sdk":"js:v4.24.0",` +
		`"v":"0.1","functions":[` + strings.Join(functions, ",") + `]}`
}

// functionOf is the configuration of a function with these members more.
func functionOf(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"id":"shop-a","name":"A",` + steps + members + `}`
}

func parse(body string) (sdk.Registration, error) {
	return sdk.ParseRegistration([]byte(body), stepwell.DefaultEnvironment())
}

// parsed is the one function of a registration.
func parsed(t *testing.T, members string) stepwell.Function {
	t.Helper()
	registration, err := parse(registrationOf(functionOf(members)))
	require.NoError(t, err)
	require.Len(t, registration.Functions, 1)
	return registration.Functions[0]
}

// requireProblem checks that a function with these members is refused in these words.
func requireProblem(t *testing.T, members, problem string) {
	t.Helper()
	_, err := parse(registrationOf(functionOf(members)))
	require.ErrorIs(t, err, stepwell.ErrInvalid, members)
	require.ErrorContains(t, err, `function "shop-a": `)
	require.ErrorContains(t, err, problem)
}

func TestRegistrationOfJS(t *testing.T) {
	t.Parallel()
	registration, err := parse(registrationOf(
		`{"id":"shop-charge","name":"Charge","triggers":[{"event":"order/paid","expression":"event.data.total > 100"}],
		"steps":{"step":{"id":"step","name":"step","runtime":{"type":"http",
		"url":"http://localhost:3000/api/inngest?fnId=shop-charge&stepId=step"},"retries":{"attempts":2}}},
		"concurrency":[{"limit":5,"key":"event.data.customer","scope":"fn"}],
		"cancel":[{"event":"order/refunded","if":"event.data.id == async.data.id","timeout":"1d"}]}`,
	))
	require.NoError(t, err)
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{
		ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Name: "shop", URL: "http://app/api/inngest",
		SDK: "js:v4.24.0", Framework: "express", Checksum: registration.App.Checksum,
	}
	require.Equal(t, app, registration.App)
	require.Len(t, app.Checksum, 64)
	require.Equal(t, []stepwell.Function{{
		ID: stepwell.NewFunctionID(app.ID, "shop-charge"), Environment: environment, App: app.ID, Slug: "shop-charge",
		Name: "Charge", URL: "http://localhost:3000/api/inngest?fnId=shop-charge&stepId=step", Retries: 2,
		Triggers: []stepwell.Trigger{{Event: "order/paid", Expression: "event.data.total > 100"}},
		FlowControl: stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 5, Key: "event.data.customer"}},
			CancelOn:    []stepwell.CancelOn{{Event: "order/refunded", Condition: "event.data.id == async.data.id", After: day}},
		},
	}}, registration.Functions)
}

// TestRegistrationOfPython: it writes appname in lower case, and some members are null.
func TestRegistrationOfPython(t *testing.T) {
	t.Parallel()
	registration, err := parse(`{"appname":"shop","url":"https://app:8000/api/inngest","sdk":"py:v0.5.18",
		"framework":"fast_api","v":"0.1","deploytype":"ping","functions":[{"id":"shop-a","NAME":null,"triggers":null,
		"concurrency":null,"throttle":null,"rateLimit":null,"debounce":null,"batchEvents":null,"priority":null,
		"idempotency":null,"cancel":null,"timeouts":null,"singleton":null,"retries":null,"future":{"x":1},
		"steps":{"step":{"runtime":{"type":"http","url":"https://app:8000/api/inngest?fnId=shop-a&stepId=step"},
		"retries":null}}}]}`)
	require.NoError(t, err)
	require.Equal(t, "shop", registration.App.Name)
	require.Equal(t, "py:v0.5.18", registration.App.SDK)
	function := registration.Functions[0]
	require.Equal(t, "shop-a", function.Name, "a function without a name is called by its id")
	require.Equal(t, stepwell.RetriesDefault, function.Retries)
	require.Empty(t, function.Triggers, "it can be invoked only")
	require.Equal(t, stepwell.FlowControl{}, function.FlowControl)
}

// TestRegistrationInBand: the answer to a sync says the same in other members.
func TestRegistrationInBand(t *testing.T) {
	t.Parallel()
	registration, err := parse(`{"app_id":"shop","appVersion":"1.0.0","env":null,"framework":"express",
		"functions":[` + functionOf("") + `],"capabilities":{"trust_probe":"v1"},"inspection":{},"platform":null,
		"sdk_author":"inngest","sdk_language":"go","sdk_version":"0.15.0",
		"url":"https://example.com/api/inngest"}`)
	require.NoError(t, err)
	require.Equal(t, "shop", registration.App.Name)
	require.Equal(t, "1.0.0", registration.App.Version)
	require.Equal(t, "go:0.15.0", registration.App.SDK)
	require.Len(t, registration.Functions, 1)
}

func TestRegistrationThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body, problem string
		kind          error
	}{
		"broken":    {`{"appName":`, "the registration is not valid JSON: unexpected end", stepwell.ErrInvalid},
		"list":      {`[]`, "the registration is not valid JSON", stepwell.ErrInvalid},
		"empty":     {``, "the registration is not valid JSON", stepwell.ErrInvalid},
		"no app":    {`{"url":"http://app/","functions":[]}`, "App ID required", stepwell.ErrInvalid},
		"no URL":    {`{"appName":"shop","functions":[]}`, `app "shop": url: "" is not an http or https URL`, stepwell.ErrInvalid},
		"odd URL":   {`{"appName":"shop","url":"http://[::1"}`, `app "shop": url: "http://[::1" is not a URL`, stepwell.ErrInvalid},
		"no host":   {`{"appName":"shop","url":"http:///api"}`, "is not an http or https URL", stepwell.ErrInvalid},
		"other URL": {`{"appName":"shop","url":"ftp://app/"}`, "is not an http or https URL", stepwell.ErrInvalid},
		"long app id": {
			`{"appName":"` + strings.Repeat("a", 256) + `","url":"http://app/"}`, "longer than 255 bytes", stepwell.ErrInvalid,
		},
		"many": {
			registrationOf(strings.Repeat("{},", sdk.FunctionsMax) + "{}"),
			`app "shop" has 1001 functions, at most 1000 are allowed`, stepwell.ErrTooLarge,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.body)
			require.ErrorIs(t, err, test.kind)
			require.ErrorContains(t, err, test.problem)
		})
	}
	_, err := parse(`{"appName":"` + strings.Repeat("a", 255) + `","url":"http://app/"}`)
	require.NoError(t, err, "an app without functions")
}

// TestEveryProblemIsNamedWithItsFunction: a person mends them all at once.
func TestEveryProblemIsNamedWithItsFunction(t *testing.T) {
	t.Parallel()
	_, err := parse(registrationOf(
		`{"id":"shop-a","triggers":5}`,
		`{"name":"nameless"}`,
		`{"id":"shop-b",`+steps+`,"retries":21,"triggers":[{}]}`,
		functionOf(""),
		`{"id":"shop-b",`+steps+`}`,
	))
	require.ErrorIs(t, err, stepwell.ErrInvalid)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 6)
	require.Contains(t, lines[0], `function "shop-a": its configuration cannot be read: json: cannot unmarshal number`)
	require.Equal(t, "function 1: it has no id", lines[1])
	require.Equal(t, `function "shop-b": retries is 21, it must be 0 to 20`, lines[2])
	require.Equal(t, "trigger 0 must have either an event or a cron", lines[3])
	require.Equal(t, `function "shop-a": another function has the same id`, lines[4])
	require.Equal(t, `function "shop-b": another function has the same id`, lines[5])
}

// TestChecksumIsOfWhatMatters: equal ones mean that nothing changed.
func TestChecksumIsOfWhatMatters(t *testing.T) {
	t.Parallel()
	checksum := func(body string) string {
		registration, err := parse(body)
		require.NoError(t, err)
		return registration.App.Checksum
	}
	base := registrationOf(functionOf(""))
	before := checksum(base)
	require.Equal(t, before, checksum(strings.Replace(base, `"v":`, `"featureObservations":{"a":1},"v":`, 1)))
	redeployed := strings.Replace(base, `&stepId=step"`, `&deployId=7&stepId=step"`, 1)
	require.NotEqual(t, base, redeployed)
	require.Equal(t, before, checksum(redeployed))
	for _, change := range [][2]string{
		{`http://app/api/inngest","deploy`, `http://other/api/inngest","deploy`},
		{`js:v4.24.0`, `js:v4.24.1`},
		{`"name":"A"`, `"name":"B"`},
		{`"name":"A"`, `"name":"A","retries":1`},
		{`express`, `nextjs`},
		{`"name":"A"`, `"name":"A","triggers":[{"event":"a"}]`},
		{`"sdk":`, `"appVersion":"2","sdk":`},
		{`"name":"A"`, `"name":"A","idempotency":"event.data.id"`},
	} {
		changed := strings.Replace(base, change[0], change[1], 1)
		require.NotEqual(t, base, changed)
		require.NotEqual(t, before, checksum(changed), "%s", change[1])
	}
}

func TestWhatASyncPutIntoTheURLIsDropped(t *testing.T) {
	t.Parallel()
	registration, err := parse(registrationOf(
		`{"id":"shop-a","steps":{"step":{"runtime":{"url":"http://app/api/inngest?deployId=7&fnId=shop-a&probe=trust&step=step"}}}}`))
	require.NoError(t, err)
	require.Equal(t, "http://app/api/inngest?fnId=shop-a&step=step", registration.Functions[0].URL)
}

func TestStepsOfAFunction(t *testing.T) {
	t.Parallel()
	for members, problem := range map[string]string{
		`"steps":{}`:   "it must have exactly one entry in steps, it has 0",
		`"steps":null`: "it must have exactly one entry in steps, it has 0",
		`"steps":{"a":{"runtime":{"url":"http://a/"}},"b":{"runtime":{"url":"http://b/"}}}`: "it has 2",
		`"steps":{"step":{}}`: `steps.step.runtime.url: "" is not an http or https URL`,
		`"steps":{"step":{"runtime":{"type":"ws","url":"wss://a/"}}}`: `"wss://a/" is not an http or https URL`,
	} {
		_, err := parse(registrationOf(`{"id":"shop-a",` + members + `}`))
		require.ErrorIs(t, err, stepwell.ErrInvalid, members)
		require.ErrorContains(t, err, problem, members)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for members, retries := range map[string]int{
		``: 4, `"retries":0`: 0, `"retries":20`: 20, `"retries":{"attempts":3}`: 3, `"retries":{}`: 4,
		`"retries":{"attempts":null}`: 4,
	} {
		require.Equal(t, retries, parsed(t, members).Retries, members)
	}
	for members, problem := range map[string]string{
		`"retries":-1`: "retries is -1, it must be 0 to 20", `"retries":21`: "retries is 21",
		`"retries":{"attempts":21}`: "retries is 21", `"retries":{"attempts":-1}`: "retries is -1",
	} {
		requireProblem(t, members, problem)
	}
	both := strings.Replace(functionOf(`"retries":2`), `}}}`, `},"retries":{"attempts":7}}}`, 1)
	registration, err := parse(registrationOf(both))
	require.NoError(t, err)
	require.Equal(t, 2, registration.Functions[0].Retries, "what the function says goes before what its step says")
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	function := parsed(t, `"triggers":[{"event":"a/b","expression":"event.data.x"},{"event":"a/*"},{"event":"a/b.*"},
		{"event":"a/b"},{"cron":"TZ=Europe/Paris 0 9 * * *","jitter":"30s"},{"event":"inngest/function.failed"}]`)
	require.Equal(t, []stepwell.Trigger{
		{Event: "a/b", Expression: "event.data.x"},
		{Event: "a/*"},
		{Event: "a/b.*"},
		{Event: "a/b"},
		{Cron: "TZ=Europe/Paris 0 9 * * *", Jitter: 30 * time.Second},
		{Event: "inngest/function.failed"},
	}, function.Triggers)

	ten := strings.TrimSuffix(strings.Repeat(`{"event":"a%d"},`, 10), ",")
	list := make([]any, 10)
	for i := range list {
		list[i] = i
	}
	ten = fmt.Sprintf(ten, list...)
	require.Len(t, parsed(t, `"triggers":[`+ten+`]`).Triggers, stepwell.TriggersMax)
	long := strings.Repeat("e", stepwell.TriggerBytesMax)
	require.Len(t, parsed(t, `"triggers":[{"event":"`+long+`"}]`).Triggers, 1)

	for triggers, problem := range map[string]string{
		ten + `,{"event":"b"}`: "it has 11 triggers, at most 10 are allowed",
		`{}`:                   "trigger 0 must have either an event or a cron",
		`{"event":"a"},{"event":"a","cron":"* * * * *"}`:          "trigger 1 must have either an event or a cron",
		`{"event":"` + long + `e"}`:                               "trigger 0 is longer than 255 bytes",
		`{"cron":"` + long + `e"}`:                                "trigger 0 is longer than 255 bytes",
		`{"event":"a"},{"event":"b"},{"event":"a"}`:               "trigger 2 is there twice",
		`{"cron":"* * * * *"},{"cron":"* * * * *","jitter":"5s"}`: "trigger 1 is there twice",
		`{"cron":"* * * * *","jitter":"soon"}`:                    `trigger 0: jitter: duration "soon"`,
		`{"cron":"* * * * *","jitter":"6m"}`:                      "trigger 0: jitter is 6m0s, it must be 1s to 5m0s",
		`{"cron":"* * * * *","jitter":"500ms"}`:                   "trigger 0: jitter is 500ms, it must be 1s to 5m0s",
		`{"event":"*"}`:                                           `trigger 0: "*": a wildcard must be the end and follow a / or .`,
		`{"event":"a*"}`:                                          `"a*": a wildcard must be the end`,
		`{"event":"a/*b"}`:                                        `"a/*b": a wildcard must be the end`,
		`{"event":"*/*"}`:                                         `"*/*": a wildcard must be the end`,
	} {
		requireProblem(t, `"triggers":[`+triggers+`]`, problem)
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 255)
	for _, names := range [][2]string{{long, "A"}, {"a", long}} {
		_, err := parse(registrationOf(fmt.Sprintf(`{"id":%q,"name":%q,%s}`, names[0], names[1], steps)))
		require.NoError(t, err)
	}
	for _, names := range [][2]string{{long + "a", "A"}, {"a", long + "a"}} {
		_, err := parse(registrationOf(fmt.Sprintf(`{"id":%q,"name":%q,%s}`, names[0], names[1], steps)))
		require.ErrorIs(t, err, stepwell.ErrInvalid)
		require.ErrorContains(t, err, "its id and name may be at most 255 bytes long")
	}
}

func TestNamesMayNotHoldControlCharacters(t *testing.T) {
	t.Parallel()
	for _, names := range []string{`"id":"shop-a\u0000","name":"A"`, `"id":"shop-a","name":"A\u001b[2J"`, `"id":"a\u007f"`} {
		_, err := parse(registrationOf(`{` + names + `,` + steps + `}`))
		require.ErrorIs(t, err, stepwell.ErrInvalid)
		require.ErrorContains(t, err, "its id and name must not hold control characters")
	}
}

// TestEnvironmentsDoNotShareApps: the same app of another environment is another app.
func TestEnvironmentsDoNotShareApps(t *testing.T) {
	t.Parallel()
	here, err := parse(registrationOf(functionOf("")))
	require.NoError(t, err)
	other := stepwell.EnvironmentID{UUID: uuid.MustParse("00000000-0000-4000-b000-000000000001")}
	there, err := sdk.ParseRegistration(json.RawMessage(registrationOf(functionOf(""))), other)
	require.NoError(t, err)
	require.NotEqual(t, here.App.ID, there.App.ID)
	require.NotEqual(t, here.Functions[0].ID, there.Functions[0].ID)
	require.Equal(t, other, there.App.Environment)
	require.Equal(t, other, there.Functions[0].Environment)
}
