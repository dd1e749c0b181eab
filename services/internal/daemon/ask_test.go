package daemon_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProbeCommand tells by its error, which is the exit status, what the program answers.
func TestProbeCommand(t *testing.T) {
	t.Parallel()
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/livez" {
			status = http.StatusOK
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"status":"asked ` + r.URL.Path + `"}` + "\n"))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	// Other settings need not be there, or right.
	p := newProgram(nothing, "STEPWELL_PROBE_ADDRESS="+address, "STEPWELL_LOG_FORMAT=xml")
	out, err := p.run(t.Context(), p.ProbeCommand())
	require.EqualError(t, err, `/readyz: 503 {"status":"asked /readyz"}`)
	require.Empty(t, out)
	for _, address := range []string{address, ":" + port, "0.0.0.0:" + port} {
		out, err = p.run(t.Context(), p.ProbeCommand(), "--path=/livez", "--probe-address", address)
		require.NoError(t, err, address)
		require.JSONEq(t, `{"status":"asked /livez"}`, out)
	}
}

func TestProbeCommandThatCannotAsk(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	for address, problem := range map[string]string{
		"":                       "probe_address is empty: give this command and the program the same one, such as :8090",
		"8090":                   "probe_address: address 8090: missing port in address",
		listener.Addr().String(): "connection refused",
	} {
		p := newProgram(nothing, "STEPWELL_PROBE_ADDRESS="+address)
		_, err := p.run(t.Context(), p.ProbeCommand())
		require.ErrorContains(t, err, problem)
	}
}
