package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
)

// debounced is a function that starts after a quiet minute.
func debounced(slug, event string) stepwell.Function {
	function := on(slug, event)
	function.FlowControl.Debounce = &stepwell.Debounce{Period: time.Minute}
	return function
}

// batched is a function that starts with two events, or after a minute.
func batched(slug, event string) stepwell.Function {
	function := on(slug, event)
	function.FlowControl.Batch = &stepwell.Batch{SizeMax: 2, Timeout: time.Minute, Key: "event.data.of", Condition: "event.data.n != 0"}
	return function
}

// TestI19_AnotherRunnerFires what one that is gone has stored, at its time.
func TestI19_AnotherRunnerFires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, debounced("edit", "a"), batched("collect", "a"))
		stop := r.run()
		e := event("a", `{"n":1}`)
		require.Empty(t, r.starts(e))
		stop()
		<-time.After(30 * time.Second)
		stop = r.another(runner.Deps{State: r.Store, Queue: r.Queue}).run()
		<-time.After(30*time.Second - time.Millisecond)
		require.Empty(t, r.started(e))
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.ElementsMatch(t, []string{"edit", "collect"}, r.started(e))
		require.Len(t, r.lease(), 2)
		stop()
	})
}

// TestI19_RunnersFireOnce: many of them at the same instant, and one whose answer is lost.
func TestI19_RunnersFireOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, debounced("edit", "a"), batched("collect", "a"))
		e := event("a", `{"n":1}`)
		require.Empty(t, r.starts(e))
		var lost atomic.Int64
		loses := &state{State: r.Store}
		loses.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
			results, err := r.Ingest(ctx, requests)
			if lost.Add(1) == 1 {
				return nil, stepwell.ErrUnavailable
			}
			return results, err
		}
		stops := []func(){r.another(runner.Deps{State: loses, Queue: r.Queue}).run()}
		for range 3 {
			stops = append(stops, r.another(runner.Deps{State: r.Store, Queue: r.Queue}).run())
		}
		<-time.After(2 * time.Minute)
		require.ElementsMatch(t, []string{"edit", "collect"}, r.started(e))
		for _, stop := range stops {
			stop()
		}
	})
}

// TestI19_FiredByTheFunctionAsItIs: what decides about the run is the function when it starts.
func TestI19_FiredByTheFunctionAsItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := debounced("edit", "a")
		r := newRig(t, function)
		stop := r.run()
		e := event("a")
		require.Empty(t, r.starts(e))
		function.FlowControl = stepwell.FlowControl{
			Priority: "60", CancelOn: []stepwell.CancelOn{{Event: "stop"}}, Concurrency: []stepwell.Concurrency{{Limit: 1}},
		}
		r.sync(function)
		<-time.After(61 * time.Second)
		leased := r.lease()
		require.Len(t, leased, 1)
		require.Equal(t, time.Minute, leased[0].Item.Priority)
		require.Len(t, leased[0].Item.Limits, 1)
		run, err := r.Run(t.Context(), e.Environment, leased[0].Item.Run)
		require.NoError(t, err)
		require.Equal(t, 2, run.FunctionVersion)
		require.NoError(t, r.publish(event("stop")))
		run, err = r.Run(t.Context(), e.Environment, run.ID)
		require.NoError(t, err)
		require.Equal(t, stepwell.RunCancelled, run.Status)
		stop()
	})
}

// TestI19_CancelledWhileItWaits: an event that comes while a debounce waits cancels its run, as one that comes later would.
func TestI19_CancelledWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := debounced("edit", "a")
		function.FlowControl.CancelOn = []stepwell.CancelOn{{Event: "stop"}}
		r := newRig(t, function)
		stop := r.run()
		e := event("a")
		require.Empty(t, r.starts(e))
		<-time.After(time.Second)
		require.NoError(t, r.publish(event("stop")))
		<-time.After(2 * time.Minute)
		runs, err := r.Runs(t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, stepwell.RunCancelled, runs[0].Status)
		stop()
	})
}

// TestI24_BuffersOfEnvironments are apart, although their functions have the same names.
func TestI24_BuffersOfEnvironments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, batched("collect", "a"))
		other := shop()
		other.Environment = stepwell.EnvironmentID{UUID: [16]byte{15: 1}}
		other.ID = stepwell.NewAppID(other.Environment, "shop")
		function := batched("collect", "a")
		function.Environment, function.App, function.ID = other.Environment, other.ID, stepwell.NewFunctionID(other.ID, "collect")
		_, err := r.SyncApp(t.Context(), other, []stepwell.Function{function})
		require.NoError(t, err)
		stop := r.run()
		ours, theirs := event("a", `{"n":1}`), event("a", `{"n":1}`)
		theirs.Environment = other.Environment
		require.NoError(t, r.publish(ours))
		require.NoError(t, r.publish(theirs))
		synctest.Wait()
		require.Empty(t, r.lease())
		<-time.After(time.Minute)
		synctest.Wait()
		require.Len(t, r.lease(), 2)
		for _, e := range []stepwell.Event{ours, theirs} {
			runs, err := r.Runs(t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 2})
			require.NoError(t, err)
			require.Len(t, runs, 1)
			require.Equal(t, []stepwell.EventID{e.ID}, runs[0].Events)
		}
		stop()
	})
}

// TestI19_KeysOfBatches: a key that is false is a key like others, and those that cannot be evaluated are one. An event for
// which the condition is false, or cannot be evaluated, starts alone.
func TestI19_KeysOfBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := batched("collect", "a")
		function.FlowControl.Batch.Key = "event.data.list[0]"
		function.FlowControl.Batch.Condition = "event.data.n > 0"
		r := newRig(t, function)
		stop := r.run()
		for _, data := range []string{
			`{"n":1,"list":[false]}`, `{"n":1,"list":["false"]}`, `{"n":1,"list":[]}`, `{"n":1,"list":["x"]}`, `{"n":2,"list":[]}`,
		} {
			require.Empty(t, r.starts(event("a", data)))
		}
		synctest.Wait()
		full := r.lease()
		require.Len(t, full, 2)
		for _, data := range []string{`{"n":0}`, `{"n":"x"}`} {
			require.Equal(t, []string{"collect"}, r.starts(event("a", data)))
		}
		require.Len(t, r.lease(), 2)
		stop()
	})
}

// TestBufferIsFiredAgain if the store was away.
func TestBufferIsFiredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, debounced("edit", "a"))
		e := event("a")
		require.Empty(t, r.starts(e))
		var down atomic.Bool
		down.Store(true)
		r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
			if down.Load() {
				return nil, stepwell.ErrUnavailable
			}
			return r.Ingest(ctx, requests)
		}
		stop := r.run()
		<-time.After(70 * time.Second)
		require.Empty(t, r.started(e))
		require.Contains(t, r.log.String(), "start 1 debounced or batched runs")
		down.Store(false)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"edit"}, r.started(e))
		stop()
	})
}

// TestI22_FiredRunsAreSingletons, too: the newest cancels the one before.
func TestI22_FiredRunsAreSingletons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := debounced("edit", "a")
		function.FlowControl.Singleton = &stepwell.Singleton{Mode: stepwell.SingletonCancel}
		r := newRig(t, function)
		stop := r.run()
		var events []stepwell.Event
		for range 3 {
			events = append(events, event("a"))
			require.Empty(t, r.starts(events[len(events)-1]))
			<-time.After(2 * time.Minute)
		}
		for i, want := range []stepwell.RunStatus{stepwell.RunCancelled, stepwell.RunCancelled, stepwell.RunRunning} {
			runs, err := r.Runs(t.Context(), store.RunQuery{Environment: events[i].Environment, Event: events[i].ID, Limit: 1})
			require.NoError(t, err)
			require.Equal(t, want, runs[0].Status)
		}
		stop()
	})
}

// TestI2_FunctionIsHeldWhenItFires: the run is skipped with the reason.
func TestI2_FunctionIsHeldWhenItFires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := debounced("edit", "a")
		r := newRig(t, function)
		stop := r.run()
		e := event("a")
		require.Empty(t, r.starts(e))
		require.NoError(t, r.HoldFunction(t.Context(), e.Environment, function.ID, stepwell.HoldDrain))
		<-time.After(2 * time.Minute)
		runs, err := r.Runs(t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, stepwell.SkipDrained, runs[0].Skip)
		stop()
	})
}
