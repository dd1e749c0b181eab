// Package rpc sets up gRPC for every service: servers and clients with the same bounds, errors that survive the wire,
// and networks: TCP between processes, memory within one.
//
// It must not know any service.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	// messageBytesMax bounds a message: a run's whole state, or a publish request, and some.
	messageBytesMax = 72 << 20
	// DeadlineDefault bounds a call whose context has no deadline.
	DeadlineDefault = 30 * time.Second
	// DrainDefault is how long a stopping server usually waits for calls that are under way.
	DrainDefault = 10 * time.Second
)

// Network connects services by name.
type Network interface {
	// Listen returns the listener on which the service called name is to serve.
	Listen(name string) (Listener, error)
	// Dial returns a connection to the service called name, which need not be up yet. The caller closes it.
	// Options are added to those that are the same for all.
	Dial(name string, options ...grpc.DialOption) (*grpc.ClientConn, error)
}

// Listener is where a server serves, and how it treats connections from there.
type Listener struct {
	net.Listener
	options []grpc.ServerOption
	// drainFor bounds how long a stopping server waits for calls that are under way.
	drainFor time.Duration
}

// Server is a gRPC server with its health service.
type Server struct {
	listener Listener
	server   *grpc.Server
	health   *health.Server
	hold     *hold
}

// NewServer returns a server that serves on the listener once it runs; register calls the services' Register on it.
func NewServer(listener Listener, log *slog.Logger, register ...func(grpc.ServiceRegistrar)) *Server {
	held := &hold{}
	options := append(slices.Clone(listener.options),
		grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.MaxSendMsgSize(messageBytesMax),
		grpc.ChainUnaryInterceptor(serveUnary(log), held.serveUnary),
		grpc.ChainStreamInterceptor(serveStream(log), held.serveStream),
	)
	s := &Server{listener: listener, health: health.NewServer(), hold: held, server: grpc.NewServer(options...)}
	healthv1.RegisterHealthServer(s.server, s.health)
	for _, r := range register {
		r(s.server)
	}
	return s
}

// Run serves until the context ends, then lets calls that are under way finish, for a while.
func (s *Server) Run(ctx context.Context) error {
	s.hold.askFirst(ctx)
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener.Listener) }() // awaited below
	select {
	case err := <-served:
		return fmt.Errorf("serve gRPC: %w", err)
	case <-ctx.Done():
	}
	s.health.Shutdown()
	forced := time.AfterFunc(s.listener.drainFor, s.server.Stop)
	defer forced.Stop()
	s.server.GracefulStop()
	if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // it was stopped before it had begun
		return err
	}
	return nil
}

// serveUnary turns a panic into an error and an error into a status.
func serveUnary(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (_ any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = panicked(ctx, log, info.FullMethod, p)
			}
		}()
		response, err := handle(ctx, request)
		if err != nil {
			return nil, ToStatus(err).Err()
		}
		return response, nil
	}
}

// serveStream is serveUnary for streams.
func serveStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = panicked(stream.Context(), log, info.FullMethod, p)
			}
		}()
		if err := handle(service, stream); err != nil {
			return ToStatus(err).Err()
		}
		return nil
	}
}

// panicked logs a panic and is what the caller is told.
func panicked(ctx context.Context, log *slog.Logger, method string, why any) error {
	log.ErrorContext(ctx, "call panicked",
		slog.String("method", method), slog.Any("panic", why), slog.String("stack", string(debug.Stack())))
	return status.Error(codes.Internal, "internal error: the server's log says more")
}

// dialOptions are the same for every network.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax),
		),
		grpc.WithUnaryInterceptor(callUnary),
		grpc.WithIdleTimeout(0), // connections wait for calls, not calls for connections
	}
}

// callUnary gives every call a deadline and turns statuses back into errors.
func callUnary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DeadlineDefault)
		defer cancel()
	}
	err := invoke(ctx, method, request, reply, conn, options...)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return ctx.Err()
	}
	return FromStatus(status.Convert(err))
}

// Ready asks the service at the other end whether it serves.
func Ready(ctx context.Context, conn grpc.ClientConnInterface) error {
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err == nil && answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		err = fmt.Errorf("%w: it is %s", stepwell.ErrUnavailable, strings.ToLower(answer.GetStatus().String()))
	}
	return err
}

// RegisterReflection lets clients ask which services there are. It is for the public door only.
func RegisterReflection(r grpc.ServiceRegistrar) {
	if server, ok := r.(reflection.GRPCServer); ok {
		reflection.Register(server)
	}
}
