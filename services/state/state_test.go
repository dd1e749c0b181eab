package state_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// driver is a store that wants maintenance, and may be down.
type driver struct {
	store.Store

	mu    sync.Mutex
	down  error
	times []time.Time
}

func (d *driver) Maintain(_ context.Context, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.times = append(d.times, now)
	return d.down
}

func (d *driver) Ready(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down
}

func (d *driver) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = err
}

func (d *driver) maintained() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.times)
}

// run runs a state service on the store until the returned function is called, which returns its log.
func run(t *testing.T, s store.Store) (stop func() string) {
	t.Helper()
	log := &strings.Builder{}
	service, err := state.New(state.Deps{Store: s, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	return func() string {
		cancel()
		require.NoError(t, <-done)
		return log.String()
	}
}

func TestStoreIsMaintainedAtOnceAndThenFromTimeToTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, began := &driver{Store: memstore.New(memstore.DefaultConfig())}, time.Now()
		stop := run(t, d)
		synctest.Wait()
		require.Equal(t, []time.Time{began}, d.maintained())
		<-time.After(25 * time.Minute)
		synctest.Wait()
		require.Equal(t, []time.Time{began, began.Add(10 * time.Minute), began.Add(20 * time.Minute)}, d.maintained())
		require.Empty(t, stop())
	})
}

func TestMaintenanceThatFailsIsToldOnceAndTriedAgainSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &driver{down: errors.New("no room")}
		stop := run(t, d)
		<-time.After(time.Minute + time.Second)
		synctest.Wait()
		require.Len(t, d.maintained(), 7)
		d.fail(nil)
		<-time.After(time.Hour)
		synctest.Wait()
		require.Len(t, d.maintained(), 7+6)
		log := stop()
		require.Equal(t, 1, strings.Count(log, "no room"), log)
		require.Equal(t, 1, strings.Count(log, "maintained again"), log)
	})
}

func TestStoreThatWantsNoMaintenanceGetsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := run(t, memstore.New(memstore.DefaultConfig()))
		<-time.After(time.Hour)
		require.Empty(t, stop())
	})
}

// TestReadyIsTheStores: also of a store whose calls are merged.
func TestReadyIsTheStores(t *testing.T) {
	t.Parallel()
	d := &driver{Store: memstore.New(memstore.DefaultConfig()), down: stepwell.ErrUnavailable}
	merged, err := batchstore.New(d, batchstore.DefaultConfig())
	require.NoError(t, err)
	service, err := state.New(state.Deps{Store: merged})
	require.NoError(t, err)
	require.ErrorIs(t, service.Ready(t.Context()), stepwell.ErrUnavailable)
	require.ErrorIs(t, merged.Maintain(t.Context(), time.Now()), stepwell.ErrUnavailable)
	d.fail(nil)
	require.NoError(t, service.Ready(t.Context()))
	require.NoError(t, merged.Maintain(t.Context(), time.Now()))

	service, err = state.New(state.Deps{Store: d.Store})
	require.NoError(t, err)
	require.NoError(t, service.Ready(t.Context()), "a store in memory always is")
}

func TestStoreIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := state.New(state.Deps{})
	require.ErrorContains(t, err, "no store")
}
