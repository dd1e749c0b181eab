package pgstore_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t) // it does not wait for the disk, and may be told to refuse writes
	config := pgstore.DefaultConfig()
	config.URL = instance.URL()
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer s.Close()
	facts, err := s.Diagnose(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, facts.Version, 140000)
	require.Zero(t, facts.Schema)
	require.False(t, facts.ReadOnly)
	require.False(t, facts.CommitsToDisk)
	require.Equal(t, 297, facts.ConnectionsMax)
	require.Positive(t, facts.ConnectionsUsed)
	require.WithinDuration(t, time.Now(), facts.Now, time.Minute)

	_, err = pgstore.Migrate(t.Context(), config.URL)
	require.NoError(t, err)
	exec(t, config.URL, "ALTER SYSTEM SET default_transaction_read_only = on")
	exec(t, config.URL, "SELECT pg_reload_conf()")
	require.Eventually(t, func() bool {
		facts, err = s.Diagnose(t.Context())
		return err == nil && facts.ReadOnly
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, facts.SchemaNeeded, facts.Schema)

	instance.Stop()
	_, err = s.Diagnose(t.Context())
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
}
