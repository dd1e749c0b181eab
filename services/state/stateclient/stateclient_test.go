package stateclient_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
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

// TestUnroutedEventsArriveInParts: however large they are, an answer is bounded, and asking again gets the rest.
func TestUnroutedEventsArriveInParts(t *testing.T) {
	t.Parallel()
	behind := memstore.New(memstore.DefaultConfig())
	s := remote(t, behind)
	const events = 11 // of 3 MiB, five fit
	var want, got []stepwell.EventID
	for i := range events {
		event := stepwell.Event{
			ID: stepwell.EventID{ULID: ulid.ULID{15: byte(i + 1)}}, Environment: stepwell.DefaultEnvironment(), Name: "a",
			Data: json.RawMessage(`"` + strings.Repeat("x", 3<<20-2) + `"`), User: json.RawMessage(`{}`),
		}
		if i == 0 {
			event.Data = json.RawMessage(`"` + strings.Repeat("x", 2*store.PageBytesMax) + `"`) // alone it may be larger
		}
		want = append(want, event.ID)
		_, err := behind.Ingest(t.Context(), []store.Ingest{{
			Environment: event.Environment, Events: []store.IngestEvent{{Event: event}}, Unrouted: true,
		}})
		require.NoError(t, err)
	}
	var parts []int
	for {
		part, err := s.UnroutedEvents(t.Context(), store.PageMax)
		require.NoError(t, err)
		if len(part) == 0 {
			break
		}
		parts = append(parts, len(part))
		route := store.Ingest{Environment: part[0].Environment}
		for _, event := range part {
			got = append(got, event.ID)
			route.Events = append(route.Events, store.IngestEvent{Event: event})
		}
		_, err = behind.Ingest(t.Context(), []store.Ingest{route})
		require.NoError(t, err)
	}
	require.Equal(t, want, got)
	require.Equal(t, []int{1, 5, 5}, parts)
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
