package otelstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
	"github.com/stepwell/stepwell/services/state/store/otelstore"
	"github.com/stepwell/stepwell/services/state/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStore: nobody is told anything else than by the store behind.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		telemeter, _ := telemetrytest.New(t)
		s, err := otelstore.New(memstore.New(memstore.DefaultConfig()), telemeter)
		require.NoError(t, err)
		return s
	})
}

// driver is a store that is maintained, may be down, and may refuse.
type driver struct {
	store.Store
	problem error
}

func (d *driver) Maintain(context.Context, time.Time) error { return d.problem }
func (d *driver) Ready(context.Context) error               { return d.problem }

func (d *driver) Commit(_ context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	return make([]store.Committed, len(transitions)), d.problem
}

func (d *driver) LoadRuns(_ context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	return make([]store.Loaded, len(ids)), d.problem
}

func (d *driver) Ingest(_ context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	return make([]store.Ingested, len(requests)), d.problem
}

func TestBatchesAreMeasured(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	d := &driver{}
	s, err := otelstore.New(d, telemeter)
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), make([]stepwell.Transition, 3))
	require.NoError(t, err)
	_, err = s.LoadRuns(t.Context(), make([]stepwell.RunID, 100))
	require.NoError(t, err)
	d.problem = stepwell.ErrUnavailable
	_, err = s.Commit(t.Context(), make([]stepwell.Transition, 5))
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	_, err = s.Ingest(t.Context(), make([]store.Ingest, 2))
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	for series, want := range map[string]float64{
		`stepwell_db_group_commit_batch_size_sum{kind="commit"}`: 8, `stepwell_db_group_commit_batch_size_count{kind="commit"}`: 2,
		`stepwell_db_group_commit_batch_size_bucket{kind="load",le="64"}`: 0, `stepwell_db_group_commit_batch_size_bucket{kind="load",le="128"}`: 1,
		`stepwell_db_group_commit_seconds_count{kind="commit",result="done"}`:   1,
		`stepwell_db_group_commit_seconds_count{kind="commit",result="failed"}`: 1,
		`stepwell_db_group_commit_seconds_count{kind="ingest",result="failed"}`: 1,
	} {
		require.InDelta(t, want, seen.Value(t, series), 0, series)
	}
}

// TestMaintenanceAndReadinessAreTheStoresBehind, if it has them.
func TestMaintenanceAndReadinessAreTheStoresBehind(t *testing.T) {
	t.Parallel()
	telemeter, _ := telemetrytest.New(t)
	d := &driver{problem: stepwell.ErrUnavailable}
	s, err := otelstore.New(d, telemeter)
	require.NoError(t, err)
	require.ErrorIs(t, s.Maintain(t.Context(), time.Now()), stepwell.ErrUnavailable)
	require.ErrorIs(t, s.Ready(t.Context()), stepwell.ErrUnavailable)
	s, err = otelstore.New(memstore.New(memstore.DefaultConfig()), telemeter)
	require.NoError(t, err)
	require.NoError(t, s.Maintain(t.Context(), time.Now()))
	require.NoError(t, s.Ready(t.Context()))
}
