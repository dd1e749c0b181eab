package otelstore

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// batch is what is done together: each member has a span in the trace that it belongs to, and all of them link to one
// that belongs to none, which is that of the work itself.
type batch struct {
	work    telemetry.Span
	members []member
}

// member is one of those whose trace is kept.
type member struct {
	at   int
	span telemetry.Span
}

// begin starts the spans of what is done together. Without a trace that is kept there are none.
func (s *Store) begin(
	ctx context.Context, name string, size int, traceOf func(i int) stepwell.Trace,
) (context.Context, batch) {
	var b batch
	if !s.tracer.On() {
		return ctx, b
	}
	var links []stepwell.Trace
	now := time.Now()
	for i := range size {
		_, span := s.tracer.Below(ctx, traceOf(i), name, trace.SpanKindInternal, now)
		if span.On() {
			b.members = append(b.members, member{i, span})
			links = append(links, span.Trace())
		}
	}
	if len(links) == 0 {
		return ctx, b
	}
	ctx, b.work = s.tracer.Batch(ctx, "state.GroupCommit", links)
	b.work.Set(attribute.Int("stepwell.batch_size", size), attribute.String("stepwell.batch_kind", name))
	for _, m := range b.members {
		m.span.Link(b.work.Trace())
	}
	return ctx, b
}

// end ends the spans: err is everybody's, each result one member's.
func (b batch) end(err error, result func(i int) error) {
	for _, m := range b.members {
		failure := err
		if failure == nil {
			failure = result(m.at)
		}
		m.span.End(failure)
	}
	b.work.End(err)
}
