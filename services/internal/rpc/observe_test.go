package rpc_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
)

// TestCallsGoOnWithTheTrace: the called goes on with the caller's trace, and knows nothing of one if there is none.
func TestCallsGoOnWithTheTrace(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	network := rpc.NewMemory()
	listener, err := network.Listen("service")
	require.NoError(t, err)
	var inside stepwell.Trace
	description := healthv1.Health_ServiceDesc
	description.ServiceName = "test.Service"
	server := rpc.NewServer(listener.Observed(telemeter), slog.New(slog.DiscardHandler), func(r grpc.ServiceRegistrar) {
		r.RegisterService(&description, &service{check: func(ctx context.Context) error {
			inside = telemetry.TraceOf(ctx)
			return stepwell.ErrConflict
		}})
	})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	conn, err := network.Dial("service", rpc.Observed(telemeter)...)
	require.NoError(t, err)
	call := func(ctx context.Context) error {
		return conn.Invoke(ctx, "/test.Service/List", &healthv1.HealthListRequest{}, &healthv1.HealthListResponse{})
	}

	require.ErrorIs(t, call(ctx), stepwell.ErrConflict)
	require.False(t, inside.Sampled)
	require.NoError(t, rpc.Ready(ctx, conn), "a probe is no call")
	traced, span := telemeter.Tracer().Begin(ctx, stepwell.Trace{}, "test", trace.SpanKindServer)
	require.ErrorIs(t, call(traced), stepwell.ErrConflict)
	span.End(nil)
	require.Equal(t, span.Trace().ID, inside.ID)

	require.NoError(t, conn.Close())
	cancel()
	require.NoError(t, <-served)
	require.Len(t, seen.Spans(), 3)
	require.Len(t, seen.Named("test.Service/List"), 2, "at both ends")
	for _, end := range []string{"server", "client"} {
		require.InDelta(t, 2, seen.Value(t, "rpc_"+end+`_call_duration_seconds_count{rpc_method="test.Service/List",`+
			`rpc_response_status_code="ABORTED"}`), 0, "and nothing of addresses")
		require.NotContains(t, seen.Metrics(t), "Health")
	}
}

// TestNobodyListensCostsNothing.
func TestNobodyListensCostsNothing(t *testing.T) {
	t.Parallel()
	require.Empty(t, rpc.Observed(telemetry.Telemetry{}))
	listener, err := rpc.NewMemory().Listen("service")
	require.NoError(t, err)
	require.Equal(t, listener, listener.Observed(telemetry.Telemetry{}))
}
