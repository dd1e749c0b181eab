package httpserver_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/certtest"
	"github.com/stepwell/stepwell/services/internal/httpserver"
)

// journal is a log that several may write to.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestWhatGoesWrongIsLogged: a panic is an error; who knocks without TLS is nothing to complain about.
func TestWhatGoesWrongIsLogged(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	authority, out := certtest.New(t), &journal{}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	source, err := certificate.Open(authority.Write(t, t.TempDir(), nil, "127.0.0.1"), log)
	require.NoError(t, err)
	broken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("the till is stuck")) })
	server := httpserver.New(source.Listen(listener), broken).LogTo(log)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }() // awaited below

	plain, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	_, err = plain.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	require.NoError(t, err)
	answer := make([]byte, 100)
	n, err := plain.Read(answer)
	require.NoError(t, err)
	require.Contains(t, string(answer[:n]), "400 Bad Request")
	require.NoError(t, plain.Close())
	config := source.Client()
	config.RootCAs = authority.Pool()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listener.Addr().String(), nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	require.Error(t, err)
	client.CloseIdleConnections()
	stop()
	require.NoError(t, <-ended)
	require.Regexp(t, `level=DEBUG msg="HTTP server complains" error="http: TLS handshake error from`, out)
	require.Regexp(t, `level=ERROR msg="HTTP server complains" error="http: panic serving .*the till is stuck`, out)
}
