package executor

import (
	"net/http"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// PhasesOf returns what makes a request over the network and measures its phases.
func PhasesOf(t *testing.T, telemeter telemetry.Telemetry, network http.RoundTripper) (ask func(url string) error) {
	t.Helper()
	c := caller{transport: network, timeout: time.Minute, phases: newPhases(telemeter.Meter())}
	return func(url string) error {
		_, _, err := c.sendOnce(t.Context(), request{method: http.MethodPost, target: url, header: http.Header{}})
		return err
	}
}

// RememberedOf is how many of so many runs are remembered, of which the last must be one.
func RememberedOf(t *testing.T, count int) int {
	t.Helper()
	r, last := newRecent(), stepwell.RunID{}
	for range count {
		last = stepwell.RunID{ULID: ulid.Make()}
		r.learn(stepwell.RunState{Run: stepwell.Run{ID: last}, Function: stepwell.Function{Slug: "f"}})
		r.learn(stepwell.RunState{Run: stepwell.Run{ID: last}})
	}
	if known, _ := r.of(last); known.Function.Slug != "f" {
		t.Fatal("the last one is forgotten")
	}
	return len(r.runs)
}

// AllocationsOfTracing is how often memory is allocated for the spans of one item by an executor without tracing.
func AllocationsOfTracing(t *testing.T, s *Service) float64 {
	t.Helper()
	v, ctx := &visit{service: s}, t.Context()
	var lease queue.Lease
	var state stepwell.RunState
	transition := stepwell.Transition{Run: stepwell.RunID{ULID: ulid.Make()}}
	state.Run.ID, state.Function.Slug, state.Events = transition.Run, "f", make([]stepwell.Event, 1)
	return testing.AllocsPerRun(100, func() {
		inside, work := v.begin(ctx, lease)
		inside = work.In(inside)
		inside, call := calling(inside, s.tracer, "executor.Call", "http://app")
		_ = traceparent(inside, state)
		endCall(call, stepwell.Outcome{HTTPStatus: 200})
		_, commit := s.tracer.Start(inside, "executor.Commit", trace.SpanKindInternal)
		transition.Trace = telemetry.KeptTraceOf(inside)
		commit.End(nil)
		s.runs.Committed(ctx, runtelemetry.RunOf(state), transition)
		s.began(ctx, state, stepwell.Item{}, time.Time{})
		work.End(nil)
	})
}
