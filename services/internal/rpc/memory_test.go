package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"

	"github.com/stepwell/stepwell/services/internal/rpc"
)

// TestConnectionsInMemoryAreNeverRecycled: however long a run sleeps under fake time, nothing is connected anew.
func TestConnectionsInMemoryAreNeverRecycled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := rpc.NewMemory()
		listener, err := network.Listen("service")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- rpc.NewServer(listener, slog.New(slog.DiscardHandler)).Run(ctx) }()
		conn, err := network.Dial("service")
		require.NoError(t, err)
		conn.Connect()
		for conn.GetState() != connectivity.Ready {
			require.True(t, conn.WaitForStateChange(ctx, conn.GetState()))
		}
		year, done := context.WithTimeout(ctx, 366*24*time.Hour)
		defer done()
		require.False(t, conn.WaitForStateChange(year, connectivity.Ready))
		require.NoError(t, conn.Close())
		cancel()
		require.NoError(t, <-served)
	})
}
