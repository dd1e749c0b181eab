package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// hold keeps a server from answering calls.
type hold struct {
	// why is nil once calls are answered.
	why atomic.Pointer[error]
	// ask asks whether they may be; nil if they always were.
	ask func(ctx context.Context) error
}

// firstAskTimeout bounds how long a server that is held waits before it refuses calls, since it may be ready already.
const firstAskTimeout = 2 * time.Second

// errNotAskedYet is why a server is held of which nobody has asked yet whether it is ready.
var errNotAskedYet = errors.New("it is starting")

// HoldUntil has the server refuse all calls as unavailable, with what ready says, until ready succeeds once; its health
// says so. Only health is answered. It is to be called before Run, which asks once, and returns ready as whoever wants to
// know must call it, again and again: so nobody takes the server for ready that still refuses.
func (s *Server) HoldUntil(ready func(ctx context.Context) error) (asked func(ctx context.Context) error) {
	s.hold.why.Store(&errNotAskedYet)
	s.SetServing(false)
	s.hold.ask = func(ctx context.Context) error {
		err := ready(ctx)
		before := s.hold.why.Load()
		switch {
		case before == nil:
		case err != nil:
			s.hold.why.CompareAndSwap(before, &err)
		case s.hold.why.Swap(nil) != nil:
			s.SetServing(true)
		}
		return err
	}
	return s.hold.ask
}

// askFirst asks before the first call can.
func (h *hold) askFirst(ctx context.Context) {
	if h.ask == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, firstAskTimeout)
	defer cancel()
	_ = h.ask(ctx) // calls are told, and whoever asks again
}

// SetServing sets what the server's health says. A server that stops says that it does not serve, whatever was set.
func (s *Server) SetServing(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
}

// refuse is why a call is not answered; nil if it is.
func (h *hold) refuse(method string) error {
	why := h.why.Load()
	if why == nil || strings.HasPrefix(method, "/"+healthv1.Health_ServiceDesc.ServiceName+"/") {
		return nil
	}
	return fmt.Errorf("%w: the service does not serve yet: %w", stepwell.ErrUnavailable, *why)
}

func (h *hold) serveUnary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	if err := h.refuse(info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

func (h *hold) serveStream(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	if err := h.refuse(info.FullMethod); err != nil {
		return err
	}
	return handle(service, stream)
}
