// Package httpserver serves HTTP with bounds on every connection.
//
// It must not know any route.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// The bounds of every listener. A slow client holds nothing but its own connection, and not for long (I29).
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	headerBytesMax    = 64 << 10
	// drainMax bounds how long a stopping server waits for requests that are under way.
	drainMax = 10 * time.Second
)

// Server serves a handler on a listener.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// New returns a server that serves once it runs.
func New(listener net.Listener, handler http.Handler) *Server {
	return &Server{listener: listener, server: &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
	}}
}

// LogTo has the log told what goes wrong with connections, instead of the standard error of the process: panics of the
// handler, and, for who looks for it, clients that cannot agree on TLS, which is anybody who knocks.
func (s *Server) LogTo(logger *slog.Logger) *Server {
	s.server.ErrorLog = log.New(complaints{logger}, "", 0)
	return s
}

// complaints are what net/http has to say, one a call.
type complaints struct{ log *slog.Logger }

// Write implements io.Writer.
func (c complaints) Write(complaint []byte) (int, error) {
	level, text := slog.LevelError, strings.TrimSpace(string(complaint))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		level = slog.LevelDebug
	}
	c.log.Log(context.Background(), level, "HTTP server complains", slog.String("error", text))
	return len(complaint), nil
}

// Beside serves the routes, by their patterns, and everything else by next.
func Beside(routes map[string]http.Handler, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.Handle(pattern, handler)
	}
	mux.Handle("/", next)
	return mux
}

// Run serves until the context ends, then lets requests that are under way finish, for a while.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }() // awaited below
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainMax)
	defer cancel()
	err := s.server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
