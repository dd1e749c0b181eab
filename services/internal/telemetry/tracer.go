package telemetry

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of a span.
const (
	attributesMax     = 32
	attributeBytesMax = 512
	// LinksMax bounds the links of a span to others.
	LinksMax  = 128
	eventsMax = 16
)

// NewTracers returns a provider of tracers that keeps a part of the traces that begin here, and those that others want
// kept. Its spans go where the options say. Whoever made it shuts it down.
func NewTracers(ratio float64, options ...sdktrace.TracerProviderOption) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(append([]sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(entrance{sdktrace.TraceIDRatioBased(ratio)})),
		sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeCountLimit: attributesMax, AttributeValueLengthLimit: attributeBytesMax, LinkCountLimit: LinksMax,
			EventCountLimit: eventsMax, AttributePerEventCountLimit: attributesMax, AttributePerLinkCountLimit: attributesMax,
			AttributeValueDepthLimit: 2,
		}),
	}, options...)...)
}

// entrance samples traces where they begin.
type entrance struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (e entrance) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	switch {
	case len(p.Links) > 0: // a batch, whose members are kept
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	case p.Kind == trace.SpanKindClient:
		// A call that no trace leads to is our own business, such as looking for timers that are due: a trace each second.
		return sdktrace.SamplingResult{Decision: sdktrace.Drop}
	}
	return e.Sampler.ShouldSample(p)
}

// ids makes random ids, but for a span whose id was chosen.
type ids struct{}

// chosenID is where a context keeps the id of the span that is started with it.
type chosenID struct{}

// NewIDs implements sdktrace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // it tells traces apart and keeps no secret
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // as above
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if chosen, ok := ctx.Value(chosenID{}).(trace.SpanID); ok {
		return chosen
	}
	var id trace.SpanID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // it tells spans apart and keeps no secret
	}
	return id
}

// Tracer makes spans. The zero Tracer makes none, at no cost.
type Tracer struct{ tracer trace.Tracer }

// Tracer returns a tracer; without a provider, the zero one.
func (t Telemetry) Tracer() Tracer {
	if t.Tracers == nil {
		return Tracer{}
	}
	return Tracer{t.Tracers.Tracer(scope)}
}

// On tells whether spans are made, for what costs something to find out.
func (t Tracer) On() bool { return t.tracer != nil }

// Begin starts a span where something enters the system: below parent if there is one, else of a new trace.
func (t Tracer) Begin(ctx context.Context, parent stepwell.Trace, name string, kind trace.SpanKind) (context.Context, Span) {
	if t.tracer == nil {
		return ctx, Span{}
	}
	if !parent.IsZero() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, contextOf(parent))
	}
	return t.start(ctx, name, trace.WithSpanKind(kind))
}

// Start starts a span below that of the context; none if there is none.
func (t Tracer) Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	if t.tracer == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Span{}
	}
	return t.start(ctx, name, trace.WithSpanKind(kind))
}

// Below starts a span below another one that somebody else has, as if at an instant. It is none if the trace is not kept.
func (t Tracer) Below(
	ctx context.Context, parent stepwell.Trace, name string, kind trace.SpanKind, at time.Time,
) (context.Context, Span) {
	if t.tracer == nil || !parent.Sampled {
		return ctx, Span{}
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, contextOf(parent))
	return t.start(ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(at))
}

// start starts a span, which ends with the Span.
func (t Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, Span) {
	ctx, span := t.tracer.Start(ctx, name, options...) //nolint:spancheck // the caller ends it
	return ctx, Span{span}                             //nolint:spancheck // as above
}

// Finished is a span of something that is over.
type Finished struct {
	Name string
	Kind trace.SpanKind
	// Parent is the span above.
	Parent stepwell.Trace
	// ID is the span's own id; zero for a random one.
	ID        [8]byte
	StartedAt time.Time
	EndedAt   time.Time
	// Links are other spans that have to do with it.
	Links      []stepwell.Trace
	Attributes []attribute.KeyValue
	// Failure says what went wrong; empty if nothing did.
	Failure string
}

// Record makes a span of what is over, if its trace is kept.
func (t Tracer) Record(ctx context.Context, f Finished) {
	if t.tracer == nil || !f.Parent.Sampled {
		return
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, contextOf(f.Parent))
	if f.ID != [8]byte{} {
		ctx = context.WithValue(ctx, chosenID{}, trace.SpanID(f.ID))
	}
	if f.StartedAt.IsZero() || f.StartedAt.After(f.EndedAt) { // clocks of apps may be wrong
		f.StartedAt = f.EndedAt
	}
	_, span := t.tracer.Start(ctx, f.Name, trace.WithSpanKind(f.Kind), trace.WithTimestamp(f.StartedAt),
		trace.WithAttributes(f.Attributes...), trace.WithLinks(linksTo(f.Links)...))
	if f.Failure != "" {
		span.SetStatus(codes.Error, cut(f.Failure))
	}
	span.End(trace.WithTimestamp(f.EndedAt))
}

// Batch starts a span of a new trace for work that is done for several others at once, and links it to them. Such work
// belongs to no trace of theirs; they link to it.
func (t Tracer) Batch(ctx context.Context, name string, members []stepwell.Trace) (context.Context, Span) {
	if t.tracer == nil || len(members) == 0 {
		return ctx, Span{}
	}
	members = members[:min(len(members), LinksMax)]
	return t.start(ctx, name, trace.WithNewRoot(), trace.WithLinks(linksTo(members)...))
}

// Span is a span that goes on. The zero Span is none.
type Span struct{ span trace.Span }

// On tells whether the span is kept, for what costs something to find out.
func (s Span) On() bool { return s.span != nil && s.span.IsRecording() }

// Set adds attributes. Ask On first: making attributes costs something.
func (s Span) Set(attributes ...attribute.KeyValue) {
	if s.span != nil {
		s.span.SetAttributes(attributes...)
	}
}

// Link adds a link to another span.
func (s Span) Link(to stepwell.Trace) {
	if s.span != nil && !to.IsZero() {
		s.span.AddLink(trace.Link{SpanContext: contextOf(to)})
	}
}

// In is a context in which the span is the one that others are started below.
func (s Span) In(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Trace is the span as others may refer to it; no trace if it is none.
func (s Span) Trace() stepwell.Trace {
	if s.span == nil {
		return stepwell.Trace{}
	}
	return traceOf(s.span.SpanContext())
}

// End ends the span. An error marks it as failed.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil && s.span.IsRecording() {
		s.span.SetStatus(codes.Error, cut(err.Error()))
	}
	s.span.End()
}

// KeptTraceOf is TraceOf if the trace is kept; else no trace. It is for those who would write spans below it.
func KeptTraceOf(ctx context.Context) stepwell.Trace {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return traceOf(sc)
	}
	return stepwell.Trace{}
}

// TraceOf is the span of the context; no trace if there is none.
func TraceOf(ctx context.Context) stepwell.Trace { return traceOf(trace.SpanContextFromContext(ctx)) }

func traceOf(sc trace.SpanContext) stepwell.Trace {
	if !sc.IsValid() {
		return stepwell.Trace{}
	}
	return stepwell.Trace{ID: sc.TraceID(), Span: sc.SpanID(), Sampled: sc.IsSampled()}
}

func contextOf(t stepwell.Trace) trace.SpanContext {
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: t.ID, SpanID: t.Span, TraceFlags: flags.WithSampled(t.Sampled), Remote: true,
	})
}

func linksTo(traces []stepwell.Trace) []trace.Link {
	links := make([]trace.Link, len(traces))
	for i, t := range traces {
		links[i].SpanContext = contextOf(t)
	}
	return links
}

// cut bounds what a failed span says, which must be UTF-8: one that is not would keep all others from being sent.
func cut(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), attributeBytesMax)], "")
}
