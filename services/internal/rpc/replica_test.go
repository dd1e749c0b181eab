package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// replica is one replica of a service, on a port of its own. It answers with its name.
type replica struct {
	healthv1.UnimplementedHealthServer
	name    string
	host    string // "host:port"
	handle  func(context.Context) error
	cancel  context.CancelFunc
	stopped chan error
	calls   atomic.Int64
}

// List is the RPC of these tests: the answer's one key is the replica's name.
func (r *replica) List(ctx context.Context, _ *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	r.calls.Add(1)
	if r.handle != nil {
		if err := r.handle(ctx); err != nil {
			return nil, err
		}
	}
	return &healthv1.HealthListResponse{Statuses: map[string]*healthv1.HealthCheckResponse{r.name: nil}}, nil
}

// start serves on a free port, or on that of a listener. The test ends it.
func (r *replica) start(t *testing.T, config TCPConfig) *replica {
	t.Helper()
	config.Addresses = map[string]string{"service": "127.0.0.1:0"}
	network, err := NewTCP(config)
	require.NoError(t, err)
	listener, err := network.Listen("service")
	require.NoError(t, err)
	r.host = listener.Addr().String()
	r.serve(t, listener)
	return r
}

func (r *replica) serve(t *testing.T, listener Listener) {
	t.Helper()
	description := healthv1.Health_ServiceDesc
	description.ServiceName = "test.Service"
	server := NewServer(listener, slog.New(slog.DiscardHandler), func(registrar grpc.ServiceRegistrar) {
		registrar.RegisterService(&description, r)
	})
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	r.stopped = make(chan error, 1)
	go func() { r.stopped <- server.Run(ctx) }() // stop waits for it
	t.Cleanup(func() { r.stop(t) })
}

func (r *replica) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err, running := <-r.stopped; running {
		require.NoError(t, err)
		close(r.stopped)
	}
}

// client is a connection to all replicas of a service.
func client(t *testing.T, config TCPConfig, hosts ...string) *grpc.ClientConn {
	t.Helper()
	config.Targets = map[string]string{"service": strings.Join(hosts, ",")}
	network, err := NewTCP(config)
	require.NoError(t, err)
	network.resolveEvery = resolveWaitMin
	conn, err := network.Dial("service")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// call returns the name of the replica that answered.
func call(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	response := &healthv1.HealthListResponse{}
	err := conn.Invoke(ctx, "/test.Service/List", &healthv1.HealthListRequest{}, response)
	for name := range response.GetStatuses() {
		return name, err
	}
	return "", err
}

// callUntil calls until a replica answers; calls in between must not fail.
func callUntil(t *testing.T, conn *grpc.ClientConn, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		answered, err := call(t.Context(), conn)
		return err == nil && answered == name
	}, 10*time.Second, time.Millisecond)
}

// hosts is what a test's DNS knows.
type hosts struct {
	mu    sync.Mutex
	known map[string][]string
	fail  error
	asked atomic.Int64
}

func (h *hosts) lookup(_ context.Context, host string) ([]string, error) {
	h.asked.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return nil, h.fail
	}
	if addresses, known := h.known[host]; known {
		return addresses, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (h *hosts) set(fail error, known ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail, h.known = fail, map[string][]string{}
	for _, host := range known {
		h.known[host] = []string{"127.0.0.1"}
	}
}

// whileAsked does something until hosts were looked up a few times more.
func (h *hosts) whileAsked(t *testing.T, do func()) {
	t.Helper()
	enough := h.asked.Load() + 6
	require.Eventually(t, func() bool {
		do()
		return h.asked.Load() >= enough
	}, 10*time.Second, time.Millisecond)
}

func port(t *testing.T, r *replica) string {
	t.Helper()
	_, number, err := net.SplitHostPort(r.host)
	require.NoError(t, err)
	return number
}

// TestReplicaThatComesLaterGetsWork: calls wait for the first one, and the next one is found without any call failing.
func TestReplicaThatComesLaterGetsWork(t *testing.T) {
	t.Parallel()
	first := (&replica{name: "first"}).start(t, TCPConfig{})
	second := (&replica{name: "second"}).start(t, TCPConfig{})
	dns := &hosts{}
	conn := client(t, TCPConfig{LookupHost: dns.lookup}, "first:"+port(t, first), "second:"+port(t, second))
	answers := make(chan string, 1)
	go func() {
		answered, err := call(t.Context(), conn)
		if err != nil {
			answered = err.Error()
		}
		answers <- answered
	}()
	dns.whileAsked(t, func() { require.Empty(t, answers, "nobody is there yet") })
	dns.set(nil, "first")
	require.Equal(t, "first", <-answers)
	for range 10 {
		answered, err := call(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, "first", answered)
	}
	dns.set(nil, "first", "second")
	callUntil(t, conn, "second")
	callUntil(t, conn, "first")

	// Trouble with DNS takes no replica away.
	dns.set(errors.New("DNS does not answer"))
	dns.whileAsked(t, func() {
		_, err := call(t.Context(), conn)
		require.NoError(t, err)
	})
	// One that has left gets no more work.
	dns.set(nil, "second")
	require.Eventually(t, func() bool {
		before := first.calls.Load()
		for range 4 {
			_, err := call(t.Context(), conn)
			require.NoError(t, err)
		}
		return first.calls.Load() == before
	}, 10*time.Second, 10*time.Millisecond)
}
