package executor

import (
	"context"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// headerTraceparent tells an app which trace a call belongs to.
const headerTraceparent = "Traceparent"

// begin starts the span of the work on an item, below that of its run. Only the run knows which that is, so it is loaded
// now, for a decision that needs it anyway; what ends a sleep does not, but the call that follows does.
func (v *visit) begin(ctx context.Context, lease queue.Lease) (context.Context, telemetry.Span) {
	s := v.service
	if !s.tracer.On() {
		return ctx, telemetry.Span{}
	}
	began, kept := time.Now(), v.state
	state, item, err := v.load(ctx, lease.Item.ID)
	if err != nil {
		return ctx, telemetry.Span{} // who decides is told the same
	}
	run := state.Trace()
	ctx, span := s.tracer.Below(ctx, run, "executor.Work", trace.SpanKindConsumer, began)
	if !span.On() {
		return ctx, span
	}
	span.Set(runtelemetry.RunID(item.Run), runtelemetry.FunctionID(state.Function),
		attribute.String("stepwell.item_kind", item.Kind.String()), attribute.Int("stepwell.attempt", item.CountedAttempt()),
		attribute.Int("stepwell.generation", lease.Generation))
	if !v.leasedAt.IsZero() { // else it was held from the item before
		s.tracer.Record(ctx, telemetry.Finished{
			Name: "executor.Lease", Kind: trace.SpanKindConsumer, Parent: run, StartedAt: lease.Item.DueAt, EndedAt: v.leasedAt,
			Attributes: []attribute.KeyValue{runtelemetry.RunID(item.Run)},
		})
		v.leasedAt = time.Time{}
	}
	if kept == nil {
		s.tracer.Record(ctx, telemetry.Finished{
			Name: "executor.Load", Parent: span.Trace(), StartedAt: began, EndedAt: time.Now(),
		})
	}
	return ctx, span
}

// calling starts the span of a request, which the called goes on with. Of the URL there is only the host: the rest may
// hold a key.
func calling(ctx context.Context, tracer telemetry.Tracer, name, target string) (context.Context, telemetry.Span) {
	ctx, span := tracer.Start(ctx, name, trace.SpanKindClient)
	if span.On() {
		if u, err := url.Parse(target); err == nil {
			span.Set(attribute.String("server.address", u.Host))
		}
	}
	return ctx, span
}

// traceparent is what an app is told of the trace of a call: the span of the call, or if that is not kept, whatever the
// publisher sent.
func traceparent(ctx context.Context, state stepwell.RunState) string {
	if kept := telemetry.KeptTraceOf(ctx); !kept.IsZero() {
		return kept.Traceparent()
	}
	if len(state.Events) == 0 {
		return ""
	}
	return state.Events[0].Trace.Traceparent()
}

// known is what is to be told of a run that this executor does not work on: as much as it remembers, or else finds out if
// spans are made.
func (s *Service) known(ctx context.Context, run stepwell.RunID) runtelemetry.Run {
	known, ok := s.recent.of(run)
	if ok || !s.tracer.On() {
		return known
	}
	state, err := store.LoadRun(ctx, s.deps.State, run)
	if err != nil {
		return known // it is told of less well
	}
	s.recent.learn(state)
	return runtelemetry.RunOf(state)
}
