package pgstore_test

import (
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
	os.Exit(pgtest.Run(m, func(s *pgtest.Server) { server = s }))
}

// open returns a store on a fresh database with the schema.
func open(tb testing.TB, change ...func(*pgstore.Config)) *pgstore.Store {
	tb.Helper()
	config := pgstore.DefaultConfig()
	config.URL = server.Prepared(tb, "migrated", func(url string) error {
		_, err := pgstore.Migrate(tb.Context(), url)
		return err
	})
	for _, c := range change {
		c(&config)
	}
	s, err := pgstore.Open(tb.Context(), config, slog.New(slog.NewTextHandler(tb.Output(), nil)))
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

// TestStoreWithoutPreparedStatements is how it runs behind a pooler that keeps none.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, func(c *pgstore.Config) { c.PreparedStatements = false })
	})
}

// TestAnswersAsTheOracle compares it with the store in memory, command by command.
func TestAnswersAsTheOracle(t *testing.T) {
	t.Parallel()
	storetest.RunModel(t, open(t), func() store.Store { return memstore.New(memstore.DefaultConfig()) })
}
