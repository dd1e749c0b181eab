package sdk_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func requested(name, data string) stepwell.Event {
	return stepwell.Event{Name: name, Data: json.RawMessage(data)}
}

func reentry(t *testing.T, event stepwell.Event, open int) sdk.Reentry {
	t.Helper()
	run := stepwell.Run{ID: stepwell.NewRunID(time.UnixMilli(1), stepwell.FunctionID{}, "x")}
	for n := range open {
		run.Progress.Open = append(run.Progress.Open, stepwell.NewDiscovery(run, n+1, time.UnixMilli(1)))
	}
	r, err := sdk.NewReentry(sdk.Call{
		State: stepwell.RunState{Run: run, Events: []stepwell.Event{event}}, Item: run.Progress.Open[0], Generation: 1,
	})
	require.NoError(t, err)
	return r
}

func TestReentryIsTheRequestOnceMore(t *testing.T) {
	t.Parallel()
	js := reentry(t, requested(sdk.EndpointEventJS,
		`{"domain":"https://shop.example:8443","method":"POST","path":"/pay/%C3%A4","query_params":"a=1&b=%20","body":"{\"x\": 1}","content_type":"application/json"}`), 1)
	require.Equal(t, "POST", js.Method())
	require.Equal(t, "https://shop.example:8443/pay/%C3%A4?a=1&b=%20", js.URL())
	require.JSONEq(t, `{"x":1}`, string(js.Body()))
	require.JSONEq(t, `{"x":1}`, string(js.Signs()))
	require.Equal(t, "application/json", js.Header().Get("Content-Type"))
	require.Equal(t, []string{""}, js.Header()[sdk.HeaderSignature], "an SDK knows a call by it")
	require.Empty(t, js.Header().Values(sdk.HeaderForceStepPlan))
	require.Empty(t, js.Header().Values(sdk.HeaderStepID))

	get := reentry(t, requested(sdk.EndpointEventJS, `{"domain":"http://shop","method":"DELETE","path":"/","body":"{}"}`), 2)
	require.Empty(t, get.Signs(), "the SDK looks at the bodies of POST and PUT only")
	require.Equal(t, "true", get.Header().Get(sdk.HeaderForceStepPlan))
	require.Equal(t, "http://shop/", get.URL())
	text := reentry(t, requested(sdk.EndpointEventJS, `{"domain":"http://shop","method":"POST","path":"/","body":"text"}`), 1)
	require.Empty(t, text.Signs())

	golang := reentry(t, requested(sdk.EndpointEventGo, `{"domain":"http://shop","method":"PUT","path":"/a b","body":"eyJ4IjoxfQ=="}`), 1)
	require.Equal(t, "http://shop/a%20b", golang.URL())
	require.JSONEq(t, `{"x":1}`, string(golang.Body()))
	require.Empty(t, golang.Signs())
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, data, problem string }{
		{"a/b", `{"domain":"http://shop","method":"GET","path":"/"}`, "event.name"},
		{sdk.EndpointEventJS, `[]`, "cannot be read"},
		{sdk.EndpointEventJS, `{"method":"GET","path":"/"}`, "event.data.domain"},
		{sdk.EndpointEventJS, `{"domain":"ftp://shop","method":"GET","path":"/"}`, "event.data.domain"},
		{sdk.EndpointEventJS, `{"domain":"http://shop/x","method":"GET","path":"/"}`, "event.data.domain"},
		{sdk.EndpointEventJS, `{"domain":"http://u:p@shop","method":"GET","path":"/"}`, "event.data.domain"},
		{sdk.EndpointEventJS, `{"domain":"http://shop","method":"GE T","path":"/"}`, "event.data.method"},
		{sdk.EndpointEventJS, `{"domain":"http://shop","method":"GET","path":"x"}`, "event.data.path"},
		{sdk.EndpointEventGo, `{"domain":"http://shop","method":"GET","path":"/","body":"{}"}`, "base64"},
	} {
		_, err := sdk.ParseEndpointRequest(requested(test.name, test.data))
		require.ErrorIs(t, err, stepwell.ErrInvalid, test.data)
		require.ErrorContains(t, err, test.problem)
	}
}

// TestAnswersAreReplayed: from both SDKs, also those that fail the run, with any bytes.
func TestAnswersAreReplayed(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1)
	js, err := sdk.ParseReport([]byte(`[{"op":"RunComplete","id":"c","data":{"status":200,"headers":{"a":"b"},"body":"ok","version":2}}]`), now)
	require.NoError(t, err)
	require.Nil(t, js.Failure)
	answer, ok := sdk.AnswerOf(stepwell.Run{Status: stepwell.RunCompleted, Output: js.Ops[0].Data})
	require.True(t, ok)
	require.Equal(t, sdk.APIResult{Status: 200, Headers: map[string]string{"a": "b"}, Body: []byte("ok")}, answer)

	golang, err := sdk.ParseReport([]byte(`[{"op":"StepRun","id":"a","data":1},
		{"op":"RunComplete","id":"c","data":{"data":{"status_code":402,"headers":null,"body":"/wA="}}}]`), now)
	require.NoError(t, err)
	require.Len(t, golang.Ops, 1, "steps are kept")
	require.True(t, golang.NoRetry)
	answer, ok = sdk.AnswerOf(stepwell.Run{Status: stepwell.RunFailed, Output: golang.Failure})
	require.True(t, ok)
	require.Equal(t, 402, answer.Status)
	require.Equal(t, []byte{0xff, 0}, answer.Body)

	for _, output := range []string{`null`, `7`, `{"status":"paid"}`, `{"status":7}`, `{"data":{"status_code":0}}`} {
		_, ok := sdk.AnswerOf(stepwell.Run{Status: stepwell.RunCompleted, Output: json.RawMessage(output)})
		require.False(t, ok, output)
	}
	require.False(t, sdk.IsReplayed("set-cookie"))
	require.False(t, sdk.IsReplayed("x-inngest-sdk"))
	require.False(t, sdk.IsReplayed(sdk.HeaderRunID))
	require.True(t, sdk.IsReplayed("x-shop"))
}

func TestGoEndpointsAnswerByThemselves(t *testing.T) {
	t.Parallel()
	r := reentry(t, requested(sdk.EndpointEventGo, `{"domain":"http://shop","method":"GET","path":"/"}`), 1)
	parse := func(status int, body string) stepwell.Outcome {
		header := http.Header{"X-Shop": {"yes"}, sdk.HeaderSDK: {"go:v0.15.0"}}
		return r.Parse(sdk.Response{Status: status, Header: header, Body: []byte(body)}, time.UnixMilli(1))
	}
	outcome := parse(http.StatusCreated, "made")
	require.True(t, outcome.Finished)
	answer, ok := sdk.ParseAPIResult(outcome.Output)
	require.True(t, ok)
	require.Equal(t, sdk.APIResult{Status: 201, Headers: map[string]string{"X-Shop": "yes"}, Body: []byte("made")}, answer)
	require.True(t, parse(404, "gone").NoRetry)
	require.False(t, parse(500, "down").NoRetry)
	require.NotNil(t, parse(500, "down").Failure)
	require.Len(t, parse(206, `[{"op":"StepRun","id":"a","data":1}]`).Ops, 1)
}
