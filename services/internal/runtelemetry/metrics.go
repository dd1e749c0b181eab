package runtelemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are those of runs, steps and calls to apps. Their names are those of Inngest's export, so that dashboards and
// alerts for that work here.
type metrics struct {
	scheduled, started, ended                         telemetry.Counter
	requestsScheduled, requestsStarted, requestsEnded telemetry.Counter
	outputBytes                                       telemetry.Counter
	functions                                         *telemetry.Bounded[labels]
}

// labels are those of a function.
type labels struct {
	function telemetry.Labels
	ended    map[stepwell.RunStatus]telemetry.Labels
	requests map[RequestStatus]telemetry.Labels
}

// RequestStatus is how a call to an app ended.
type RequestStatus string

// The statuses, those of attempts and one more.
const (
	RequestCompleted RequestStatus = "Completed"
	RequestRetried   RequestStatus = "Retried"
	RequestFailed    RequestStatus = "Failed"
	// RequestDropped: nobody needs the answer, since the run has ended or somebody else was faster, or the call was given
	// up because the program stopped or lost its lease.
	RequestDropped RequestStatus = "Dropped"
)

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	return metrics{
		scheduled: meter.Counter("inngest.function_run.scheduled", "{run}", "Runs that were started by events"),
		started:   meter.Counter("inngest.function_run.started", "{run}", "Runs whose first call to their app began"),
		ended:     meter.Counter("inngest.function_run.ended", "{run}", "Runs that ended, by their status"),
		requestsScheduled: meter.Counter("inngest.sdk_req.scheduled", "{request}",
			"Calls to apps that are to be made, now or later"),
		requestsStarted: meter.Counter("inngest.sdk_req.started", "{request}", "Calls to apps that began"),
		requestsEnded: meter.Counter("inngest.sdk_req.ended", "{request}",
			"Calls to apps that ended, by what came of them"),
		outputBytes: meter.Counter("inngest.step_output", "By", "Results of steps, as apps reported them, in bytes"),
		functions:   telemetry.NewBounded(FunctionsMax, labelsOf),
	}, meter.Err()
}

// labelsOf makes the labels of a function. The label is called fn, as peers call it.
func labelsOf(slug string) labels {
	function := attribute.String("fn", slug)
	l := labels{
		function: telemetry.NewLabels(function),
		ended:    map[stepwell.RunStatus]telemetry.Labels{}, requests: map[RequestStatus]telemetry.Labels{},
	}
	for status := stepwell.RunCompleted; status <= stepwell.RunSkipped; status++ {
		l.ended[status] = telemetry.NewLabels(function, attribute.String("status", status.String()))
	}
	for _, status := range []RequestStatus{RequestCompleted, RequestRetried, RequestFailed, RequestDropped} {
		l.requests[status] = telemetry.NewLabels(function, attribute.String("status", string(status)))
	}
	return l
}

// LabelsOf are the labels of a function, for other metrics that are told apart by it.
func (r *Recorder) LabelsOf(function stepwell.Function) telemetry.Labels {
	return r.functions.Of(function.Slug).function
}

// Scheduled counts a run that was started.
func (r *Recorder) Scheduled(ctx context.Context, function stepwell.FunctionID) {
	r.scheduled.Add(ctx, 1, r.functions.Of(r.nameOf(function)).function)
}

// Skipped counts a run that was recorded and not started.
func (r *Recorder) Skipped(ctx context.Context, function stepwell.FunctionID) {
	r.ended.Add(ctx, 1, r.functions.Of(r.nameOf(function)).ended[stepwell.RunSkipped])
}

// Started counts a run whose first call begins.
func (r *Recorder) Started(ctx context.Context, function stepwell.Function) {
	r.started.Add(ctx, 1, r.LabelsOf(function))
}

// Queued counts the calls to apps among items that were put into the queue.
func (r *Recorder) Queued(ctx context.Context, items []stepwell.Item) {
	for _, item := range items {
		if !item.Kind.Wakes() {
			r.requestsScheduled.Add(ctx, 1, r.functions.Of(r.nameOf(item.Function)).function)
		}
	}
}

// Calling counts a call that begins.
func (r *Recorder) Calling(ctx context.Context, function stepwell.Function) {
	r.requestsStarted.Add(ctx, 1, r.LabelsOf(function))
}

// Called counts a call that ended.
func (r *Recorder) Called(ctx context.Context, function stepwell.Function, status RequestStatus) {
	r.requestsEnded.Add(ctx, 1, r.functions.Of(function.Slug).requests[status])
}

// Committed tells what a transition that was committed changed in a run: its end, and results of steps.
func (r *Recorder) Committed(ctx context.Context, run Run, t stepwell.Transition) {
	r.trace(ctx, run, t)
	of := r.functions.Of(run.Function.Slug)
	bytes := 0
	for _, step := range t.Records {
		if step.Result.Kind != stepwell.ResultBare { // the end of a sleep or a wait yields nothing of the app's
			bytes += len(step.Result.JSON)
		}
	}
	if bytes > 0 {
		r.outputBytes.Add(ctx, bytes, of.function)
	}
	if t.End != nil {
		r.ended.Add(ctx, 1, of.ended[t.End.Status])
	}
}
