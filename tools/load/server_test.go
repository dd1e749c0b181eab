package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// envServer is a stepwell binary to test with; without it one is built from the sources. The end-to-end tests use the same.
const envServer = "E2E_SERVER"

const root = "../.."

// devServer starts a dev server and returns its URL and process.
func devServer(t *testing.T) (url string, pid int) {
	t.Helper()
	binary, err := findServer(t.Context())
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	log := &logWriter{t: t}
	command := exec.Command(binary, "dev", "--host", "127.0.0.1", "--port", port, "--grpc-port", "0", "--no-discovery")
	command.Stdout, command.Stderr = log, log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	url = "http://127.0.0.1:" + port
	require.Eventually(t, func() bool {
		response, err := http.Get(url + "/health")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond, "the server does not come up")
	return url, command.Process.Pid
}

// findServer returns the binary to test with.
func findServer(ctx context.Context) (string, error) {
	if file := os.Getenv(envServer); file != "" {
		return filepath.Abs(file)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("building takes too long"))
	defer cancel()
	build := exec.CommandContext(ctx, "make", "-C", root, "build")
	build.Env = append(os.Environ(), "MAKEFLAGS=", "GOWORK=")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, text)
	}
	return filepath.Abs(root + "/bin/stepwell")
}

// logWriter shows what a program prints if the test fails.
type logWriter struct{ t *testing.T }

func (w *logWriter) Write(text []byte) (int, error) {
	w.t.Logf("%s", text)
	return len(text), nil
}
