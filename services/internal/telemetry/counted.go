package telemetry

import (
	"context"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// spanCount counts spans: those that ended, and those that were sent. What is missing was dropped, or is still to be
// sent.
type spanCount struct {
	spans               Counter
	ended, sent, failed Labels
}

// CountSpans makes the metric by which a program that sends spans counts them.
func CountSpans(t Telemetry) { newSpanCount(t.Meter()) }

func newSpanCount(meter *Meter) spanCount {
	return spanCount{
		spans: meter.Counter("stepwell.telemetry.spans", "{span}",
			"Spans that ended, and of those the ones that were sent or could not be; the rest was dropped, or waits"),
		ended: Label("result", "ended"), sent: Label("result", "sent"), failed: Label("result", "failed"),
	}
}

// countSent counts what an exporter sends.
type countSent struct {
	sdktrace.SpanExporter
	count spanCount
}

// ExportSpans implements sdktrace.SpanExporter.
func (c countSent) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	result := c.count.sent
	if err != nil {
		result = c.count.failed
	}
	c.count.spans.Add(ctx, len(spans), result)
	return err
}

// countEnded counts what is to be sent.
type countEnded struct {
	sdktrace.SpanProcessor
	count spanCount
}

// OnEnd implements sdktrace.SpanProcessor.
func (c countEnded) OnEnd(span sdktrace.ReadOnlySpan) {
	if span.SpanContext().IsSampled() {
		c.count.spans.Add(context.Background(), 1, c.count.ended)
	}
	c.SpanProcessor.OnEnd(span)
}

// seldom tells of errors, but not more often than now and then. It is an otel.ErrorHandler.
type seldom struct {
	every time.Duration
	tell  func(error)

	mu   sync.Mutex
	next time.Time
}

// Handle implements otel.ErrorHandler.
func (s *seldom) Handle(err error) {
	now := time.Now()
	s.mu.Lock()
	quiet := now.Before(s.next)
	if !quiet {
		s.next = now.Add(s.every)
	}
	s.mu.Unlock()
	if !quiet {
		s.tell(err)
	}
}
