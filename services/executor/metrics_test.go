package executor_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
)

// observed replaces the rig's executor by one whose metrics and spans are kept.
func (r *rig) observed(network http.RoundTripper) *telemetrytest.Seen {
	r.t.Helper()
	telemeter, seen := telemetrytest.New(r.t)
	r.serve(executor.Deps{
		Transport: network, Gateway: network, Telemetry: telemeter, Log: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	})
	return seen
}

const ofCharge = `{fn="shop-charge"`

// TestMetricsOfARun: a run of three calls, of which one is made again, and a sleep.
func TestMetricsOfARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRig(t, refuse, nil)
		seen := r.observed(app(func(*http.Request) (*http.Response, error) {
			<-time.After(3 * time.Second)
			switch calls++; calls {
			case 1:
				return answer(206, `[{"op":"StepRun","id":"a","data":"four"}]`), nil
			case 2:
				return answer(206, `[{"op":"StepError","id":"b","error":{"name":"Error","message":"once more"}}]`), nil
			case 3:
				return answer(206, `[{"op":"Sleep","id":"z","name":"9m"}]`), nil
			}
			return answer(200, `"done"`), nil
		}))
		run := r.start()
		<-time.After(2 * time.Second) // it waits in the queue
		r.run()
		<-time.After(time.Second)
		require.InDelta(t, 1, seen.Value(t, "stepwell_workers_busy"), 0)
		<-time.After(2 * time.Hour)
		r.halt()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)

		for series, want := range map[string]float64{
			"inngest_function_run_started_total" + ofCharge + "}":                  1,
			"inngest_function_run_ended_total" + ofCharge + `,status="Completed"}`: 1,
			"inngest_sdk_req_started_total" + ofCharge + "}":                       4,
			"inngest_sdk_req_ended_total" + ofCharge + `,status="Completed"}`:      3,
			"inngest_sdk_req_ended_total" + ofCharge + `,status="Retried"}`:        1,
			"inngest_sdk_req_scheduled_total" + ofCharge + "}":                     3,
			"inngest_step_output_bytes_total" + ofCharge + "}":                     6,
			"stepwell_event_to_run_start_seconds_sum" + ofCharge + "}":             2,
			"stepwell_event_to_run_start_seconds_count" + ofCharge + "}":           1,
			"stepwell_step_gap_seconds_count":                                      3,
			"stepwell_step_gap_seconds_sum":                                        0,
			"stepwell_queue_wait_seconds_sum":                                      2,
			`stepwell_sdk_request_seconds_sum{phase="total"}`:                      12,
			`stepwell_sdk_request_seconds_count{phase="total"}`:                    4,
			`stepwell_items_total{result="settled"}`:                               5,
			"stepwell_workers_busy":                                                0,
			"stepwell_workers":                                                     100,
			"stepwell_circuits_open":                                               0,
		} {
			require.InDelta(t, want, seen.Value(t, series), 0, series)
		}
	})
}

// TestMetricsOfAnAppThatIsDown: the circuit opens, calls are counted that reached nobody, and items wait.
func TestMetricsOfAnAppThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, refuse, nil)
		seen := r.observed(app(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }))
		r.start()
		r.run()
		<-time.After(time.Minute)
		require.InDelta(t, 1, seen.Value(t, "stepwell_circuits_open"), 0)
		require.GreaterOrEqual(t, seen.Value(t, "stepwell_calls_unreached_total"), 5.0)
		r.start()
		<-time.After(time.Millisecond)
		r.start() // one of the two is not tried, since the other is in vain
		<-time.After(time.Second)
		require.GreaterOrEqual(t, seen.Value(t, `stepwell_items_total{result="waits_for_app"}`), 1.0)
		<-time.After(time.Hour)
		r.halt()
		require.InDelta(t, 3, seen.Value(t, "inngest_function_run_ended_total"+ofCharge+`,status="Failed"}`), 0)
		require.InDelta(t, 3, seen.Value(t, "inngest_function_run_started_total"+ofCharge+"}"), 0, "once, however often it is tried")
	})
}

// TestMetricsOfWhatNobodyNeeds: another one was faster.
func TestMetricsOfWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, refuse, nil)
		var run stepwell.Run
		seen := r.observed(app(func(*http.Request) (*http.Response, error) {
			results, err := r.Commit(t.Context(), []stepwell.Transition{{
				Run: run.ID, Environment: run.Environment, At: time.Now(), End: &stepwell.End{Status: stepwell.RunCancelled},
			}})
			require.NoError(t, err)
			require.NoError(t, results[0].Err)
			return answer(200, `"done"`), nil
		}))
		run = r.start()
		r.run()
		<-time.After(time.Minute)
		r.halt()
		require.InDelta(t, 1, seen.Value(t, "inngest_sdk_req_ended_total"+ofCharge+`,status="Dropped"}`), 0)
		require.InDelta(t, 1, seen.Value(t, `stepwell_items_total{result="settled_before"}`), 0)
		require.Zero(t, seen.Value(t, "inngest_function_run_ended_total"+ofCharge+`,status="Completed"}`))
	})
}

// TestPhasesOfARequest are those of a real connection.
func TestPhasesOfARequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "answer")
	}))
	t.Cleanup(server.Close)
	telemeter, seen := telemetrytest.New(t)
	ask := executor.PhasesOf(t, telemeter, server.Client().Transport)
	for range 2 { // the second time on the same connection
		require.NoError(t, ask(server.URL))
	}
	for phase, want := range map[string]float64{"connect": 1, "tls": 1, "send": 2, "wait": 2, "receive": 2, "total": 2} {
		require.InDelta(t, want, seen.Value(t, `stepwell_sdk_request_seconds_count{phase="`+phase+`"}`), 0, phase)
	}
	ask = executor.PhasesOf(t, telemetry.Telemetry{}, server.Client().Transport)
	require.NoError(t, ask(server.URL))
}

// TestRecentRunsAreRememberedUpToABound.
func TestRecentRunsAreRememberedUpToABound(t *testing.T) {
	t.Parallel()
	require.Equal(t, 4096, executor.RememberedOf(t, 5000))
}
