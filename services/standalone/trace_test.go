package standalone_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/standalone"
	"github.com/stepwell/stepwell/services/state/store/otelstore"
)

// observe has everything kept that is measured and traced.
func observe(t *testing.T, w *world, deps *standalone.Deps) {
	t.Helper()
	deps.Telemetry, w.seen = telemetrytest.New(t)
	var err error
	deps.Store, err = otelstore.New(deps.Store, deps.Telemetry)
	require.NoError(t, err)
}

// published is what a publisher says of its own trace.
const published = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func runID(t *testing.T, text string) stepwell.RunID {
	t.Helper()
	id, err := stepwell.ParseRunID(text)
	require.NoError(t, err)
	return id
}

// tree is the spans of a trace as text: what is indented is below what is not. Spans of the same parent are by
// their names, and each name is there once with how often it is.
func tree(spans []telemetrytest.Span, root stepwell.Trace) string {
	var b strings.Builder
	var below func(parents map[[8]byte]bool, indent string)
	below = func(parents map[[8]byte]bool, indent string) {
		var names []string
		children := map[string]map[[8]byte]bool{}
		for _, span := range spans {
			if span.Trace.ID != root.ID || !parents[span.Parent.Span] {
				continue
			}
			if children[span.Name] == nil {
				names, children[span.Name] = append(names, span.Name), map[[8]byte]bool{}
			}
			children[span.Name][span.Trace.Span] = true
		}
		for _, name := range slices.Sorted(slices.Values(names)) {
			fmt.Fprintf(&b, "%s%s", indent, name)
			if n := len(children[name]); n > 1 {
				fmt.Fprintf(&b, " ×%d", n)
			}
			b.WriteByte('\n')
			below(children[name], indent+"  ")
		}
	}
	below(map[[8]byte]bool{root.Span: true}, "")
	return b.String()
}

// TestTraceOfARun: two times the run is leased, and loaded; in between its executor stays on it. Publish, route, enqueue, lease, call and commit are one trace, the publisher's, across all services; a
// run and each of its steps are spans, whoever worked on them; and the app goes on with it.
func TestTraceOfARun(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{"order": {event: "order/placed", code: func(s *steps) any {
		s.run("charge", func() (any, error) { return "paid", nil })
		s.sleep("nap", "1h")
		return "done"
	}}}, observe, func(t *testing.T, w *world) {
		w.publish("nobody/listens", `{}`) // from now on the runner knows the functions
		w.traceparent = published
		run := w.publish("order/placed", `{"card":"4111"}`)
		require.Equal(t, "Completed", w.until(run, 2*time.Hour).Status)
		synctest.Wait()
		publisher := stepwell.ParseTraceparent(published)
		require.Equal(t, `event-api.Publish
  run order
    executor.Lease ×2
    executor.Work ×4
      executor.Acknowledge ×4
      executor.Call ×3
      executor.Commit ×4
        state.Commit ×4
      executor.Load ×2
    step charge
    step sleep
  stepwell.runner.v1.RunnerService/Publish
    stepwell.runner.v1.RunnerService/Publish
      runner.Route
        runner.Enqueue
        state.Ingest
`, tree(w.seen.Spans(), publisher))

		root := w.seen.Named("event-api.Publish")[1]
		span := w.seen.Named("run order")[0]
		require.Equal(t, publisher.Run(runID(t, run)).Span, span.Trace.Span, "its id follows from the run's")
		require.Equal(t, root.Trace, span.Parent)
		require.Equal(t, "Completed", span.Attributes["stepwell.status"])
		require.GreaterOrEqual(t, span.EndTime.Sub(span.StartTime), time.Hour)
		step := w.seen.Named("step charge")[0]
		require.Equal(t, publisher.Step(runID(t, run), "charge").Span, step.Trace.Span)
		require.Equal(t, "run", step.Attributes["stepwell.step_kind"])
		sleep := w.seen.Named("step sleep")[0]
		require.Equal(t, time.Hour, sleep.EndTime.Sub(sleep.StartTime).Round(time.Second))

		calls := w.app.callsOf(run)
		require.Len(t, calls, 3)
		for i, span := range w.seen.Named("executor.Call") {
			require.Equal(t, span.Trace.Traceparent(), calls[i].traceparent, "the app's spans are below the call's")
			require.Equal(t, "app", span.Attributes["server.address"])
		}
		for _, span := range w.seen.Spans() {
			require.NotContains(t, fmt.Sprint(span.Attributes, span.Failure), "4111", "no payload is in a span (I27)")
			require.NotContains(t, fmt.Sprint(span.Attributes, span.Failure), "paid")
		}
	})
}

// TestGroupCommitsAreLinked: what is committed together has one span, which belongs to no trace of those who share it.
func TestGroupCommitsAreLinked(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{"order": {event: "order/placed", code: func(*steps) any { return "done" }}}, observe,
		func(t *testing.T, w *world) {
			w.traceparent = published
			run := w.publish("order/placed", `{}`)
			w.until(run, time.Minute)
			synctest.Wait()
			commits := w.seen.Named("state.Commit")
			require.Len(t, commits, 1)
			require.Len(t, commits[0].Links, 1)
			var group telemetrytest.Span
			for _, span := range w.seen.Named("state.GroupCommit") {
				if span.Attributes["stepwell.batch_kind"] == "state.Commit" {
					group = span
				}
			}
			require.Equal(t, group.Trace.Span, commits[0].Links[0].Span)
			require.Equal(t, commits[0].Trace.Span, group.Links[0].Span)
			require.NotEqual(t, commits[0].Trace.ID, group.Trace.ID)
			require.Equal(t, "1", group.Attributes["stepwell.batch_size"])
		})
}

// TestTraceOfAChild: a run that another one invoked is below the step that invoked it.
func TestTraceOfAChild(t *testing.T) {
	t.Parallel()
	for child, failure := range map[string]string{"app-child": "", "app-failing": "the invoked function failed"} {
		t.Run(child, func(t *testing.T) {
			t.Parallel()
			inWorldWith(t, family(child, "2h"), observe, func(t *testing.T, w *world) {
				w.traceparent = published
				parent := w.publish("order/placed", `{}`)
				<-time.After(3 * time.Hour)
				w.run(parent)
				synctest.Wait()
				invoking, invoked := w.seen.Named("run app-parent"), w.seen.Named("run "+child)
				require.Len(t, invoking, 1)
				require.Len(t, invoked, 1)
				step := w.seen.Named("step invoke")
				require.Len(t, step, 1)
				require.Equal(t, invoking[0].Trace.Span, step[0].Parent.Span)
				require.Equal(t, step[0].Trace.Span, invoked[0].Parent.Span)
				require.Equal(t, failure, step[0].Failure)
				require.Equal(t, invoking[0].Trace.ID, invoked[0].Trace.ID)
				require.False(t, step[0].StartTime.After(invoked[0].StartTime))
				require.False(t, step[0].EndTime.Before(invoked[0].EndTime))
			})
		})
	}
}

// TestTraceOfADeferredFunction: it runs when the run that deferred it has ended, and is below that.
func TestTraceOfADeferredFunction(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{
		"order": {event: "order/placed", code: func(*steps) any {
			panic(answer{http.StatusPartialContent, []op{
				{Op: "DeferAdd", ID: "d", Name: "tidy up", Opts: map[string]any{"fn_slug": "tidy", "input": map[string]any{}}},
				{Op: "RunComplete", ID: "end", Name: "end", Data: "done"},
			}})
		}},
		"tidy": {event: stepwell.EventDeferred, code: func(*steps) any { return "tidied" }},
	}, observe, func(t *testing.T, w *world) {
		w.traceparent = published
		w.publish("order/placed", `{}`)
		<-time.After(2 * time.Hour)
		synctest.Wait()
		order, tidy := w.seen.Named("run order"), w.seen.Named("run tidy")
		require.Len(t, order, 1)
		require.Len(t, tidy, 1)
		require.Equal(t, order[0].Trace, tidy[0].Parent)
	})
}

// TestTraceOfAWait: the step takes as long as the run waited, and links to the event that ended it.
func TestTraceOfAWait(t *testing.T) {
	t.Parallel()
	inWorldWith(t, approval("3h"), observe, func(t *testing.T, w *world) {
		w.traceparent = published
		run := w.publish("order/placed", `{"id":1}`)
		timedOut := w.publish("order/placed", `{"id":2}`)
		<-time.After(time.Hour)
		w.traceparent = "00-aaaa2f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		w.publish("order/approved", `{"id":1}`)
		<-time.After(4 * time.Hour)
		require.Equal(t, "Completed", w.run(timedOut).Status)
		synctest.Wait()
		steps := w.seen.Named("step waitForEvent")
		require.Len(t, steps, 1)
		require.Equal(t, stepwell.ParseTraceparent(published).Run(runID(t, run)).Span, steps[0].Parent.Span)
		require.Equal(t, time.Hour, steps[0].EndTime.Sub(steps[0].StartTime).Round(time.Second))
		require.Len(t, steps[0].Links, 1)
		require.Equal(t, stepwell.ParseTraceparent(w.traceparent).ID, steps[0].Links[0].ID)
		require.Len(t, w.seen.Named("runner.MatchWaits"), 1)
		late := w.seen.Named("step sleep")
		require.Len(t, late, 1, "one that timed out")
		require.Equal(t, 3*time.Hour, late[0].EndTime.Sub(late[0].StartTime).Round(time.Second))
	})
}

// TestTraceOfACronTrigger begins with its firing.
func TestTraceOfACronTrigger(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{"report": {cron: "0 0 * * *", code: func(*steps) any { return "done" }}}, observe,
		func(t *testing.T, w *world) {
			<-time.After(3*day + time.Hour)
			synctest.Wait()
			fired := w.seen.Named("runner.Fire")
			require.Len(t, fired, 3)
			for i, run := range w.seen.Named("run report") {
				require.Equal(t, fired[i].Trace, run.Parent, "each has a trace of its own")
				require.False(t, fired[i].Parent.Sampled)
			}
		})
}

// TestCancelledRunHasItsSpan, too.
func TestCancelledRunHasItsSpan(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{"order": {
		event: "order/placed", cancel: []map[string]string{{"event": "order/cancelled"}},
		code: func(s *steps) any { s.sleep("nap", "1h"); return nil },
	}}, observe, func(t *testing.T, w *world) {
		w.traceparent = published
		w.publish("order/placed", `{}`)
		<-time.After(time.Minute)
		w.publish("order/cancelled", `{}`)
		synctest.Wait()
		runs := w.seen.Named("run order")
		require.Len(t, runs, 1)
		require.Equal(t, "Cancelled", runs[0].Attributes["stepwell.status"])
		require.Equal(t, time.Minute, runs[0].EndTime.Sub(runs[0].StartTime).Round(time.Second))
	})
}

// TestTraceGoesThroughWhereNobodyTraces: what the publisher sent reaches the app as it is, and without it, nothing does.
func TestTraceGoesThroughWhereNobodyTraces(t *testing.T) {
	t.Parallel()
	inWorld(t, map[string]function{"order": {event: "order/placed", code: func(*steps) any { return "done" }}},
		func(t *testing.T, w *world) {
			w.traceparent = published
			run := w.publish("order/placed", `{}`)
			w.until(run, time.Minute)
			require.Equal(t, published, w.app.callsOf(run)[0].traceparent)
			w.traceparent = ""
			run = w.publish("order/placed", `{}`)
			w.until(run, time.Minute)
			require.Empty(t, w.app.callsOf(run)[0].traceparent)
		})
}

// TestTraceThatIsNotKeptIsNotWritten: the publisher decides.
func TestTraceThatIsNotKeptIsNotWritten(t *testing.T) {
	t.Parallel()
	inWorldWith(t, map[string]function{"order": {event: "order/placed", code: func(s *steps) any {
		s.sleep("nap", "1h")
		return "done"
	}}}, observe, func(t *testing.T, w *world) {
		w.traceparent = strings.TrimSuffix(published, "01") + "00"
		run := w.publish("order/placed", `{}`)
		require.Equal(t, "Completed", w.until(run, 2*time.Hour).Status)
		synctest.Wait()
		require.Empty(t, w.seen.Spans())
		require.Equal(t, w.traceparent, w.app.callsOf(run)[0].traceparent)
	})
}
