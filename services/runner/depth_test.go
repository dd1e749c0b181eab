package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/runner"
)

// bounded replaces the rig's runner by one that lets two items of a function wait, and has it do its duties.
func (r *rig) bounded(queue runner.Queue) *telemetrytest.Seen {
	r.t.Helper()
	config := runner.DefaultConfig()
	config.QueueDepthMax = 2
	telemeter, seen := telemetrytest.New(r.t)
	var err error
	r.service, err = runner.New(config, runner.Deps{State: r.between, Queue: queue, Log: r.logger(), Telemetry: telemeter})
	require.NoError(r.t, err)
	r.t.Cleanup(r.run())
	return seen
}

// TestPublishersSlowDownForAFullFunction: they are told to while too much of it waits, and only if they would start it.
func TestPublishersSlowDownForAFullFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a", `b event.data.n > 1`), on("mail", "m"))
		seen := r.bounded(r.Queue)
		require.NoError(t, r.publish(event("a"), event("a")))
		<-time.After(1500 * time.Millisecond)

		refused := event("a")
		err := r.publish(event("m"), refused)
		require.ErrorIs(t, err, stepwell.ErrFull)
		require.EqualError(t, err,
			`2 items of the function "charge" wait in the queue, at most 2 may: send the event "a" again later`)
		require.False(t, r.stored(refused))
		require.ErrorIs(t, r.publish(event("b", `{"n":2}`)), stepwell.ErrFull)
		require.NoError(t, r.publish(event("b", `{"n":1}`), event("m"), event("nothing")), "they do not start it")

		late := event("a")
		r.unrouted(late)
		<-time.After(3 * time.Second)
		require.Equal(t, []string{"charge"}, r.started(late), "an event that was taken is not refused")
		for series, want := range map[string]float64{
			`stepwell_function_queue_items{fn="charge"}`: 3, `stepwell_function_queue_items{fn="mail"}`: 1,
			`stepwell_events_refused_total{fn="charge"}`: 3,
		} {
			require.InDelta(t, want, seen.Value(t, series), 0, series)
		}

		require.Len(t, r.lease(), 4)
		<-time.After(1500 * time.Millisecond)
		require.NoError(t, r.publish(refused))
		require.Equal(t, []string{"charge"}, r.started(refused))
		synctest.Wait()
		require.Contains(t, r.log.String(), "too much of it waits")
		require.Contains(t, r.log.String(), "are taken again")
	})
}

// TestDrainedFunctionIsNotFull: its events start nothing.
func TestDrainedFunctionIsNotFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		r.bounded(r.Queue)
		require.NoError(t, r.publish(event("a"), event("a")))
		<-time.After(1500 * time.Millisecond)
		require.ErrorIs(t, r.publish(event("a")), stepwell.ErrFull)
		require.NoError(t, r.HoldFunction(t.Context(), shop().Environment, on("charge").ID, stepwell.HoldDrain))
		<-time.After(time.Second)
		require.NoError(t, r.publish(event("a")))
	})
}

// uncounted is a queue that cannot be counted.
type uncounted struct {
	runner.Queue
	down atomic.Bool
}

func (q *uncounted) Depths(
	ctx context.Context, now time.Time, functions []stepwell.FunctionID,
) (map[stepwell.FunctionID]int, error) {
	if q.down.Load() {
		return nil, stepwell.ErrUnavailable
	}
	return q.Queue.Depths(ctx, now, functions)
}

// TestQueueThatCannotBeCountedIsNotFull: what is published waits in the store.
func TestQueueThatCannotBeCountedIsNotFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		queue := &uncounted{Queue: r.Queue}
		r.bounded(queue)
		require.NoError(t, r.publish(event("a"), event("a")))
		<-time.After(1500 * time.Millisecond)
		require.ErrorIs(t, r.publish(event("a")), stepwell.ErrFull)
		queue.down.Store(true)
		<-time.After(time.Second)
		require.NoError(t, r.publish(event("a")))
	})
}
