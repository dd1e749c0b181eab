package sdk

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func parseFetch(t *testing.T, op, opts string) stepwell.Op {
	t.Helper()
	ops, err := ParseOps([]byte(`{"op":"`+op+`","id":"f","opts":`+opts+`}`), time.Unix(0, 0))
	require.NoError(t, err)
	return ops[0]
}

func TestFetchIsTheRequestThatTheStepWants(t *testing.T) {
	t.Parallel()
	op := parseFetch(t, "Gateway", `{"url":"https://a/b?c=d","method":"PUT","headers":{"x-one":"1"},"body":"text"}`)
	require.Equal(t, stepwell.OpFetch, op.Code)
	require.Equal(t, stepwell.StepFetch, op.Kind)
	require.Equal(t, &stepwell.Request{
		Method: "PUT", URL: "https://a/b?c=d", Header: map[string]string{"x-one": "1"}, Body: []byte("text"),
	}, op.Request)

	for _, opts := range []string{`{"url":"http://a"}`, `{"url":"http://a","body":null}`, `{"url":"http://a","body":""}`} {
		op = parseFetch(t, "Gateway", opts)
		require.Equal(t, "GET", op.Request.Method)
		require.Empty(t, op.Request.Body)
	}
}

func TestInferPutsTheKeyWhereTheProviderLooksForIt(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]stepwell.Request{
		"openai-chat": {URL: "https://ai/v1?a=b", Header: map[string]string{"Authorization": "Bearer k/1"}},
		"":            {URL: "https://ai/v1?a=b", Header: map[string]string{"Authorization": "Bearer k/1"}},
		"bedrock":     {URL: "https://ai/v1?a=b", Header: map[string]string{"Authorization": "k/1"}},
		"anthropic":   {URL: "https://ai/v1?a=b", Header: map[string]string{"X-Api-Key": "k/1"}},
		"gemini":      {URL: "https://ai/v1?a=b&key=k%2F1", Header: map[string]string{}},
	} {
		op := parseFetch(t, "AIGateway", `{"type":"step.ai.infer","url":"https://ai/v1?a=b","format":"`+format+`",
			"auth_key":"k/1","headers":{"anthropic-version":"1"},"body":{"n": 1.0}}`)
		want.Method, want.Body, want.Secret = "POST", []byte(`{"n": 1.0}`), "k/1"
		want.Header["Content-Type"], want.Header["Anthropic-Version"] = "application/json", "1"
		require.Equal(t, stepwell.StepInfer, op.Kind)
		require.Equal(t, &want, op.Request, format)
	}
	require.Equal(t, map[string]string{"Content-Type": "application/json"},
		parseFetch(t, "AIGateway", `{"url":"http://local/v1","auth_key":"","body":{}}`).Request.Header)
}

func TestRequestThatCannotBeMadeIsAFailedStep(t *testing.T) {
	t.Parallel()
	for opts, problem := range map[string]string{
		`null`:                               "not an http or https URL",
		`{}`:                                 "not an http or https URL",
		`{"url":"file:///k3y"}`:              "not an http or https URL",
		`{"url":"http://"}`:                  "not an http or https URL",
		`{"url":"http://a/%zz?k3y"}`:         "not an http or https URL",
		`[]`:                                 "options cannot be read",
		`{"url":"http://a","headers":["k"]}`: "options cannot be read",
		`{"url":"http://a","body":{"0":1}}`:  "body is not text",
	} {
		op := parseFetch(t, "Gateway", opts)
		require.Equal(t, stepwell.OpStepFailed, op.Code, opts)
		require.Equal(t, stepwell.StepFetch, op.Kind)
		require.Contains(t, string(op.Failure), `{"name":"GatewayError","message":"Error making gateway request: `)
		require.Contains(t, string(op.Failure), problem)
		require.NotContains(t, string(op.Failure), "k3y", "a URL may hold a key")
	}
}

func TestFetchedIsWhatSDKsRead(t *testing.T) {
	t.Parallel()
	op := parseFetch(t, "Gateway", `{"url":"http://a/"}`)
	header := http.Header{"Set-Cookie": {"a", "b"}, "Content-Type": {"text/html"}}
	got := Fetched(op, Response{Status: 500, Header: header, Body: []byte("<b>\xff")}, "http://b/", time.Now())
	require.Equal(t, stepwell.OpStepRun, got.Code)
	require.Nil(t, got.Request)
	require.JSONEq(t, `{"body":"<b>\ufffd","headers":{"Content-Type":"text/html","Set-Cookie":"a,b"},"status_code":500,"url":"http://b/"}`,
		string(got.Data))
	got = Fetched(op, Response{Status: 204}, "http://a/", time.Now())
	require.JSONEq(t, `{"body":null,"headers":{},"status_code":204,"url":"http://a/"}`, string(got.Data))

	infer := parseFetch(t, "AIGateway", `{"url":"http://a/"}`)
	got = Fetched(infer, Response{Status: 299, Body: []byte("not JSON")}, "http://a/", time.Now())
	require.Equal(t, `"not JSON"`, string(got.Data))
}

func TestFetchedIsBounded(t *testing.T) {
	t.Parallel()
	op := parseFetch(t, "Gateway", `{"url":"http://a/"}`)
	for _, response := range []Response{
		{Status: 200, Truncated: true},
		{Status: 200, Body: []byte(strings.Repeat("\x01", stepwell.StepBytesMax/2))}, // six bytes each, as JSON
	} {
		got := Fetched(op, response, "http://a/", time.Now())
		require.Equal(t, stepwell.OpStepFailed, got.Code)
		require.Contains(t, string(got.Failure), "larger than the 4194304 bytes that are allowed for one step")
	}
}

func TestFailureOfAFetchNeverTellsItsKey(t *testing.T) {
	t.Parallel()
	op := parseFetch(t, "AIGateway", `{"url":"http://a/","format":"gemini","auth_key":"k/y"}`)
	now := time.Unix(0, 0)
	for _, body := range []string{`{"sent":"k/y"}`, "no JSON: k/y, k%2Fy", strings.Repeat("k/y", 5000)} {
		got := Fetched(op, Response{Status: 401, Header: http.Header{HeaderRetryAfter: {"7"}}, Body: []byte(body)}, "", now)
		require.Equal(t, stepwell.OpStepError, got.Code)
		require.Equal(t, now.Add(7*time.Second), got.RetryAt)
		require.NotContains(t, string(got.Failure), "k/y")
		require.NotContains(t, string(got.Failure), "k%2Fy")
		require.Less(t, len(got.Failure), 2*failureBytesMax)
		require.True(t, json.Valid(got.Failure))
	}
	got := FetchFailed(op, errors.New("malformed answer k/y"), false)
	require.JSONEq(t, `{"name":"AIGatewayError","message":"Error making AI request: malformed answer (key)","data":null}`,
		string(got.Failure))
}
