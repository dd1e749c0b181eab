package executor_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/state/store"
)

// traced starts a run of an event of a trace that is kept, and queues its first item.
func (r *rig) traced() (stepwell.Run, stepwell.Trace) {
	r.t.Helper()
	now := time.Now()
	event := stepwell.Event{
		ID: stepwell.NewEventID(now, "traced"), Environment: r.function.Environment, Name: "order/paid", Time: now, ReceivedAt: now,
		Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`),
		Trace: stepwell.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Sampled: true},
	}
	start := engine.Start(r.function, event, now)
	results, err := r.Ingest(r.t.Context(), []store.Ingest{{
		Environment: event.Environment, Revision: int64(r.synced), Now: now,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(r.t, err)
	require.NoError(r.t, r.Enqueue(r.t.Context(), now, results[0].Opened))
	return start.Run, event.Trace
}

// TestStepsOfACheckpointHaveTheirSpans, also if the executor that is told of them does not know the run.
func TestStepsOfACheckpointHaveTheirSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, refuse, nil)
		var run stepwell.Run
		var other *executor.Service
		var otherSeen *telemetrytest.Seen
		seen := r.observed(app(func(*http.Request) (*http.Response, error) {
			mine := r.service
			item := run.Progress.Open[0]
			require.NoError(t, r.checkpoint(item, 1, `[{"op":"StepRun","id":"a","displayName":"charge","data":1}]`))
			r.service = other
			require.NoError(t, r.checkpoint(item, 1, `[{"op":"StepRun","id":"b","displayName":"mail","data":2}]`))
			require.NoError(t, r.checkpoint(item, 1, `[{"op":"StepRun","id":"c","displayName":"file","data":3}]`))
			r.service = mine
			return answer(200, `"done"`), nil
		}))
		mine := r.service
		otherSeen = r.observed(app(refuse))
		other, r.service = r.service, mine
		run, trace := r.traced()
		r.run()
		<-time.After(time.Minute)
		r.halt()
		for name, span := range map[string]telemetrytest.Span{
			"a": seen.Named("step charge")[0], "b": otherSeen.Named("step mail")[0], "c": otherSeen.Named("step file")[0],
		} {
			require.Equal(t, trace.Step(run.ID, stepwell.StepID(name)).Span, span.Trace.Span)
			require.Equal(t, trace.Run(run.ID).Span, span.Parent.Span)
		}
		require.Len(t, seen.Named("run shop-charge"), 1)
		require.InDelta(t, 2, otherSeen.Value(t, "inngest_step_output_bytes_total"+ofCharge+"}"), 0)
	})
}

// TestFailuresTellNothingOfTheirPayloads: spans say that something failed, and logs have the ids of the trace.
func TestFailuresTellNothingOfTheirPayloads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, refuse, nil)
		seen := r.observed(app(func(*http.Request) (*http.Response, error) {
			return answer(500, `{"name":"Error","message":"card 4111 declined"}`), nil
		}))
		_, trace := r.traced()
		r.run()
		<-time.After(24 * time.Hour)
		r.halt()
		calls := seen.Named("executor.Call")
		require.Len(t, calls, 5)
		require.Equal(t, "the call failed", calls[0].Failure)
		require.Equal(t, "500", calls[0].Attributes["http.response.status_code"])
		runs := seen.Named("run shop-charge")
		require.Len(t, runs, 1)
		require.Equal(t, "the run failed", runs[0].Failure)
		require.Equal(t, trace, runs[0].Parent)
		for _, span := range seen.Spans() {
			require.NotContains(t, span.Failure, "4111")
		}
	})
}

// TestTracingThatIsOffCostsNothing: no allocation for an item, its call and its commit.
func TestTracingThatIsOffCostsNothing(t *testing.T) { //nolint:paralleltest // allocations of others would count
	r := newRig(t, refuse, nil)
	require.Zero(t, executor.AllocationsOfTracing(t, r.service))
}

func TestLogsOfTracedWorkHaveItsIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, refuse, nil)
		telemeter, _ := telemetrytest.New(t)
		var log strings.Builder
		network := app(func(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout })
		r.serve(executor.Deps{
			Transport: network, Gateway: network, Telemetry: telemeter,
			Log: slog.New(telemetry.LogHandler{Handler: slog.NewJSONHandler(&log, nil)}),
		})
		r.traced()
		r.run()
		<-time.After(time.Minute)
		r.halt()
		require.Contains(t, log.String(), `"msg":"app does not answer, what is due waits"`)
		require.Contains(t, log.String(), `"trace_id":"01000000000000000000000000000000","span_id":"`)
	})
}
