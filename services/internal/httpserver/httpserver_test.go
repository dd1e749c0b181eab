package httpserver_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener in memory whose deadlines go by fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
	fail   error
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	if p.fail != nil {
		return nil, p.fail
	}
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// rig is a server that runs in a bubble of fake time.
type rig struct {
	*pipes
	t       *testing.T
	client  http.Client
	stop    context.CancelFunc
	stopped chan error
	// waited is set when the server was seen to stop.
	waited bool
}

// serve runs a server while a test runs; the test stops it, or it is stopped at the end.
func serve(t *testing.T, handler http.HandlerFunc, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{pipes: newPipes(), t: t, stopped: make(chan error, 1)}
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return r.dial()
		}}
		r.client.Transport = transport
		ctx, cancel := context.WithCancel(t.Context())
		r.stop = cancel
		server := httpserver.New(r.pipes, handler)
		go func() { r.stopped <- server.Run(ctx) }() // awaited below, or by the test
		test(r)
		transport.CloseIdleConnections()
		cancel()
		r.wait()
	})
}

// wait waits for the server to stop.
func (r *rig) wait() {
	r.t.Helper()
	if !r.waited {
		require.NoError(r.t, <-r.stopped)
	}
	r.waited = true
}

// get makes a request and returns what came of it.
func (r *rig) get() (string, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://server/", nil)
	if err != nil {
		return "", err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

type result struct {
	body string
	err  error
}

func (r *rig) getLater() chan result {
	done := make(chan result, 1)
	go func() { // awaited by whoever reads the channel
		body, err := r.get()
		done <- result{body, err}
	}()
	synctest.Wait()
	return done
}

// send opens a connection, sends text and returns the connection; more may be sent.
func (r *rig) send(text string) net.Conn {
	r.t.Helper()
	conn, err := r.dial()
	require.NoError(r.t, err)
	_, err = io.WriteString(conn, text)
	require.NoError(r.t, err)
	return conn
}

// requireClosedAfter checks that the server ends the connection just then.
func requireClosedAfter(t *testing.T, conn net.Conn, want time.Duration) {
	t.Helper()
	begin := time.Now()
	_, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	require.Equal(t, want, time.Since(begin))
	require.NoError(t, conn.Close())
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestStoppingServerLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(9 * time.Second):
			hello(w, r)
		case <-r.Context().Done():
			t.Errorf("the request was ended")
		}
	}, func(r *rig) {
		done := r.getLater()
		begin := time.Now()
		r.stop()
		synctest.Wait()
		_, err := r.dial()
		require.ErrorIs(t, err, net.ErrClosed, "nothing new is taken")
		require.Equal(t, result{"hello", nil}, <-done)
		r.wait()
		require.Less(t, time.Since(begin), 10*time.Second)
	})
}

// TestStoppingServerDoesNotWaitForEver: who listens to its context is told, and Run returns.
func TestStoppingServerDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(r *rig) {
		done := r.getLater()
		begin := time.Now()
		r.stop()
		r.wait()
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.Error(t, (<-done).err)
	})
}

func TestIdleServerStopsAtOnce(t *testing.T) {
	t.Parallel()
	serve(t, hello, func(r *rig) {
		body, err := r.get()
		require.NoError(t, err)
		require.Equal(t, "hello", body)
		begin := time.Now()
		r.stop()
		r.wait()
		require.Less(t, time.Since(begin), time.Second)
	})
}

func TestListenerThatFailsEndsTheServer(t *testing.T) {
	t.Parallel()
	listener := newPipes()
	listener.fail = errors.New("no more files")
	err := httpserver.New(listener, http.HandlerFunc(hello)).Run(t.Context())
	require.ErrorIs(t, err, listener.fail)
	require.ErrorContains(t, err, "serve HTTP")
}

// TestSlowClientsAreCutOff (I29): however slow, one holds nothing but its own connection, and not for long.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	readAll := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		hello(w, r)
	}
	tests := map[string]struct {
		sends string
		after time.Duration
	}{
		"sends a header and no end": {"GET / HTTP/1.1\r\nHost: server\r\n", 10 * time.Second},
		"sends half a line":         {"GE", 10 * time.Second},
		"sends nothing more":        {"GET / HTTP/1.1\r\nHost: server\r\n\r\n", 2 * time.Minute},
		"sends a body and no end":   {"POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 10\r\n\r\nhello", time.Minute},
		"sends chunks and no end": {
			"POST / HTTP/1.1\r\nHost: server\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", time.Minute,
		},
		"asks that nothing else come": {"GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve(t, readAll, func(r *rig) { requireClosedAfter(t, r.send(test.sends), test.after) })
		})
	}
}

// TestClientThatDoesNotReadIsCutOff: a handler that writes to it goes on, with an error.
func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	var failed chan error
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
		failed <- err
	}, func(r *rig) {
		failed = make(chan error, 1) // of this bubble
		begin := time.Now()
		conn := r.send("GET / HTTP/1.1\r\nHost: server\r\n\r\n")
		require.Error(t, <-failed)
		require.Equal(t, time.Minute, time.Since(begin))
		require.NoError(t, conn.Close())
	})
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	for size, status := range map[int]int{
		60 << 10: http.StatusOK, 72 << 10: http.StatusRequestHeaderFieldsTooLarge,
	} {
		serve(t, hello, func(r *rig) {
			conn, err := r.dial()
			require.NoError(t, err)
			wrote := make(chan struct{})
			go func() { // awaited below
				defer close(wrote)
				// The server may have had enough before the end.
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: server\r\nX: "+strings.Repeat("x", size)+"\r\n\r\n")
			}()
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.Equal(t, status, response.StatusCode)
			require.NoError(t, response.Body.Close())
			require.NoError(t, conn.Close())
			<-wrote
		})
	}
}
