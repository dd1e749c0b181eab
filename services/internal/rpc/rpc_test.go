package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrorsSurviveTheWire(t *testing.T) {
	t.Parallel()
	sentinels := []error{
		stepwell.ErrNotFound, stepwell.ErrConflict, stepwell.ErrInvalid, stepwell.ErrTooLarge, stepwell.ErrFull,
		stepwell.ErrUnauthorized, stepwell.ErrUnavailable, stepwell.ErrStale, stepwell.ErrLeaseLost, context.Canceled,
	}
	for i, sentinel := range sentinels {
		got := rpc.FromStatus(rpc.ToStatus(fmt.Errorf("load run 7: %w", sentinel)))
		require.ErrorIs(t, got, sentinel)
		require.EqualError(t, got, "load run 7: "+sentinel.Error())
		for j, other := range sentinels {
			require.Equal(t, i == j, errors.Is(got, other), "%v is %v", got, other)
		}
	}
	full := rpc.ToStatus(stepwell.ErrFull)
	require.Equal(t, codes.ResourceExhausted, full.Code())
	require.Equal(t, 5*time.Second, full.Details()[0].(*errdetails.RetryInfo).GetRetryDelay().AsDuration())
	require.ErrorIs(t, rpc.FromStatus(status.New(codes.DeadlineExceeded, "late")), stepwell.ErrUnavailable)
	require.ErrorIs(t, rpc.FromStatus(status.New(codes.Unimplemented, "unknown method")), stepwell.ErrUnavailable, "I32")
	require.NoError(t, rpc.FromStatus(status.New(codes.OK, "")))
	require.Equal(t, codes.Internal, rpc.ToStatus(errors.New("odd")).Code())
	require.EqualError(t, stepwell.Invalidf("name is empty"), "name is empty")
}

// service answers health checks in ways that a test chooses.
type service struct {
	healthv1.UnimplementedHealthServer
	check func(context.Context) error
}

func (s *service) List(ctx context.Context, _ *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	return &healthv1.HealthListResponse{}, s.check(ctx)
}

// serve runs a server on a memory network and returns a client; the server is replaced by check.
func serve(t *testing.T, check func(context.Context) error) (call func(context.Context) error, stop func()) {
	t.Helper()
	network := rpc.NewMemory()
	listener, err := network.Listen("service")
	require.NoError(t, err)
	description := healthv1.Health_ServiceDesc
	description.ServiceName = "test.Service"
	server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), func(r grpc.ServiceRegistrar) {
		r.RegisterService(&description, &service{check: check})
	})
	conn, err := network.Dial("service")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stop = func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, conn.Close())
	}
	call = func(ctx context.Context) error {
		return conn.Invoke(ctx, "/test.Service/List", &healthv1.HealthListRequest{}, &healthv1.HealthListResponse{})
	}
	return call, stop
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	call, stop := serve(t, func(context.Context) error { panic("I7") })
	defer stop()
	require.Equal(t, codes.Internal, status.Code(call(t.Context())))
}

// TestStreamsSurviveTheWire as calls do: their errors, and panics.
func TestStreamsSurviveTheWire(t *testing.T) {
	t.Parallel()
	network := rpc.NewMemory()
	listener, err := network.Listen("service")
	require.NoError(t, err)
	var ends func() error
	description := grpc.ServiceDesc{ServiceName: "test.Service", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Watch", ServerStreams: true, Handler: func(any, grpc.ServerStream) error { return ends() },
	}}}
	server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), func(r grpc.ServiceRegistrar) {
		r.RegisterService(&description, struct{}{})
	})
	conn, err := network.Dial("service")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	watch := func() error {
		stream, err := conn.NewStream(t.Context(), &description.Streams[0], "/test.Service/Watch")
		require.NoError(t, err)
		require.NoError(t, stream.CloseSend())
		return stream.RecvMsg(&healthv1.HealthCheckResponse{})
	}
	ends = func() error { return fmt.Errorf("watch the till: %w", stepwell.ErrUnavailable) }
	require.EqualError(t, watch(), "rpc error: code = Unavailable desc = watch the till: unavailable")
	ends = func() error { panic("I7") }
	require.Equal(t, codes.Internal, status.Code(watch()))
	ends = func() error { return nil }
	require.ErrorIs(t, watch(), io.EOF)
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, conn.Close())
}

func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, stop := serve(t, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		defer stop()
		begin := time.Now()
		require.ErrorIs(t, call(t.Context()), stepwell.ErrUnavailable)
		require.Equal(t, rpc.DeadlineDefault, time.Since(begin))
	})
}

// TestServerThatIsStoppedBeforeItBegins ends well, and gives its listener back.
func TestServerThatIsStoppedBeforeItBegins(t *testing.T) {
	t.Parallel()
	for range 50 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		server := rpc.NewServer(rpc.NewListener(listener, nil, 0), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		server.HoldUntil(func(context.Context) error { cancel(); return nil })
		require.NoError(t, server.Run(ctx))
		_, err = listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

func TestStoppingServerLetsCallsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, stop := serve(t, func(context.Context) error {
			<-time.After(time.Second)
			return stepwell.ErrConflict
		})
		done := make(chan error, 1)
		go func() { done <- call(t.Context()) }()
		synctest.Wait()
		stop()
		require.ErrorIs(t, <-done, stepwell.ErrConflict)
	})
}
