package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
)

// relay passes connections on to another port of this machine, until it cuts them.
type relay struct {
	to   string
	dial net.Dialer

	mu    sync.Mutex
	conns []net.Conn
}

// relayTo passes connections to a port on to another one.
func (s *scene) relayTo(from, to int) *relay {
	s.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(s.Context(), "tcp", net.JoinHostPort("localhost", strconv.Itoa(from)))
	require.NoError(s, err)
	r := &relay{to: net.JoinHostPort("localhost", strconv.Itoa(to))}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				accepting.Go(func() { r.pass(s, conn) })
			}
		}
	})
	s.Cleanup(func() {
		_ = listener.Close()
		r.cut()
		accepting.Wait()
	})
	return r
}

// pass passes on what both ends say, until one of them ends or the relay cuts them.
func (r *relay) pass(s *scene, from net.Conn) {
	to, err := r.dial.DialContext(s.Context(), "tcp", r.to)
	if err != nil {
		_ = from.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, from, to)
	r.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
}

// cut ends all connections. New ones are passed on.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns = nil
}

// refuser stands between an app and the server: what has a part of a path answers 500, all else is passed on.
type refuser struct {
	// env is the environment by which an app finds the refuser instead of the server.
	env     []string
	refused atomic.Int64
}

// refuse starts a refuser of the server.
func (s *scene) refuse(part string) *refuser {
	s.Helper()
	r := &refuser{env: append([]string{}, s.server.AppEnv...)}
	for _, server := range s.server.URLs {
		to, err := url.Parse(server)
		require.NoError(s, err)
		pass := httputil.NewSingleHostReverseProxy(to)
		door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if strings.Contains(request.URL.Path, part) {
				r.refused.Add(1)
				http.Error(w, "out of order", http.StatusInternalServerError)
				return
			}
			pass.ServeHTTP(w, request)
		}))
		s.Cleanup(door.Close)
		for i := range r.env {
			r.env[i] = strings.ReplaceAll(r.env[i], server, door.URL)
		}
	}
	return r
}
