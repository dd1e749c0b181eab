package runner_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state/store"
)

// TestClientPublishesFromAfar: events arrive as they were sent, and errors come back as what they are.
func TestClientPublishesFromAfar(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("charge", "a"))
	network := rpc.NewMemory()
	listener, err := network.Listen(runner.Name)
	require.NoError(t, err)
	conn, err := network.Dial(runner.Name)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), r.service.Register)
	go func() { served <- server.Run(ctx) }() // awaited below
	client := runnerclient.New(conn)

	e := event("a", `{"n": 1.0}`)
	require.NoError(t, client.Publish(t.Context(), []stepwell.Event{e, event("quiet")}))
	got, err := r.Event(t.Context(), e.Environment, e.ID)
	require.NoError(t, err)
	require.Equal(t, wire.FromEvent(wire.Event(e)), got)
	require.Equal(t, []string{"charge"}, r.started(e))
	require.Equal(t, queue.Stats{Ready: 1}, r.stats())

	run, err := r.Runs(t.Context(), store.RunQuery{Environment: e.Environment, Event: e.ID, Limit: 1})
	require.NoError(t, err)
	open := stepwell.NewDiscovery(run[0], 1, run[0].CreatedAt)
	waiting, err := client.ExplainWaiting(t.Context(), []stepwell.Item{open})
	require.NoError(t, err)
	require.Equal(t, map[stepwell.ItemID]stepwell.Waiting{open.ID: {}}, waiting, "nobody works on it yet")

	err = client.Publish(t.Context(), make([]stepwell.Event, stepwell.EventsPerRequestMax+1))
	require.ErrorIs(t, err, stepwell.ErrTooLarge)
	require.EqualError(t, err, "5001 events in one request, at most 5000 are allowed")

	cancel()
	require.NoError(t, <-served)
	require.ErrorIs(t, client.Publish(t.Context(), []stepwell.Event{event("a")}), stepwell.ErrUnavailable)
	require.NoError(t, conn.Close())
}
