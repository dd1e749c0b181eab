package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
)

// throttledFunction starts one run in ten minutes.
func throttledFunction() stepwell.Function {
	function := on("charge", "a")
	function.FlowControl.Throttle = &stepwell.Throttle{Limit: 1, Period: 10 * time.Minute}
	return function
}

// begin does as if the first call of a leased item had come to its end at once.
func (r *rig) begin(lease queue.Lease) {
	r.t.Helper()
	results, err := r.Commit(r.t.Context(), []stepwell.Transition{{
		Run: lease.Item.Run, Settles: lease.Item.ID, At: time.Now(),
		Attempt: &stepwell.Attempt{Item: lease.Item.ID, StartedAt: time.Now(), EndedAt: time.Now()},
		End:     &stepwell.End{Status: stepwell.RunCompleted},
	}})
	require.NoError(r.t, err)
	require.NoError(r.t, results[0].Err)
}

// afterALoss is a runner with an empty queue, on the same store, that does its duties.
func (r *rig) afterALoss(between runner.State) *rig {
	r.t.Helper()
	fresh := &rig{Store: r.Store, Queue: memqueue.New(), t: r.t, log: r.log}
	var err error
	fresh.service, err = runner.New(runner.DefaultConfig(), runner.Deps{State: between, Queue: fresh.Queue, Log: r.logger()})
	require.NoError(r.t, err)
	r.t.Cleanup(fresh.run())
	return fresh
}

// TestI21_WindowSurvivesTheQueue: what began before a loss counts after it.
func TestI21_WindowSurvivesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, throttledFunction())
		stop := r.run()
		<-time.After(time.Second)
		require.NoError(t, r.publish(event("a"), event("a")))
		began := time.Now()
		leases := r.lease()
		require.Len(t, leases, 1)
		r.begin(leases[0])
		stop()

		fresh := r.afterALoss(r.Store)
		<-time.After(9 * time.Minute)
		require.Equal(t, 1, fresh.stats().Held)
		require.Empty(t, fresh.lease())
		<-time.After(time.Until(began.Add(10 * time.Minute)))
		require.Len(t, fresh.lease(), 1)
	})
}

// TestI21_WindowOfAnIdleQueueSurvives: nothing was open when it was lost, so nothing is waited for but the window.
func TestI21_WindowOfAnIdleQueueSurvives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, throttledFunction())
		stop := r.run()
		<-time.After(time.Second)
		require.NoError(t, r.publish(event("a")))
		r.begin(r.lease()[0])
		stop()

		fresh := r.afterALoss(r.Store)
		<-time.After(time.Minute)
		require.NoError(t, fresh.publish(event("a")))
		require.Empty(t, fresh.lease())
		<-time.After(9 * time.Minute)
		require.Len(t, fresh.lease(), 1)
	})
}

// forgetful is a store that does not tell what began.
type forgetful struct {
	runner.State
	down atomic.Bool
}

func (f *forgetful) ThrottleStarts(
	ctx context.Context, query store.ThrottleQuery,
) ([]stepwell.ThrottleStart, string, error) {
	if f.down.Load() {
		return nil, "", stepwell.ErrUnavailable
	}
	return f.State.ThrottleStarts(ctx, query)
}

// TestI21_NothingBeginsBeforeTheWindowIsKnown, and others are not concerned.
func TestI21_NothingBeginsBeforeTheWindowIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, throttledFunction(), on("mail", "m"))
		store := &forgetful{State: r.Store}
		store.down.Store(true)
		fresh := r.afterALoss(store)
		<-time.After(time.Second)
		require.NoError(t, fresh.publish(event("a"), event("m")))
		require.Len(t, fresh.lease(), 1)
		<-time.After(time.Minute)
		require.Empty(t, fresh.lease())
		store.down.Store(false)
		<-time.After(2 * time.Second)
		require.Len(t, fresh.lease(), 1)
	})
}
