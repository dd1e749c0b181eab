package executor

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// callApp makes one call to an app that serves like this.
func callApp(t *testing.T, serve http.HandlerFunc) stepwell.Outcome {
	t.Helper()
	server := httptest.NewServer(serve)
	defer server.Close()
	return callURL(t, server.URL+"/api/inngest?fnId=shop-charge")
}

func callURL(t *testing.T, target string) stepwell.Outcome {
	t.Helper()
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	run := stepwell.Run{ID: stepwell.NewRunID(time.Now(), stepwell.FunctionID{}, "test")}
	state := stepwell.RunState{
		Run: run, Function: stepwell.Function{URL: target, Slug: "shop-charge"},
		Events: []stepwell.Event{{Name: "a", Data: json.RawMessage(`{"n":1}`), User: json.RawMessage(`{}`)}},
	}
	item := stepwell.NewStepItem(run, stepwell.ItemStep, "abc", time.Now())
	return caller{transport: transport, timeout: time.Minute}.call(t.Context(), state, item, 3)
}

func finish(w http.ResponseWriter, body string) {
	w.Header().Set(sdk.HeaderSDK, "test:v1")
	_, _ = io.WriteString(w, body)
}

func TestCallSaysWhatTheProtocolWants(t *testing.T) {
	t.Parallel()
	outcome := callApp(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assertEqual(t, nil, err)
		assertEqual(t, http.MethodPost, r.Method)
		assertEqual(t, "fnId=shop-charge&stepId=abc", r.URL.RawQuery)
		assertEqual(t, "abc", r.Header.Get(sdk.HeaderStepID))
		assertEqual(t, "3", r.Header.Get(sdk.HeaderGenerationID))
		assertEqual(t, 26, len(r.Header.Get(sdk.HeaderRequestID)))
		assertEqual(t, "0", r.Header.Get(sdk.HeaderRequestVersion))
		assertEqual(t, true, json.Valid(body))
		finish(w, `{"ok":true}`)
	})
	require.True(t, outcome.Finished)
	require.JSONEq(t, `{"ok":true}`, string(outcome.Output))
}

// assertEqual checks in a server's goroutine, where a test must not end.
func assertEqual(t *testing.T, want, got any) {
	t.Helper()
	if want != got {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestRedirectsKeepMethodBodyAndQuery(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		outcome := callApp(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/moved" {
				w.Header().Set("Location", "/moved")
				w.WriteHeader(status)
				return
			}
			body, _ := io.ReadAll(r.Body)
			finish(w, fmt.Sprintf("%q", r.Method+" "+r.URL.RawQuery+" "+string(body[:7])))
		})
		require.Equal(t, `"POST fnId=shop-charge&stepId=abc {\"ctx\":"`, string(outcome.Output), status)
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	requests := 0
	outcome := callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Location", fmt.Sprintf("/again/%d", requests))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	require.Equal(t, redirectsMax+1, requests)
	require.Contains(t, string(outcome.Failure), "more than 10 redirects")
}

func TestForbiddenAddressesAreNeverCalled(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[fd00:ec2::254]/", "http://224.0.0.1/",
	} {
		require.Contains(t, string(callURL(t, target).Failure), errForbidden.Error(), target)
	}
	// Nor by a redirect.
	outcome := callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
		w.WriteHeader(http.StatusFound)
	})
	require.Contains(t, string(outcome.Failure), errForbidden.Error())
	outcome = callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	require.Contains(t, string(outcome.Failure), "only http and https")
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	outcome := callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(sdk.HeaderSDK, "test:v1")
		chunk := strings.Repeat(" ", 1<<20)
		for range 64 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return // the caller has had enough
			}
		}
	})
	require.Contains(t, string(outcome.Failure), "output_too_large")
	require.Contains(t, string(outcome.Failure), "8388608 bytes")
	require.True(t, outcome.NoRetry)
}

func TestAppThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	target := server.URL + "/api/inngest"
	server.Close()
	outcome := callURL(t, target)
	require.Contains(t, string(outcome.Failure), "Could not call the app at "+target)
	require.Contains(t, string(outcome.Failure), "connection refused. Is it running?")
	require.False(t, outcome.NoRetry)

	outcome = callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		assertEqual(t, nil, err)
		_, _ = io.WriteString(conn, "HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n[{")
		_ = conn.Close()
	})
	require.Contains(t, string(outcome.Failure), "unexpected EOF")
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	remotes := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		finish(w, `null`)
	}))
	defer server.Close()
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	c := caller{transport: transport, timeout: time.Minute}
	for range 10 {
		_, err := c.send(t.Context(), request{method: http.MethodPost, target: server.URL, header: http.Header{}})
		require.NoError(t, err)
	}
	require.Len(t, remotes, 1)
}
