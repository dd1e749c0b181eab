package stateclient_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
	"github.com/stepwell/stepwell/services/state/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStore runs the suite of the drivers through the wire: the service loses and changes nothing on the way.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return remote(t, memstore.New(memstore.DefaultConfig()))
	})
}

// remote is the store behind a state service.
func remote(t *testing.T, behind store.Store) *stateclient.Client {
	t.Helper()
	network := rpc.NewMemory()
	listener, err := network.Listen(state.Name)
	require.NoError(t, err)
	service, err := state.New(state.Deps{Store: behind})
	require.NoError(t, err)
	server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), service.Register)
	conn, err := network.Dial(state.Name)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		cancel()
		require.NoError(t, <-done)
	})
	return stateclient.New(conn)
}
