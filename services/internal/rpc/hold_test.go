package rpc

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestServerThatIsReadyRefusesNoCall, not even the first one.
func TestServerThatIsReadyRefusesNoCall(t *testing.T) {
	t.Parallel()
	network := NewMemory()
	listener, err := network.Listen("service")
	require.NoError(t, err)
	conn, err := network.Dial("service")
	require.NoError(t, err)
	first := make(chan error, 1)
	go func() { first <- Ready(t.Context(), conn) }() // awaited below
	server := NewServer(listener, slog.New(slog.DiscardHandler))
	server.HoldUntil(func(ctx context.Context) error {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	require.NoError(t, <-first)
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, conn.Close())
}

// TestHeldServerRefusesCalls, of streams too, and says why; health is answered. Once it was ready it serves for good, since
// what fails later tells by itself.
func TestHeldServerRefusesCalls(t *testing.T) {
	t.Parallel()
	network, served := NewMemory(), atomic.Int64{}
	listener, err := network.Listen("service")
	require.NoError(t, err)
	answer := func(context.Context, any) (any, error) {
		served.Add(1)
		return &healthv1.HealthCheckResponse{}, nil
	}
	description := grpc.ServiceDesc{ServiceName: "test.Service", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
			request := &healthv1.HealthCheckRequest{}
			if err := read(request); err != nil {
				return nil, err
			}
			return through(ctx, request, &grpc.UnaryServerInfo{FullMethod: "/test.Service/Call"}, answer)
		},
	}}, Streams: []grpc.StreamDesc{{
		StreamName: "Watch", ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			response, err := answer(stream.Context(), nil)
			require.NoError(t, err)
			return stream.SendMsg(response)
		},
	}}}
	server := NewServer(listener, slog.New(slog.DiscardHandler), func(registrar grpc.ServiceRegistrar) {
		registrar.RegisterService(&description, struct{}{})
	})
	var behind atomic.Pointer[error]
	var asks atomic.Int64
	why := errors.New("the schema is at version 0")
	behind.Store(&why)
	asked := server.HoldUntil(func(context.Context) error {
		asks.Add(1)
		if why := behind.Load(); why != nil {
			return *why
		}
		return nil
	})
	conn, err := network.Dial("service")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }() // awaited below
	call := func() error {
		return conn.Invoke(t.Context(), "/test.Service/Call", &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckResponse{})
	}
	watch := func() error {
		stream, err := conn.NewStream(t.Context(), &description.Streams[0], "/test.Service/Watch")
		require.NoError(t, err)
		require.NoError(t, stream.CloseSend())
		return FromStatus(status.Convert(stream.RecvMsg(&healthv1.HealthCheckResponse{})))
	}
	refused := func(why string) {
		for _, err := range []error{call(), watch()} {
			require.ErrorIs(t, err, stepwell.ErrUnavailable)
			require.EqualError(t, err, "unavailable: the service does not serve yet: "+why)
		}
		require.ErrorContains(t, Ready(t.Context(), conn), "it is not_serving")
	}
	refused("the schema is at version 0")
	require.Equal(t, int64(1), asks.Load())
	later := errors.New("the schema is at version 1")
	behind.Store(&later)
	require.ErrorIs(t, asked(t.Context()), later)
	refused("the schema is at version 1")
	require.Zero(t, served.Load())

	behind.Store(nil)
	require.NoError(t, asked(t.Context()))
	require.NoError(t, call())
	require.NoError(t, watch())
	require.NoError(t, Ready(t.Context(), conn))
	behind.Store(&why)
	require.ErrorIs(t, asked(t.Context()), why)
	require.NoError(t, call())
	require.NoError(t, Ready(t.Context(), conn))
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, conn.Close())
}
