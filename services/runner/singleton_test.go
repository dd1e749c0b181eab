package runner_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// single is a function that is a singleton by a key.
func single(key string, mode stepwell.SingletonMode) stepwell.Function {
	function := on("charge", "a")
	function.FlowControl.Singleton = &stepwell.Singleton{Key: key, Mode: mode}
	return function
}

// runOf is the run that the event led to.
func (r *rig) runOf(e stepwell.Event) stepwell.Run {
	r.t.Helper()
	runs, err := r.Runs(r.t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 10})
	require.NoError(r.t, err)
	require.Len(r.t, runs, 1)
	return runs[0]
}

// TestI22_CancelledRunIsOutOfTheQueue, and the one that has its place is in it.
func TestI22_CancelledRunIsOutOfTheQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, single("event.data.user", stepwell.SingletonCancel))
	var events []stepwell.Event
	for range 5 {
		events = append(events, event("a", `{"user":"ada"}`))
	}
	require.NoError(t, r.publish(events[0]))
	require.NoError(t, r.publish(events[1:4]...))
	require.NoError(t, r.publish(events[4]))
	for _, e := range events[:4] {
		require.Equal(t, stepwell.RunCancelled, r.runOf(e).Status)
	}
	require.Equal(t, stepwell.RunRunning, r.runOf(events[4]).Status)
	require.Equal(t, 1, r.stats().Ready)
}

// TestI22_PlaceIsTriedForABoundedTime: if others are always first, the newcomer is skipped.
func TestI22_PlaceIsTriedForABoundedTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, single("", stepwell.SingletonCancel))
	first, second := event("a"), event("a")
	require.NoError(t, r.publish(first))
	refused := 0
	r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
		if requests[0].Events[0].Starts[0].Place.Takes {
			refused++
			requests[0].Cancels = nil // of another run
		}
		return r.Ingest(ctx, requests)
	}
	require.NoError(t, r.publish(second))
	require.Equal(t, 5, refused)
	skipped := r.runOf(second)
	require.Equal(t, stepwell.SkipSingleton, skipped.Skip)
	require.Equal(t, r.runOf(first).ID, skipped.Existing)
	require.Equal(t, 1, r.stats().Ready)
}

// TestI22_BrokenKeyIsNoSingleton: the run starts, and says why.
func TestI22_BrokenKeyIsNoSingleton(t *testing.T) {
	t.Parallel()
	r := newRig(t, single("event.data.list[3]", stepwell.SingletonSkip))
	for range 2 {
		e := event("a", `{"list":[]}`)
		require.NoError(t, r.publish(e))
		require.Equal(t, stepwell.RunRunning, r.runOf(e).Status)
		require.Contains(t, r.runOf(e).Notes[0], "the run starts as if its function were no singleton")
	}
}

// TestI22_StateThatFailsFailsThePublish: nothing is cancelled then, and nothing started.
func TestI22_StateThatFailsFailsThePublish(t *testing.T) {
	t.Parallel()
	r := newRig(t, single("", stepwell.SingletonCancel))
	first, second := event("a"), event("a")
	require.NoError(t, r.publish(first))
	r.between.holders = func(context.Context, []stepwell.PlaceKey) ([]stepwell.RunID, error) {
		return nil, fmt.Errorf("away: %w", stepwell.ErrUnavailable)
	}
	require.ErrorIs(t, r.publish(second), stepwell.ErrUnavailable)
	require.False(t, r.stored(second))
	require.Equal(t, stepwell.RunRunning, r.runOf(first).Status)
}
