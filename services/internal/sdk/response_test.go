package sdk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// response is an SDK's answer; header are names and values.
func response(status int, body string, header ...string) sdk.Response {
	r := sdk.Response{Status: status, Body: []byte(body), Header: http.Header{}}
	r.Header.Set(sdk.HeaderSDK, "js:v4.24.0")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// foreign is an answer that no SDK sent.
func foreign(status int, body string, header ...string) sdk.Response {
	r := response(status, body, header...)
	r.Header.Del(sdk.HeaderSDK)
	return r
}

func failureOf(t *testing.T, outcome stepwell.Outcome) (f struct{ Name, Message, Stack string }) {
	t.Helper()
	require.NoError(t, json.Unmarshal(outcome.Failure, &f), "%s", outcome.Failure)
	return f
}

func TestFunctionResult(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, output string }{
		"object":       {`{"big": 12345678901234567890.10}`, `{"big": 12345678901234567890.10}`},
		"null":         {`null`, `null`},
		"surrounded":   {" \n[1]\n", `[1]`},
		"nothing":      {``, `null`},
		"only space":   {" \n", `null`},
		"text":         {`hello "you" <b>`, `"hello \"you\" <b>"`},
		"broken JSON":  {`{"a":`, `"{\"a\":"`},
		"no UTF-8":     {"\xff", `"\ufffd"`},
		"two values":   {`1 2`, `"1 2"`},
		"quoted value": {`"42"`, `"42"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := stepwell.Outcome{Finished: true, Output: json.RawMessage(test.output), HTTPStatus: 200}
			got := sdk.Parse(response(200, test.body), now())
			require.Equal(t, test.output, string(got.Output))
			require.Equal(t, want, got)
		})
	}
}

func TestVersionOfTheSDKIsKept(t *testing.T) {
	t.Parallel()
	for text, version := range map[string]int{"2": 2, "1": 1, "": 0, "two": 0} {
		outcome := sdk.Parse(response(206, `[]`, sdk.HeaderRequestVersion, text), now())
		require.Equal(t, stepwell.Outcome{Ops: []stepwell.Op{}, RequestVersion: version, HTTPStatus: 206}, outcome, text)
	}
}

// TestAnswersThatFail: the error says what to do about it, whoever answered.
func TestAnswersThatFail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		response            sdk.Response
		name, message, more string
		noRetry             bool
	}{
		"the function failed": {
			response: response(500, `{"name":"TypeError","message":"x is not a function"}`),
			name:     "TypeError", message: "x is not a function",
		},
		"the function failed for good": {
			response: response(400, `{"name":"E","message":"m"}`, sdk.HeaderNoRetry, "true"),
			name:     "E", message: "m", noRetry: true,
		},
		"a 400 may pass": {
			response: response(400, `{"name":"E","message":"m"}`, sdk.HeaderNoRetry, "false"), name: "E", message: "m",
		},
		"a 400 that does not say": {response: response(400, `{"name":"E","message":"m"}`), name: "E", message: "m"},
		"the function is gone": {
			response: response(410, `{"message":"function not found: shop-charge"}`),
			name:     "Error", message: "function not found: shop-charge",
		},
		"the signature was refused": {
			response: response(401, `{"code":"sig_verification_failed"}`),
			name:     "Error", message: "Function execution error",
		},
		"no SDK, but fine": {
			response: foreign(200, `<html>`),
			name:     "not_sdk", message: `The response did not come from an Inngest SDK: HTTP 200 with "<html>"`,
		},
		"no SDK, and empty": {
			response: foreign(204, ``), name: "not_sdk", message: "Is this the URL of the app's serve endpoint?",
		},
		"something before the SDK": {
			response: foreign(500, "bad luck\xff", "Content-Type", "text/html"), name: "Server returned a fatal error",
			message: "Your server returned HTTP 500 before the SDK responded.", more: "text/html\nbad luck?",
		},
		"foreign, and for good": {
			response: foreign(404, `gone`, sdk.HeaderNoRetry, "true"), name: "Server returned a fatal error",
			message: "Your server returned HTTP 404", more: "\ngone", noRetry: true,
		},
		"operations that are none": {
			response: response(206, `<html>`), name: "invalid_response",
			message: "error reading generator opcode response",
		},
		"operations of no SDK that are none": {
			response: foreign(206, `<html>`), name: "invalid_response",
			message: "error reading generator opcode response",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := sdk.Parse(test.response, now())
			failure := failureOf(t, outcome)
			require.Equal(t, test.name, failure.Name)
			require.Contains(t, failure.Message, test.message)
			require.Equal(t, test.more, failure.Stack)
			require.Equal(t, test.noRetry, outcome.NoRetry)
			require.Equal(t, test.response.Status, outcome.HTTPStatus)
			require.False(t, outcome.Finished)
			require.Empty(t, outcome.Ops)
		})
	}
}

// TestProxyWithoutAnAppIsNotTheFunctionsFault: the same status from an SDK is.
func TestProxyWithoutAnAppIsNotTheFunctionsFault(t *testing.T) {
	t.Parallel()
	for _, status := range []int{502, 503, 504} {
		outcome := sdk.Parse(foreign(status, "no upstream", sdk.HeaderRetryAfter, "7"), now())
		require.Equal(t, stepwell.Outcome{
			Unreached: &stepwell.Failure{
				Name:    "Server returned a fatal error",
				Message: fmt.Sprintf("Your server returned HTTP %d before the SDK responded.", status), Stack: "\nno upstream",
			},
			HTTPStatus: status, RetryAt: now().Add(7 * time.Second),
		}, outcome)
		outcome = sdk.Parse(response(status, `{"name":"E","message":"m"}`), now())
		require.Nil(t, outcome.Unreached)
		require.Equal(t, "E", failureOf(t, outcome).Name)
	}
}

func TestForeignAnswerIsKeptInPart(t *testing.T) {
	t.Parallel()
	outcome := sdk.Parse(foreign(500, strings.Repeat("é", 100_000)), now())
	stack := failureOf(t, outcome).Stack
	require.Len(t, stack, len("\n")+8<<10)
	require.True(t, json.Valid(outcome.Failure))
}

func TestTruncatedAnswerFailsForGood(t *testing.T) {
	t.Parallel()
	r := response(200, `{"a":`)
	r.Truncated = true
	outcome := sdk.Parse(r, now())
	failure := failureOf(t, outcome)
	require.Equal(t, "output_too_large", failure.Name)
	require.Contains(t, failure.Message, "exceeds the maximum size limit of 8388608 bytes")
	require.True(t, outcome.NoRetry)
	require.Equal(t, 200, outcome.HTTPStatus)
}

func TestStreamedAnswer(t *testing.T) {
	t.Parallel()
	const pad = "   \n  "
	finished := func(output string) stepwell.Outcome {
		return stepwell.Outcome{Finished: true, Output: json.RawMessage(output), HTTPStatus: 200}
	}
	tests := map[string]struct {
		body string
		want stepwell.Outcome
	}{
		"result as a string of JSON": {`{"status":200,"headers":{},"body":"{\"ok\":true}"}`, finished(`{"ok":true}`)},
		"result as JSON":             {`{"status":200,"body":{"ok":true}}`, finished(`{"ok":true}`)},
		"result that is text":        {`{"status":200,"body":"done"}`, finished(`"done"`)},
		"no result":                  {`{"status":200}`, finished(`null`)},
		"null":                       {`{"status":200,"body":null}`, finished(`null`)},
		"operations": {
			`{"status":206,"headers":{"x-inngest-req-version":"2"},"body":"[{\"op\":\"None\"}]"}`,
			stepwell.Outcome{Ops: []stepwell.Op{{Opcode: "None"}}, HTTPStatus: 206, RequestVersion: 2},
		},
		"its headers are those that count": {
			`{"status":500,"headers":{"X-INNGEST-NO-RETRY":"true","retry-after":"60"},
			"body":{"name":"E","message":"m","data":1}}`,
			stepwell.Outcome{
				Failure: json.RawMessage(`{"name":"E","message":"m","data":1}`), NoRetry: true,
				RetryAt: now().Add(time.Minute), HTTPStatus: 500,
			},
		},
		"Go says it beside the headers": {
			`{"status":500,"body":{"name":"E","message":"m","data":1},"retryAt":"2026-01-02T04:00:00Z","noRetry":true}`,
			stepwell.Outcome{
				Failure: json.RawMessage(`{"name":"E","message":"m","data":1}`), NoRetry: true,
				RetryAt: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC), HTTPStatus: 500,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, sdk.Parse(response(201, pad+test.body), now()))
		})
	}
}

func TestStreamedAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing": "", "only padding": "   ", "half": `   {"status":200,"bo`, "no status": `{"error":"worker died"}`,
		"list": `[1]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := sdk.Parse(response(201, body), now())
			failure := failureOf(t, outcome)
			require.Equal(t, "stream_invalid", failure.Name)
			require.Contains(t, failure.Message, "The streamed response cannot be read")
			require.Equal(t, 201, outcome.HTTPStatus)
			require.False(t, outcome.NoRetry)
		})
	}
	outcome := sdk.Parse(response(201, `{"error":"worker died"}`), now())
	require.Contains(t, failureOf(t, outcome).Message, "worker died", "what it does say is told")
}

// TestStreamDoesNotChangeTheTransportsHeaders: they are the caller's.
func TestStreamDoesNotChangeTheTransportsHeaders(t *testing.T) {
	t.Parallel()
	r := response(201, `{"status":500,"headers":{"X-Inngest-No-Retry":"true"},"body":"x"}`)
	sdk.Parse(r, now())
	require.Empty(t, r.Header.Get(sdk.HeaderNoRetry))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Time{
		"":                              {},
		"soon":                          {},
		"1.5":                           {},
		"12345678":                      {}, // too long for seconds, and no date
		"60":                            now().Add(time.Minute),
		" 60 ":                          now().Add(time.Minute),
		"0":                             now().Add(time.Second),
		"-5":                            now().Add(time.Second),
		"86400":                         now().Add(24 * time.Hour),
		"86401":                         now().Add(24 * time.Hour),
		"9999999":                       now().Add(24 * time.Hour),
		"2026-01-02T03:05:05Z":          now().Add(time.Minute),
		"2026-01-02T04:05:05+01:00":     now().Add(time.Minute),
		"2026-01-02T03:05:05+01:00":     now().Add(time.Second),
		"2026-01-02T03:05:05":           now().Add(time.Minute),
		"2026-01-02T03:05:05.5Z":        now().Add(time.Minute + 500*time.Millisecond),
		"Fri, 02 Jan 2026 03:05:05 GMT": now().Add(time.Minute),
		"Fri, 02 Jan 2026 03:05:05 UTC": now().Add(time.Minute),
		"2026-01-01":                    now().Add(time.Second),
		"2030-01-01T00:00:00Z":          now().Add(24 * time.Hour),
		"not a date":                    {},
	}
	for text, want := range tests {
		for _, r := range []sdk.Response{
			response(500, `{}`, sdk.HeaderRetryAfter, text),
			response(206, `[{"op":"StepError","id":"a"}]`, sdk.HeaderRetryAfter, text),
		} {
			got := sdk.Parse(r, now()).RetryAt
			require.True(t, want.Equal(got), "%q: want %s, got %s", text, want, got)
		}
	}
}
