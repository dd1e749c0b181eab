package pgstore_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// TestConnectionsAndDaysAreMeasured.
func TestConnectionsAndDaysAreMeasured(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	config := pgstore.DefaultConfig()
	config.ConnectionsMax, config.ReadConnectionsMax, config.RetainEvents = 3, 2, 0
	config.URL = server.Database(t)
	_, err := pgstore.Migrate(t.Context(), config.URL)
	require.NoError(t, err)
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler), Telemetry: telemeter})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NotContains(t, seen.Metrics(t), "stepwell_partition_days_kept", "nobody has looked")
	now := time.Now()
	require.NoError(t, s.Maintain(t.Context(), now.Add(-48*time.Hour)))
	require.NoError(t, s.Maintain(t.Context(), now))
	_, err = s.Commit(t.Context(), []stepwell.Transition{{At: now}})
	require.NoError(t, err)
	_, err = s.Runs(t.Context(), store.RunQuery{Limit: 1})
	require.NoError(t, err)
	for series, want := range map[string]float64{
		`stepwell_partition_days_kept{family="runs"}`: 4, `stepwell_partition_days_kept{family="events"}`: 4,
		`stepwell_db_connections{pool="write",state="max"}`: 3, `stepwell_db_connections{pool="read",state="max"}`: 2,
		`stepwell_db_connections{pool="write",state="used"}`: 0, `stepwell_db_connections{pool="read",state="idle"}`: 1,
		`stepwell_db_pool_wait_seconds_count{pool="read"}`: 1,
	} {
		require.InDelta(t, want, seen.Value(t, series), 0, series)
	}
	waited := seen.Value(t, `stepwell_db_pool_wait_seconds_count{pool="write"}`)
	require.GreaterOrEqual(t, waited, 2.0)

	_, err = s.Commit(context.WithoutCancel(t.Context()), []stepwell.Transition{{At: now}})
	require.NoError(t, err)
	require.InDelta(t, waited+1, seen.Value(t, `stepwell_db_pool_wait_seconds_count{pool="write"}`), 0, "a transaction takes a connection once")
}
