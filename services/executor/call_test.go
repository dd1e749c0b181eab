package executor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
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
	require.NotNil(t, outcome.Unreached)
	require.Contains(t, outcome.Unreached.Message, "Could not call the app at "+target)
	require.Contains(t, outcome.Unreached.Message, "connection refused. Is it running?")
	require.False(t, outcome.NoRetry)
}

// TestOnlyCallsWithoutAnAnswerAreUnreached: what answers badly, or begins to, is the app's fault.
func TestOnlyCallsWithoutAnAnswerAreUnreached(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://no-such-host.invalid/", "https://127.0.0.1:1/"} {
		require.NotNil(t, callURL(t, target).Unreached, target)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	require.NotNil(t, callURL(t, "https"+strings.TrimPrefix(plain.URL, "http")).Unreached, "TLS fails")
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	require.Contains(t, callURL(t, untrusted.URL).Unreached.Message, "certificate")

	outcome := callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		assertEqual(t, nil, err)
		_ = conn.Close()
	})
	require.Contains(t, outcome.Unreached.Message, "no answer: EOF")
	require.Nil(t, callURL(t, plain.URL).Unreached)
	require.Nil(t, callURL(t, "http://169.254.169.254/").Unreached, "it is never going to be called")
	outcome = callApp(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		assertEqual(t, nil, err)
		_, _ = io.WriteString(conn, "HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n[{")
		_ = conn.Close()
	})
	require.Contains(t, string(outcome.Failure), "unexpected EOF")
	require.Nil(t, outcome.Unreached)
}

// TestClosedIdleConnectionIsNoFailure: an app closes a connection just when the next call takes it out of the pool. It
// cannot have begun to work on that call, which is sent again.
func TestClosedIdleConnectionIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		dials := 0
		var app net.Conn // the app's end of the latest connection
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials++
			near, far := net.Pipe()
			app = far
			go answerAll(far, &bodies) // until the connection is closed
			return near, nil
		}}
		c := caller{transport: transport, timeout: time.Minute}
		post := func(ctx context.Context, body string) error {
			response, err := c.send(ctx, request{
				method: http.MethodPost, target: "http://app/", header: http.Header{}, body: []byte(body),
			})
			require.Equal(t, err == nil, string(response.Body) == "ok")
			return err
		}
		require.NoError(t, post(t.Context(), "first"))
		trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
			if got.Reused {
				assertEqual(t, nil, app.Close())
				synctest.Wait() // the transport has seen it
			}
		}})
		require.NoError(t, post(trace, "second"))
		require.Equal(t, []string{"first", "second"}, bodies)
		require.Equal(t, 2, dials)
		transport.CloseIdleConnections()
		synctest.Wait()
	})
}

// answerAll serves a connection until it is closed.
func answerAll(conn net.Conn, bodies *[]string) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		*bodies = append(*bodies, string(body))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// TestBrokenConnectionIsNotUsedAgain: the app may be at work on the call.
func TestBrokenConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	requests := 0
	network := roundTripper(func(*http.Request) (*http.Response, error) {
		requests++
		return nil, io.EOF
	})
	c := caller{transport: network, timeout: time.Minute}
	_, err := c.send(t.Context(), request{method: http.MethodPost, target: "http://app/", header: http.Header{}})
	require.ErrorIs(t, err, errUnanswered)
	require.Equal(t, 1, requests)

	requests = 0
	c.transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		requests++
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, "all of it", string(body))
		return nil, errors.New(idleClosed)
	})
	_, err = c.send(t.Context(), request{
		method: http.MethodPost, target: "http://app/", header: http.Header{}, body: []byte("all of it"),
	})
	require.ErrorIs(t, err, errUnanswered)
	require.Equal(t, 1+resendsMax, requests, "nor is a closed one for ever")
}

type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
