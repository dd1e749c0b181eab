package daemon_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/rpc"
)

func TestDoorIsChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, daemon.DefaultDoor().Validate())
	require.NoError(t, daemon.Door{Port: 1}.Validate())
	require.EqualError(t, daemon.Door{GRPCPort: -1}.Validate(),
		"port is 0, it must be 1 to 65535\ngrpc_port is -1, it must be 0 to 65535")
	require.EqualError(t, daemon.Door{Port: 65536, GRPCPort: 65536}.Validate(),
		"port is 65536, it must be 1 to 65535\ngrpc_port is 65536, it must be 0 to 65535\nport and grpc_port are both 65536")
	const apart = "tls_certificate and tls_key belong together: give all of them or none"
	require.EqualError(t, daemon.Door{Port: 1, TLSCertificate: "tls.crt"}.Validate(), apart)
	require.EqualError(t, daemon.Door{Port: 1, TLSKey: "tls.key"}.Validate(), apart)
	require.NoError(t, daemon.Door{Port: 1, TLSCertificate: "tls.crt", TLSKey: "tls.key"}.Validate())
	require.Equal(t, "[::1]:80", daemon.Door{Host: "::1", Port: 80}.HTTPAddress())
	require.Equal(t, ":81", daemon.Door{Port: 80, GRPCPort: 81}.GRPCAddress())
	require.Empty(t, daemon.Door{Port: 80}.GRPCAddress())
}

// busy returns a listener for which a port was found.
func busy(t *testing.T) (net.Listener, int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener, listener.Addr().(*net.TCPAddr).Port
}

// TestTakenAddressIsToldWithItsSetting, whichever it is.
func TestTakenAddressIsToldWithItsSetting(t *testing.T) {
	t.Parallel()
	_, port := busy(t)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	open := func(d daemon.Door) func(context.Context, *daemon.Process) error {
		return func(ctx context.Context, p *daemon.Process) error { return p.Open(ctx, d, http.NotFoundHandler()) }
	}
	serve := func(_ context.Context, p *daemon.Process) error {
		network := daemon.DefaultNetwork()
		network.Listen = address
		return p.Serve(network)
	}
	serveAt := func(_ context.Context, p *daemon.Process) error {
		return p.ServeAt(daemon.DefaultNetwork(), "scaler_address", address)
	}
	for setting, test := range map[string]struct {
		compose func(context.Context, *daemon.Process) error
		args    []string
	}{
		"port: ":           {compose: open(daemon.Door{Host: "127.0.0.1", Port: port})},
		"grpc_port: ":      {compose: open(daemon.Door{Host: "127.0.0.1", GRPCPort: port})},
		"network.listen: ": {compose: serve},
		"scaler_address: ": {compose: serveAt},
		"probe_address: ":  {compose: nothing, args: []string{"--probe-address", address}},
		"admin.address: ":  {compose: nothing, args: []string{"--admin-address", address, "--admin-token", adminToken}},
	} {
		p := newProgram(test.compose)
		_, err := p.run(t.Context(), p.Command(), test.args...)
		require.ErrorContains(t, err, setting)
		require.ErrorContains(t, err, "address already in use. Is another server running?")
	}
}

// get returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// startAtFreePorts starts a program that listens at two ports, and returns when it does. Somebody else may be faster at a
// port; then there is another try.
func startAtFreePorts(
	t *testing.T, compose func(ctx context.Context, p *daemon.Process, d daemon.Door) error, args ...string,
) (d daemon.Door, stop func(), wait func() error) {
	t.Helper()
	for range 20 {
		web, webPort := busy(t)
		rest, restPort := busy(t)
		d = daemon.Door{Host: "127.0.0.1", Port: webPort, GRPCPort: restPort}
		require.NoError(t, errors.Join(web.Close(), rest.Close()))
		running := make(chan struct{})
		p := newProgram(func(ctx context.Context, p *daemon.Process) error {
			p.Add("last", func(ctx context.Context) error { close(running); <-ctx.Done(); return nil })
			return compose(ctx, p, d)
		})
		for i, arg := range args {
			args[i] = strings.ReplaceAll(arg, "ADDRESS", d.HTTPAddress())
		}
		stop, wait = p.start(t, args...)
		select {
		case <-running:
			return d, stop, wait
		case <-p.ended:
			require.ErrorContains(t, wait(), "address already in use")
		}
	}
	t.Fatal("no port is free")
	return d, stop, wait
}

// TestOpenDoor serves the program's own routes beside the probes, and gRPC at a port of its own.
func TestOpenDoor(t *testing.T) {
	t.Parallel()
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	d, stop, wait := startAtFreePorts(t, func(ctx context.Context, p *daemon.Process, d daemon.Door) error {
		return p.Open(ctx, d, teapot)
	})
	status, body := get(t, "http://"+d.HTTPAddress()+"/livez")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"alive"}`, body)
	status, _ = get(t, "http://"+d.HTTPAddress()+"/e/key")
	require.Equal(t, http.StatusTeapot, status)
	serves(t, d.GRPCAddress(), insecure.NewCredentials())
	stop()
	require.NoError(t, wait())
}

// healthOf asks a server over gRPC whether it serves.
func healthOf(t *testing.T, address string, secured credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(secured))
	require.NoError(t, err)
	return errors.Join(rpc.Ready(t.Context(), conn), conn.Close())
}

// serves waits until the health of a server says that it serves, which it does when the program was seen to be ready.
func serves(t *testing.T, address string, secured credentials.TransportCredentials) {
	t.Helper()
	require.Eventually(t, func() bool { return healthOf(t, address, secured) == nil }, patience, 10*time.Millisecond)
}

// TestOpenDoorWhileDraining: work is taken as before, over HTTP and gRPC, while readiness and health send others elsewhere.
func TestOpenDoorWhileDraining(t *testing.T) {
	t.Parallel()
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	enough := make(chan struct{})
	d, stop, wait := startAtFreePorts(t, func(ctx context.Context, p *daemon.Process, d daemon.Door) error {
		p.Add("test", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-enough:
			}
			return nil
		})
		return p.Open(ctx, d, teapot, rpc.RegisterReflection)
	}, "--drain-delay=10m")
	serves(t, d.GRPCAddress(), insecure.NewCredentials())
	conn, err := grpc.NewClient(d.GRPCAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	works := func() {
		status, _ := get(t, "http://"+d.HTTPAddress()+"/e/key")
		require.Equal(t, http.StatusTeapot, status)
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
		}))
		answer, err := stream.Recv()
		require.NoError(t, err)
		require.NotEmpty(t, answer.GetListServicesResponse().GetService())
		require.NoError(t, stream.CloseSend())
	}
	works()
	stop()
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+d.HTTPAddress()+"/readyz")
		return status == http.StatusServiceUnavailable
	}, patience, 10*time.Millisecond)
	_, body := get(t, "http://"+d.HTTPAddress()+"/readyz")
	require.JSONEq(t, `{"status":"draining"}`, body)
	require.ErrorContains(t, rpc.Ready(t.Context(), conn), "it is not_serving")
	require.ErrorContains(t, healthOf(t, d.GRPCAddress(), insecure.NewCredentials()), "it is not_serving", "also if asked anew")
	works()
	require.NoError(t, conn.Close())
	close(enough)
	require.NoError(t, wait())
}

// TestServeOnceReady: until the program can do its work, it refuses calls with the reason; who needs it is not ready.
func TestServeOnceReady(t *testing.T) {
	t.Parallel()
	var done atomic.Bool
	d, _, _ := startAtFreePorts(t, func(_ context.Context, p *daemon.Process, d daemon.Door) error {
		network := daemon.Network{Listen: d.GRPCAddress(), State: "a:1", Runner: "a:1", Executor: "a:1"}
		return p.ServeOnceReady(network, "postgres", func(context.Context) error {
			if !done.Load() {
				return errors.New("the schema is behind")
			}
			return nil
		}, rpc.RegisterReflection)
	}, "--probe-address", "ADDRESS")
	require.Eventually(t, func() bool {
		status, body := get(t, "http://"+d.HTTPAddress()+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"status":"not ready"`)
	}, patience, 10*time.Millisecond)
	conn, err := grpc.NewClient(d.GRPCAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	ask := func() error {
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		require.NoError(t, err)
		_ = stream.CloseSend()
		_, err = stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	require.ErrorContains(t, ask(), "the service does not serve yet: the schema is behind")
	require.ErrorContains(t, rpc.Ready(t.Context(), conn), "it is not_serving")
	done.Store(true)
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+d.HTTPAddress()+"/readyz")
		return status == http.StatusOK
	}, patience, 10*time.Millisecond)
	require.NoError(t, ask(), "who is told that it is ready is served")
	require.NoError(t, rpc.Ready(t.Context(), conn))
	require.NoError(t, conn.Close())
}

// TestProbeAddress: programs without a public door have their probes there, and nothing else.
func TestProbeAddress(t *testing.T) {
	t.Parallel()
	d, _, _ := startAtFreePorts(t, func(context.Context, *daemon.Process, daemon.Door) error { return nil },
		"--probe-address", "ADDRESS")
	for path, wanted := range map[string]int{"/livez": 200, "/health": 200, "/metrics": 404, "/other": 404} {
		status, _ := get(t, "http://"+d.HTTPAddress()+path)
		require.Equal(t, wanted, status, path)
	}
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+d.HTTPAddress()+"/startupz")
		return status == http.StatusOK
	}, time.Minute, checkEvery/20)
}

// TestProgramsOfANetwork: one is ready when the service that it needs serves, and does not need the other.
func TestProgramsOfANetwork(t *testing.T) {
	t.Parallel()
	d, stop, wait := startAtFreePorts(t, func(_ context.Context, p *daemon.Process, d daemon.Door) error {
		return p.Serve(daemon.Network{Listen: d.GRPCAddress(), State: "a:1", Runner: "a:1", Executor: "a:1"})
	})
	problems := make(chan error)
	caller := newProgram(func(ctx context.Context, p *daemon.Process) error {
		network := daemon.Network{Listen: ":0", State: d.GRPCAddress(), Runner: d.HTTPAddress(), Executor: "a:1"}
		needed, err := p.Dial(network, "state")
		if err != nil {
			return err
		}
		if _, err = p.DialOptional(network, "runner"); err != nil {
			return err
		}
		p.Add("till", func(ctx context.Context) error {
			problems <- rpc.Ready(ctx, needed)
			<-ctx.Done()
			return nil
		})
		_, err = p.Dial(network, "bank")
		require.ErrorContains(t, err, "bank: no target is configured")
		return nil
	})
	_, _ = caller.start(t)
	require.NoError(t, <-problems)
	stop()
	require.NoError(t, wait())
	require.Eventually(t, func() bool { return len(caller.log.with(`"not ready" dependency=state`)) > 0 }, time.Minute, checkEvery/20)
}
