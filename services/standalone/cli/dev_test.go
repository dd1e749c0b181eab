package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/standalone/cli"
)

func TestFlagsOfTheDevServerAreChecked(t *testing.T) {
	t.Parallel()
	for flags, problem := range map[string]string{
		"--port 0":                "--port is 0, it must be 1 to 65535",
		"--port 65536":            "--port is 65536, it must be 1 to 65535",
		"--port -1":               "--port is -1, it must be 1 to 65535",
		"--grpc-port 65536":       "--grpc-port is 65536, it must be 0 to 65535",
		"--grpc-port -1":          "--grpc-port is -1, it must be 0 to 65535",
		"--grpc-port 8288":        "--port and --grpc-port are both 8288",
		"--poll-interval 99ms":    "--poll-interval is 99ms, it must be at least 100ms",
		"--poll-interval -5s":     "--poll-interval is -5s, it must be at least 100ms",
		"--poll-interval soon":    `invalid argument "soon" for "--poll-interval"`,
		"--retry-interval -1s":    "--retry-interval is -1s, it cannot be below 0",
		"--queue-depth-max -1":    "--queue-depth-max is -1, it cannot be below 0",
		"--runs-max 0":            "--runs-max is 0, it must be above 0",
		"--urls localhost:3000":   `--urls: "localhost:3000" is not a URL such as http://localhost:3000/api/inngest`,
		"-u http://a/ -u ftp://b": `--urls: "ftp://b" is not a URL`,
		"--log-level loud":        `--log-level is "loud": use debug, info, warn or error`,
	} {
		_, err := stepwell(t, append([]string{"dev"}, strings.Fields(flags)...)...)
		require.ErrorContains(t, err, problem, flags)
	}
	_, err := stepwell(t, "dev", "--port", "0", "--runs-max", "-1", "--urls", "a,b")
	require.EqualError(t, err, `--port is 0, it must be 1 to 65535
--runs-max is -1, it must be above 0
--urls: "a" is not a URL such as http://localhost:3000/api/inngest
--urls: "b" is not a URL such as http://localhost:3000/api/inngest`)
}

// busy is a port that somebody listens at.
func busy(t *testing.T, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// TestTakenPortIsNamed: also if only one of the two loopback addresses is taken, since programs differ in which they try.
func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.0.1"}
	if hasIPv6() {
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		port := busy(t, host)
		for _, flags := range [][]string{
			{"--port", port, "--grpc-port", "0"}, {"--port", port, "--grpc-port", "0", "--host", host},
		} {
			out, err := stepwell(t, append([]string{"dev", "--no-discovery"}, flags...)...)
			require.ErrorContains(t, err, "cannot listen on port "+port)
			require.ErrorContains(t, err, "address already in use")
			require.ErrorContains(t, err, "Is another server running? Choose another port with --port or --grpc-port")
			require.Empty(t, out)
		}
	}
}

func TestTakenPortForGRPCIsNamed(t *testing.T) {
	t.Parallel()
	port := busy(t, "127.0.0.1")
	for range 20 { // somebody else may be faster at the other port
		other := free(t)
		_, err := stepwell(t, "dev", "--no-discovery", "--grpc-port", port, "--port", other)
		require.ErrorContains(t, err, "cannot listen on port ")
		if !strings.Contains(err.Error(), "cannot listen on port "+other) {
			require.ErrorContains(t, err, "cannot listen on port "+port)
			return
		}
	}
	t.Fatal("no port is free")
}

func hasIPv6() bool {
	listener, err := net.Listen("tcp", "[::1]:0")
	return err == nil && listener.Close() == nil
}

// free is a port at which nobody listens now.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// output is what a program prints, for others to wait for.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		select {
		case o.wrote <- struct{}{}:
		default:
		}
	}()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startDev runs a dev server at a port that is free, until the test ends.
func startDev(t *testing.T, flags ...string) (port string, out *output) {
	t.Helper()
	for range 20 { // somebody else may be faster at the port
		port, out = free(t), &output{wrote: make(chan struct{}, 1)}
		root := cli.New("v1.2.3", nil)
		root.SetArgs(append([]string{"dev", "--port", port, "--grpc-port", "0", "--no-discovery"}, flags...))
		root.SetOut(out)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- root.ExecuteContext(ctx) }() // awaited below
		for err := error(nil); err == nil && !strings.Contains(out.String(), "Then: "); {
			select {
			case <-out.wrote:
			case err = <-stopped:
				require.ErrorContains(t, err, "address already in use")
			}
		}
		if out.String() == "" {
			cancel()
			continue
		}
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-stopped)
		})
		return port, out
	}
	t.Fatal("no port is free")
	return "", nil
}

// get returns the answer's header and body; its status must be fine.
func get(t *testing.T, url string) (http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return response.Header, string(body)
}

// TestDevServer: it says where it is and what to do, answers there, and stops when it is told to.
func TestDevServer(t *testing.T) {
	t.Parallel()
	port, out := startDev(t, "--urls", "http://127.0.0.1:1/api/inngest", "--retry-interval", "1s", "--poll-interval", "1h")
	origin := "http://localhost:" + port
	require.Contains(t, out.String(), `Stepwell dev v1.2.3: in memory, without keys, for this machine only

  HTTP   `+origin+`
  app    http://127.0.0.1:1/api/inngest

Run your app with INNGEST_DEV=`+origin+`. Then: stepwell send NAME --data '{}', stepwell runs show

`)
	_, body := get(t, "http://127.0.0.1:"+port+"/health")
	require.JSONEq(t, `{"status":200,"message":"OK"}`, body)

	header, body := get(t, "http://127.0.0.1:"+port+"/dev")
	require.Equal(t, "application/json", header.Get("Content-Type"))
	require.Equal(t, sdk.KindDev, header.Get(sdk.HeaderServerKind))
	require.JSONEq(t, `{"version":"v1.2.3","authed":false,"isSingleNodeService":false,"isMissingSigningKey":false,
		"isMissingEventKeys":false,"functions":[],"handlers":[],"features":{},
		"startOpts":{"urls":["http://127.0.0.1:1/api/inngest"],"autodiscover":false,"poll":true,"poll_interval":3600,"retry_interval":1,"require_keys":false}}`, body)

	sent, err := stepwell(t, "send", "a", "--json", "--server", "http://127.0.0.1:"+port)
	require.NoError(t, err)
	var published struct {
		EventID string `json:"event_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(sent), &published))
	require.Len(t, published.EventID, 26)
}

// TestDevServerListensAtBothLoopbackAddresses: programs differ in which one they try for localhost.
func TestDevServerListensAtBothLoopbackAddresses(t *testing.T) {
	t.Parallel()
	if !hasIPv6() {
		t.Skip("this machine has no IPv6")
	}
	port, _ := startDev(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		_, body := get(t, fmt.Sprintf("http://%s/health", net.JoinHostPort(host, port)))
		require.JSONEq(t, `{"status":200,"message":"OK"}`, body)
	}
}
