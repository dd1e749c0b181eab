package standalone_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/standalone"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// behind is a store whose schema may be behind.
type behind struct {
	*memstore.Store
	ready atomic.Bool
}

func (b *behind) Ready(context.Context) error {
	if !b.ready.Load() {
		return errors.New("the schema is behind")
	}
	return nil
}

// TestNothingIsTakenBeforeTheStoreIsReady, and then it is, also while those who ask for health are sent elsewhere.
func TestNothingIsTakenBeforeTheStoreIsReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &behind{Store: memstore.New(memstore.DefaultConfig())}
		door := rpc.NewMemory()
		listener, err := door.Listen("door")
		require.NoError(t, err)
		var tell func(ready bool)
		config := standalone.Config{Runner: rareDuties(), Executor: executor.DefaultConfig()}
		system, err := standalone.New(config, standalone.Deps{
			Store: store, Queue: memqueue.New(), Keys: eventapi.OpenKeys{}, GRPC: []rpc.Listener{listener},
			HTTP: []net.Listener{newHost()}, Transport: http.DefaultTransport, Gateway: http.DefaultTransport,
			ServerKind: sdk.KindDev, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Follow: func(told func(ready bool)) { tell = told },
		})
		require.NoError(t, err)
		tell(false)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- system.Run(ctx) }() // awaited below
		conn, err := door.Dial("door")
		require.NoError(t, err)
		publish := func() error {
			_, err := eventv1.NewEventServiceClient(conn).Publish(t.Context(), &eventv1.PublishRequest{
				Events: []*eventv1.NewEvent{{Name: "shop/order"}},
			})
			return err
		}
		require.ErrorIs(t, publish(), stepwell.ErrUnavailable)
		require.ErrorContains(t, rpc.Ready(t.Context(), conn), "it is not_serving")
		require.EqualError(t, system.Ready(t.Context()), "the schema is behind")
		store.ready.Store(true)
		require.ErrorIs(t, publish(), stepwell.ErrUnavailable, "nobody has asked yet")
		require.NoError(t, system.Ready(t.Context()))
		require.NoError(t, publish())
		tell(true)
		require.NoError(t, rpc.Ready(t.Context(), conn))
		tell(false)
		require.ErrorContains(t, rpc.Ready(t.Context(), conn), "it is not_serving")
		require.NoError(t, publish())
		cancel()
		require.NoError(t, <-stopped)
		require.NoError(t, conn.Close())
	})
}
