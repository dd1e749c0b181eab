package runner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// The names of a runner's spans.
const (
	spanRoute      = "runner.Route"
	spanEnqueue    = "runner.Enqueue"
	spanMatchWaits = "runner.MatchWaits"
	spanFire       = "runner.Fire"
)

// traced gives events that come from no publisher the trace of the context, so that their runs belong to it.
func traced(ctx context.Context, events []stepwell.Event) {
	for i := range events {
		if events[i].Trace.IsZero() {
			events[i].Trace = telemetry.KeptTraceOf(ctx)
		}
	}
}

// routing starts the span of deciding what the events of a request start, below that of the request.
func (s *Service) routing(ctx context.Context, events []stepwell.Event) (context.Context, telemetry.Span) {
	ctx, span := s.tracer.Start(ctx, spanRoute, trace.SpanKindInternal)
	if span.On() {
		span.Set(attribute.Int("stepwell.event_count", len(events)))
	}
	return ctx, span
}

// routingLate starts the same of events that were stored before: each belongs to a trace of its own. The caller calls
// done when they are routed, or that failed.
func (s *Service) routingLate(ctx context.Context, events []stepwell.Event) (done func(error)) {
	var spans []telemetry.Span
	if s.tracer.On() {
		now := time.Now()
		for _, event := range events {
			_, span := s.tracer.Below(ctx, event.Trace, spanRoute, trace.SpanKindInternal, now)
			spans = append(spans, span)
		}
	}
	return func(err error) {
		for _, span := range spans {
			span.End(err)
		}
	}
}

// firing begins a trace for each event of a cron trigger. The caller calls done when they are stored, or that failed.
func (s *Service) firing(ctx context.Context, events []stepwell.Event) (done func(error)) {
	var spans []telemetry.Span
	if s.tracer.On() {
		for i := range events {
			_, span := s.tracer.Begin(ctx, stepwell.Trace{}, spanFire, trace.SpanKindInternal)
			if span.On() {
				events[i].Trace = span.Trace()
			}
			spans = append(spans, span)
		}
	}
	return func(err error) {
		for _, span := range spans {
			span.End(err)
		}
	}
}
