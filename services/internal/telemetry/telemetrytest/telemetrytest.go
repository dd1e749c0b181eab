// Package telemetrytest keeps what services measure and trace, for tests to look at. It works under fake time.
//
// It must not know any metric or span.
package telemetrytest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Seen is what was measured and traced.
type Seen struct {
	exporters *telemetry.Exporters
	spans     *tracetest.InMemoryExporter
}

// New returns telemetry that keeps everything, until the test ends.
func New(t *testing.T) (telemetry.Telemetry, *Seen) {
	t.Helper()
	exporters, err := telemetry.Open(t.Context(), telemetry.DefaultConfig(),
		telemetry.Program{Name: "test", Scraped: true, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	s := &Seen{exporters: exporters, spans: tracetest.NewInMemoryExporter()}
	tracers := telemetry.NewTracers(1, sdktrace.WithSyncer(s.spans))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, tracers.Shutdown(ctx))
		require.NoError(t, exporters.Close(ctx))
	})
	return telemetry.Telemetry{Meters: exporters.Telemetry().Meters, Tracers: tracers}, s
}

// Span is a span that ended.
type Span struct {
	Name string
	// Trace is the span's own, Parent that of the span above, none if there is none.
	Trace, Parent stepwell.Trace
	Links         []stepwell.Trace
	Attributes    map[string]string
	Failure       string
	tracetest.SpanStub
}

// Spans are the spans that ended, in the order they did.
func (s *Seen) Spans() []Span {
	stubs := s.spans.GetSpans()
	spans := make([]Span, len(stubs))
	for i, stub := range stubs {
		sc, parent := stub.SpanContext, stub.Parent
		spans[i] = Span{
			Name:       stub.Name,
			Trace:      stepwell.Trace{ID: sc.TraceID(), Span: sc.SpanID(), Sampled: sc.IsSampled()},
			Parent:     stepwell.Trace{ID: parent.TraceID(), Span: parent.SpanID(), Sampled: parent.IsSampled()},
			Attributes: attributesOf(stub.Attributes), Failure: stub.Status.Description, SpanStub: stub,
		}
		for _, link := range stub.Links {
			to := link.SpanContext
			spans[i].Links = append(spans[i].Links,
				stepwell.Trace{ID: to.TraceID(), Span: to.SpanID(), Sampled: to.IsSampled()})
		}
	}
	return spans
}

// Named are those of the spans with a name.
func (s *Seen) Named(name string) []Span {
	var named []Span
	for _, span := range s.Spans() {
		if span.Name == name {
			named = append(named, span)
		}
	}
	return named
}

func attributesOf(attributes []attribute.KeyValue) map[string]string {
	texts := map[string]string{}
	for _, a := range attributes {
		texts[string(a.Key)] = a.Value.String()
	}
	return texts
}

// Metrics is the text that Prometheus would read now.
func (s *Seen) Metrics(t *testing.T) string {
	t.Helper()
	answer := httptest.NewRecorder()
	s.exporters.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	return answer.Body.String()
}

// Value is the value of a series as Prometheus would read it now, such as `stepwell_events_acked_total{transport="http"}`;
// 0 if there is none.
func (s *Seen) Value(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(s.Metrics(t)) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), series+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			return value
		}
	}
	return 0
}
