package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kept and dropped are what publishers may send.
var (
	kept    = stepwell.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	dropped = stepwell.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
)

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	require.NoError(t, telemetry.DefaultConfig().Validate())
	for _, endpoint := range []string{"http://collector:4317", "https://collector:4317/", "http://[::1]:4317", ""} {
		require.NoError(t, telemetry.Config{OTLPEndpoint: endpoint}.Validate(), endpoint)
	}
	for _, endpoint := range []string{
		"collector:4317", "http://collector", "grpc://collector:4317", "http://u:p@collector:4317", "http://collector:4317/v1", "\n",
	} {
		require.ErrorContains(t, telemetry.Config{OTLPEndpoint: endpoint}.Validate(), "otlp_endpoint is", endpoint)
	}
	for _, ratio := range []float64{-0.1, 1.1, math.NaN()} {
		require.ErrorContains(t, telemetry.Config{TraceRatio: ratio}.Validate(), "trace_ratio is", ratio)
	}
	require.ErrorContains(t, telemetry.Config{OTLPMetrics: true}.Validate(), "otlp_metrics needs otlp_endpoint")
}

// traced is telemetry whose spans are kept for the test.
func traced(t *testing.T, ratio float64) (telemetry.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	tracers := telemetry.NewTracers(ratio, sdktrace.WithSyncer(spans))
	t.Cleanup(func() { require.NoError(t, tracers.Shutdown(context.WithoutCancel(t.Context()))) })
	return telemetry.Telemetry{Tracers: tracers}.Tracer(), spans
}

// TestNothingCostsNothing: where nobody listens, no allocation is made.
func TestNothingCostsNothing(t *testing.T) { //nolint:paralleltest // allocations of others would count
	var none telemetry.Telemetry
	tracer, meter := none.Tracer(), none.Meter()
	counter, durations := meter.Counter("a", "{thing}", ""), meter.Durations("b", "")
	sizes, labels := meter.Sizes("c", "{thing}", ""), telemetry.Label("d", "e")
	require.NoError(t, meter.Err())
	functions := telemetry.NewBounded(1, func(name string) telemetry.Labels { return telemetry.Label("fn", name) })
	functions.Of("f")
	ctx, finished := t.Context(), telemetry.Finished{Name: "g", Parent: kept, EndedAt: time.Now()}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		inside, span := tracer.Begin(ctx, kept, "begin", trace.SpanKindServer)
		inside, below := tracer.Start(inside, "start", trace.SpanKindInternal)
		_, other := tracer.Below(inside, kept, "below", trace.SpanKindInternal, time.Time{})
		other.End(nil)
		below.End(nil)
		span.End(errEnough)
		tracer.Record(ctx, finished)
		counter.Add(ctx, 1, functions.Of("f"))
		counter.Add(ctx, 1, functions.Of("too many"))
		durations.Record(ctx, time.Second, labels)
		sizes.Record(ctx, 1, labels)
	}))
	require.False(t, tracer.On())
	require.False(t, durations.On(ctx))
	var zero telemetry.Counter
	zero.Add(ctx, 1, labels) // does not panic
}

var errEnough = errors.New("enough")

func BenchmarkWithoutListeners(b *testing.B) {
	tracer, counter := telemetry.Telemetry{}.Tracer(), telemetry.Telemetry{}.Meter().Counter("a", "{thing}", "")
	labels := telemetry.Label("d", "e")
	b.ReportAllocs()
	for b.Loop() {
		_, span := tracer.Below(b.Context(), kept, "executor.Work", trace.SpanKindConsumer, time.Time{})
		counter.Add(b.Context(), 1, labels)
		span.End(nil)
	}
}

// TestMeasuringCostsNoAllocation: nor where somebody does listen.
func TestMeasuringCostsNoAllocation(t *testing.T) { //nolint:paralleltest // allocations of others would count
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.WithoutCancel(t.Context()))) })
	meter := telemetry.Telemetry{Meters: provider}.Meter()
	counter, durations := meter.Counter("a", "{thing}", ""), meter.Durations("b", "")
	ctx, labels := t.Context(), telemetry.Label("d", "e")
	require.True(t, durations.On(ctx))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		counter.Add(ctx, 1, labels)
		durations.Record(ctx, time.Second, labels)
	}))
}

func TestTracesAreThoseOfThePublisher(t *testing.T) {
	t.Parallel()
	tracer, spans := traced(t, 0) // whoever sends a traceparent decides
	ctx, span := tracer.Begin(t.Context(), kept, "begin", trace.SpanKindServer)
	require.True(t, span.On())
	require.Equal(t, span.Trace(), telemetry.TraceOf(ctx))
	require.Equal(t, kept.ID, span.Trace().ID)
	inner, below := tracer.Start(ctx, "start", trace.SpanKindInternal)
	below.Set(attribute.Int("count", 3))
	below.End(errEnough)
	span.End(nil)
	_, unkept := tracer.Begin(t.Context(), dropped, "begin", trace.SpanKindServer)
	require.False(t, unkept.On())
	require.Equal(t, dropped.ID, unkept.Trace().ID, "others are told of it all the same")
	unkept.End(nil)
	_, root := tracer.Begin(t.Context(), stepwell.Trace{}, "begin", trace.SpanKindServer)
	require.False(t, root.On())
	root.End(nil)
	require.NotEqual(t, telemetry.TraceOf(ctx), telemetry.TraceOf(inner))

	got := spans.GetSpans()
	require.Len(t, got, 2)
	require.Equal(t, "start", got[0].Name)
	require.Equal(t, "Error: enough", got[0].Status.Code.String()+": "+got[0].Status.Description)
	require.Equal(t, got[1].SpanContext.SpanID(), got[0].Parent.SpanID())
	require.Equal(t, trace.SpanID(kept.Span), got[1].Parent.SpanID())
}

func TestSpansBelowNoneAreNone(t *testing.T) {
	t.Parallel()
	tracer, spans := traced(t, 1)
	ctx, span := tracer.Start(t.Context(), "start", trace.SpanKindInternal)
	require.Equal(t, t.Context(), ctx)
	span.End(nil)
	require.Zero(t, span.Trace())
	for _, parent := range []stepwell.Trace{{}, dropped} {
		_, span = tracer.Below(t.Context(), parent, "below", trace.SpanKindInternal, time.Now())
		require.False(t, span.On())
		tracer.Record(t.Context(), telemetry.Finished{Name: "finished", Parent: parent, EndedAt: time.Now()})
	}
	_, span = tracer.Batch(t.Context(), "batch", nil)
	require.False(t, span.On())
	require.Empty(t, spans.GetSpans())
}

// TestFinishedSpansHaveChosenIDs, so that others could refer to them before.
func TestFinishedSpansHaveChosenIDs(t *testing.T) {
	t.Parallel()
	tracer, spans := traced(t, 0)
	run, err := stepwell.ParseRunID("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	require.NoError(t, err)
	end := time.Now()
	tracer.Record(t.Context(), telemetry.Finished{
		Name: "run", Parent: kept, ID: kept.Run(run).Span, StartedAt: end.Add(-time.Minute), EndedAt: end,
		Links: []stepwell.Trace{dropped}, Failure: strings.Repeat("x", 511) + "é", Attributes: []attribute.KeyValue{attribute.String("a", "b")},
	})
	tracer.Record(t.Context(), telemetry.Finished{
		Name: "step", Parent: kept.Run(run), StartedAt: end.Add(time.Hour), EndedAt: end,
	})
	got := spans.GetSpans()
	require.Len(t, got, 2)
	require.Equal(t, trace.SpanID(kept.Run(run).Span), got[0].SpanContext.SpanID())
	require.Equal(t, time.Minute, got[0].EndTime.Sub(got[0].StartTime))
	require.Equal(t, strings.Repeat("x", 511), got[0].Status.Description, "no half characters, or nothing could be sent")
	require.Len(t, got[0].Links, 1)
	require.Equal(t, got[0].SpanContext.SpanID(), got[1].Parent.SpanID())
	require.Equal(t, end.UnixNano(), got[1].StartTime.UnixNano(), "a clock that is wrong makes no span that ends before it began")
}

func TestBatchIsKeptAndLinkedToItsMembers(t *testing.T) {
	t.Parallel()
	tracer, spans := traced(t, 0)
	members := make([]stepwell.Trace, telemetry.LinksMax+1)
	for i := range members {
		members[i] = kept
	}
	_, batch := tracer.Batch(t.Context(), "batch", members)
	require.True(t, batch.On())
	_, member := tracer.Below(t.Context(), kept, "member", trace.SpanKindInternal, time.Now())
	member.Link(batch.Trace())
	member.Link(stepwell.Trace{})
	member.End(nil)
	batch.End(nil)
	got := spans.GetSpans()
	require.Len(t, got[0].Links, 1)
	require.Equal(t, got[1].SpanContext.SpanID(), got[0].Links[0].SpanContext.SpanID())
	require.Len(t, got[1].Links, telemetry.LinksMax)
	require.False(t, got[1].Parent.IsValid())
}

func TestOnlyAPartOfTracesIsKept(t *testing.T) {
	t.Parallel()
	tracer, spans := traced(t, 0.25)
	for range 1000 {
		_, span := tracer.Begin(t.Context(), stepwell.Trace{}, "begin", trace.SpanKindServer)
		span.End(nil)
	}
	require.Greater(t, len(spans.GetSpans()), 100)
	require.Less(t, len(spans.GetSpans()), 500)
}

// TestCallsBeginNoTrace: a service that looks for work each second would make one each second.
func TestCallsBeginNoTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tracers := telemetry.NewTracers(1, sdktrace.WithSyncer(spans))
	_, span := tracers.Tracer("calls").Start(t.Context(), "call", trace.WithSpanKind(trace.SpanKindClient))
	require.False(t, span.IsRecording())
	span.End()
	require.Empty(t, spans.GetSpans())
}

func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	made := 0
	bounded := telemetry.NewBounded(2, func(value string) telemetry.Labels {
		made++
		return telemetry.Label("fn", value)
	})
	for i := range 10 {
		bounded.Of(fmt.Sprint(i))
		bounded.Of("")
	}
	bounded.Of("0")
	require.Equal(t, 3, made, "two of their own, and one for all others")
}

func TestLogsHaveTheIDsOfTraces(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(telemetry.LogHandler{Handler: slog.NewJSONHandler(&out, nil)}).With(slog.String("a", "b"))
	log.InfoContext(t.Context(), "outside")
	require.NotContains(t, out.String(), "trace_id")
	tracer, _ := traced(t, 1)
	ctx, span := tracer.Begin(t.Context(), kept, "begin", trace.SpanKindServer)
	log.InfoContext(ctx, "inside")
	span.End(nil)
	require.Contains(t, out.String(), `"msg":"inside","a":"b","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"`)
	log.WithGroup("g").InfoContext(ctx, "in a group")
	require.Contains(t, out.String(), `"msg":"in a group","a":"b","g":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"`)
}

// scrape returns what Prometheus reads.
func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.String()
}

func TestMetricsForPrometheus(t *testing.T) {
	t.Parallel()
	exporters, err := telemetry.Open(t.Context(), telemetry.DefaultConfig(), telemetry.Program{
		Name: "stepwell-test", Version: "v1", Instance: "one", Scraped: true, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, exporters.Close(context.WithoutCancel(t.Context()))) })
	telemeter := exporters.Telemetry()
	require.Nil(t, telemeter.Tracers, "nobody reads them")
	for range 2 { // two services of one process
		meter := telemeter.Meter()
		meter.Counter("stepwell.events.acked", "{event}", "Events").Add(t.Context(), 2, telemetry.Label("transport", "http"))
		meter.Durations("stepwell.events.commit", "Time").Record(t.Context(), -time.Second, telemetry.Labels{})
		meter.Sizes("stepwell.batch.size", "{item}", "Size").Record(t.Context(), 3, telemetry.Labels{})
		require.NoError(t, meter.Err())
	}
	telemeter.Meter().Gauge("stepwell.workers.busy", "{worker}", "Workers", func(_ context.Context, observe telemetry.Observe) {
		observe(7, telemetry.Label("shard", "0"))
	})
	calls, err := telemeter.Meters.Meter("otelgrpc").Float64Histogram("rpc.client.call.duration", metric.WithUnit("s"))
	require.NoError(t, err)
	calls.Record(t.Context(), 1, metric.WithAttributes(attribute.String("rpc.method", "M"), attribute.String("server.address", "10.0.0.1")))
	text := scrape(t, exporters.Handler())
	for _, line := range []string{
		"# HELP stepwell_events_acked_total Events\n# TYPE stepwell_events_acked_total counter\n" +
			"stepwell_events_acked_total{transport=\"http\"} 4\n",
		"stepwell_events_commit_seconds_sum 0\n", "stepwell_events_commit_seconds_count 2\n",
		"stepwell_batch_size_bucket{le=\"4\"} 2\n", "stepwell_workers_busy{shard=\"0\"} 7\n",
		"rpc_client_call_duration_seconds_count{rpc_method=\"M\"} 1\n",
		`service_name="stepwell-test"`, `service_instance_id="one"`, `service_version="v1"`, "go_goroutines ", "process_open_fds ",
	} {
		require.Contains(t, text, line)
	}
}

func TestMistakesInInstrumentsAreTold(t *testing.T) {
	t.Parallel()
	meter := telemetry.Telemetry{Meters: sdkmetric.NewMeterProvider()}.Meter()
	meter.Counter("0 is no name", "", "")
	meter.Sizes("fine", "", "")
	require.ErrorContains(t, meter.Err(), "0 is no name")
}

func TestWithoutReadersThereIsNothing(t *testing.T) {
	t.Parallel()
	exporters, err := telemetry.Open(t.Context(), telemetry.DefaultConfig(), telemetry.Program{Name: "stepwell-test"})
	require.NoError(t, err)
	require.Zero(t, exporters.Telemetry())
	answer := httptest.NewRecorder()
	exporters.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusNotFound, answer.Code)
	require.NoError(t, exporters.Close(t.Context()))
}
