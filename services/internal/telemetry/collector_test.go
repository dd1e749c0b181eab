package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	metricsv1 "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracesv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// collector takes OTLP.
type collector struct {
	tracesv1.UnimplementedTraceServiceServer

	mu     sync.Mutex
	spans  []string
	names  []string
	metric []string
}

func (c *collector) Export(
	_ context.Context, m *tracesv1.ExportTraceServiceRequest,
) (*tracesv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range m.GetResourceSpans() {
		for _, a := range r.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.names = append(c.names, a.GetValue().GetStringValue())
			}
		}
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				c.spans = append(c.spans, span.GetName())
			}
		}
	}
	return &tracesv1.ExportTraceServiceResponse{}, nil
}

// metrics is the collector's other service.
type metrics struct {
	metricsv1.UnimplementedMetricsServiceServer
	*collector
}

func (c metrics) Export(
	_ context.Context, m *metricsv1.ExportMetricsServiceRequest,
) (*metricsv1.ExportMetricsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range m.GetResourceMetrics() {
		for _, s := range r.GetScopeMetrics() {
			for _, metric := range s.GetMetrics() {
				c.metric = append(c.metric, metric.GetName())
			}
		}
	}
	return &metricsv1.ExportMetricsServiceResponse{}, nil
}

// startCollector returns a collector and where it listens.
func startCollector(t *testing.T) (*collector, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c, server := &collector{}, grpc.NewServer()
	tracesv1.RegisterTraceServiceServer(server, c)
	metricsv1.RegisterMetricsServiceServer(server, metrics{collector: c})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return c, "http://" + listener.Addr().String()
}

func program(log *slog.Logger) telemetry.Program {
	return telemetry.Program{Name: "stepwell-test", Version: "v1", Instance: "one", Log: log}
}

// TestWhatIsLeftIsSentWhenTheProgramEnds: nobody waits for the next time, so all of it is here.
func TestWhatIsLeftIsSentWhenTheProgramEnds(t *testing.T) {
	t.Parallel()
	c, endpoint := startCollector(t)
	config := telemetry.Config{OTLPEndpoint: endpoint, TraceRatio: 1, OTLPMetrics: true}
	exporters, err := telemetry.Open(t.Context(), config, program(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	tracer := exporters.Telemetry().Tracer()
	for range 3 {
		_, span := tracer.Begin(t.Context(), stepwell.Trace{}, "event-api.Publish", trace.SpanKindServer)
		span.End(nil)
	}
	exporters.Telemetry().Meter().Counter("stepwell.events.acked", "{event}", "Events").Add(t.Context(), 1, telemetry.Labels{})
	require.NoError(t, exporters.Close(t.Context()))
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, []string{"event-api.Publish", "event-api.Publish", "event-api.Publish"}, c.spans)
	require.Equal(t, []string{"stepwell-test"}, c.names)
	require.ElementsMatch(t, []string{"stepwell.events.acked", "stepwell.telemetry.spans"}, c.metric)
}

// TestCollectorThatIsAwayCostsSpansOnly: nothing waits for it, the queue is bounded, and the end is not put off for long.
func TestCollectorThatIsAwayCostsSpansOnly(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	var out bytes.Buffer
	exporters, err := telemetry.Open(t.Context(), telemetry.Config{OTLPEndpoint: endpoint, TraceRatio: 1},
		program(slog.New(slog.NewTextHandler(&out, nil))))
	require.NoError(t, err)
	tracer := exporters.Telemetry().Tracer()
	for range 20_000 {
		_, span := tracer.Begin(t.Context(), stepwell.Trace{}, "event-api.Publish", trace.SpanKindServer)
		span.End(nil)
	}
	require.Error(t, exporters.Close(t.Context()))
}
