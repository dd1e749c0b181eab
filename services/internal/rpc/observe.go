package rpc

import (
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Observed is the listener with metrics of each call, and a span below the caller's.
func (l Listener) Observed(t telemetry.Telemetry) Listener {
	if options := observing(t); options != nil {
		l.options = append(slices.Clone(l.options), grpc.StatsHandler(otelgrpc.NewServerHandler(options...)))
	}
	return l
}

// Observed makes a connection with metrics of each call, and a span that the called goes on with.
func Observed(t telemetry.Telemetry) []grpc.DialOption {
	options := observing(t)
	if options == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(options...))}
}

// observing are the options of both ends; nil if nobody listens, so that it costs nothing.
func observing(t telemetry.Telemetry) []otelgrpc.Option {
	if t.Meters == nil && t.Tracers == nil {
		return nil
	}
	if t.Meters == nil {
		t.Meters = metricnoop.NewMeterProvider()
	}
	if t.Tracers == nil {
		t.Tracers = tracenoop.NewTracerProvider()
	}
	return []otelgrpc.Option{
		otelgrpc.WithMeterProvider(t.Meters), otelgrpc.WithTracerProvider(t.Tracers),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(func(call *stats.RPCTagInfo) bool {
			return !strings.HasPrefix(call.FullMethodName, "/grpc.health.") // probes are nobody's work
		}),
	}
}
