package runtelemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Run is what is known of a run of which something is told. The zero Run is one of which nothing is known: it is counted,
// and has no spans.
type Run struct {
	ID       stepwell.RunID
	Function stepwell.Function
	// Trace is the run's span.
	Trace     stepwell.Trace
	CreatedAt time.Time
	// Events are those that started it, and Open its open items. Both may be missing.
	Events []stepwell.Event
	Open   []stepwell.Item
	// Caused is another span that has to do with what is told, such as of the event that a wait was for.
	Caused stepwell.Trace
}

// RunOf is what a run's state tells of it.
func RunOf(state stepwell.RunState) Run {
	return Run{
		ID: state.Run.ID, Function: state.Function, Trace: state.Trace(), CreatedAt: state.Run.CreatedAt,
		Events: state.Events, Open: state.Run.Progress.Open,
	}
}

// RunID and its like are attributes of spans. Unlike labels of metrics, they may be ids.
func RunID(run stepwell.RunID) attribute.KeyValue {
	return attribute.String("stepwell.run_id", run.String())
}

// FunctionID is the function's name.
func FunctionID(function stepwell.Function) attribute.KeyValue {
	return attribute.String("stepwell.function_id", function.Slug)
}

// trace writes the spans of the steps that a transition recorded, and of the run if it ended. They are written now, and
// not begun before, since they may have begun long ago and elsewhere. Their ids follow from those of run and step.
func (r *Recorder) trace(ctx context.Context, run Run, t stepwell.Transition) {
	if !r.tracer.On() || !run.Trace.Sampled {
		return
	}
	for _, step := range t.Records {
		r.step(ctx, run, t, step)
	}
	if t.End == nil {
		return
	}
	r.invokers(ctx, run, t)
	r.run(ctx, run, t)
}

// step writes the span of a step below that of its run. Neither its result nor its error is in it (I27).
func (r *Recorder) step(ctx context.Context, run Run, t stepwell.Transition, step stepwell.Step) {
	f := telemetry.Finished{
		Name: "step " + step.Name, Parent: run.Trace, ID: run.Trace.Step(run.ID, step.ID).Span,
		StartedAt: step.StartedAt, EndedAt: step.EndedAt,
		Attributes: []attribute.KeyValue{
			RunID(run.ID), FunctionID(run.Function), attribute.String("stepwell.step_kind", step.Kind.String()),
		},
	}
	if step.Name == "" { // one that waited
		f.Name = "step " + step.Kind.String()
	}
	for _, item := range run.Open {
		if item.ID == t.Settles && item.Step == step.ID && !item.WaitsSince.IsZero() {
			f.StartedAt = item.WaitsSince
		}
	}
	if f.EndedAt.IsZero() {
		f.EndedAt = t.At
	}
	if step.Status == stepwell.StepFailed {
		f.Failure = "the step failed"
	}
	if !run.Caused.IsZero() {
		f.Links = append(f.Links, run.Caused)
	}
	r.tracer.Record(ctx, f)
}

// invokers writes the spans of steps of other runs that waited for this one.
func (r *Recorder) invokers(ctx context.Context, run Run, t stepwell.Transition) {
	for _, resume := range t.End.Resumes {
		for _, event := range run.Events {
			invoker := resume.Item.Run()
			if event.Trace.Step(invoker, resume.Step.ID) != event.Trace {
				continue // another one's
			}
			f := telemetry.Finished{
				Name: "step " + resume.Step.Kind.String(), Parent: event.Trace.Run(invoker), ID: event.Trace.Span,
				StartedAt: event.ReceivedAt, EndedAt: t.At,
				Attributes: []attribute.KeyValue{
					RunID(invoker), attribute.String("stepwell.step_kind", resume.Step.Kind.String()),
				},
			}
			if resume.Step.Status == stepwell.StepFailed {
				f.Failure = "the invoked function failed"
			}
			r.tracer.Record(ctx, f)
		}
	}
}

// run writes the span of a run, below that of its first event.
func (r *Recorder) run(ctx context.Context, run Run, t stepwell.Transition) {
	if len(run.Events) == 0 {
		return
	}
	f := telemetry.Finished{
		Name: "run " + run.Function.Slug, Kind: trace.SpanKindInternal, Parent: run.Events[0].Trace, ID: run.Trace.Span,
		StartedAt: run.CreatedAt, EndedAt: t.At,
		Attributes: []attribute.KeyValue{
			RunID(run.ID), FunctionID(run.Function), attribute.String("stepwell.status", t.End.Status.String()),
		},
	}
	for _, event := range run.Events[1:] {
		f.Links = append(f.Links, event.Trace)
	}
	if t.End.Status == stepwell.RunFailed {
		f.Failure = "the run failed"
	}
	r.tracer.Record(ctx, f)
}
