package pgstore_test

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
	"github.com/stepwell/stepwell/services/state/store/storetest"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	// Each check of the model is some hundred transactions; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Run(m, func(s *pgtest.Server) { server = s }))
}

// open returns a store on a fresh database with the schema.
func open(tb testing.TB, change ...func(*pgstore.Config)) *pgstore.Store {
	tb.Helper()
	config := pgstore.DefaultConfig()
	config.ConnectionsMax, config.ReadConnectionsMax = 4, 2 // many tests run at the same time
	config.URL = server.Prepared(tb, "migrated", func(url string) error {
		_, err := pgstore.Migrate(tb.Context(), url)
		return err
	})
	for _, c := range change {
		c(&config)
	}
	s, err := pgstore.Open(tb.Context(), config, pgstore.Deps{Log: slog.New(slog.NewTextHandler(tb.Output(), nil))})
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	require.NoError(tb, s.Ready(tb.Context()))
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t)
	})
}

// TestStoreBehindAPooler: nothing may depend on a connection, beyond a transaction.
func TestStoreBehindAPooler(t *testing.T) {
	t.Parallel()
	pooler := server.Pooler(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, func(c *pgstore.Config) {
			c.URL = pooler.URL(t, c.URL)
			c.PreparedStatements = false // most poolers of today keep none
		})
	})
}

// TestMigrationsAndMaintenanceBehindAPooler: their locks last for a transaction too.
func TestMigrationsAndMaintenanceBehindAPooler(t *testing.T) {
	t.Parallel()
	config := pgstore.DefaultConfig()
	config.URL = server.Pooler(t).URL(t, server.Database(t))
	config.PreparedStatements = false
	made, err := pgstore.Migrate(t.Context(), config.URL)
	require.NoError(t, err)
	require.NotEmpty(t, made)
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Maintain(t.Context(), at()))
	require.NoError(t, s.Ready(t.Context()))
}

// TestAnswersAsTheOracle compares it with the store in memory, command by command.
func TestAnswersAsTheOracle(t *testing.T) {
	t.Parallel()
	storetest.RunModel(t, open(t), func() store.Store { return memstore.New(memstore.DefaultConfig()) })
}
