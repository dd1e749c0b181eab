package pgstore_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

func exec(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), statement)
	require.NoError(t, err)
}

func databaseOf(t *testing.T, url string) string {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	return pgx.Identifier{config.Database}.Sanitize()
}

// tables are those of the schema, but for the migrations' own.
func tables(t *testing.T, url string) []string {
	t.Helper()
	return query[string](t, url, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%'")
}

func TestMigrateUpAndDown(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	made, err := pgstore.Migrate(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, made)
	require.NotEmpty(t, tables(t, url))
	made, err = pgstore.Migrate(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, made, "nothing is left to do")
	_, err = pgstore.MigrateDown(t.Context(), url, 0)
	require.NoError(t, err)
	require.Empty(t, tables(t, url))
	_, err = pgstore.Migrate(t.Context(), url)
	require.NoError(t, err)
}

// TestOneOfManyMigrates: several replicas start at the same time.
func TestOneOfManyMigrates(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	const replicas = 4
	made, errs := make([]int, replicas), make([]error, replicas)
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() {
			results, err := pgstore.Migrate(t.Context(), url)
			made[i], errs[i] = len(results), err
		})
	}
	wg.Wait()
	total := 0
	for i := range replicas {
		require.NoError(t, errs[i])
		total += made[i]
	}
	versions := query[int64](t, url, "SELECT version_id FROM goose_db_version WHERE version_id > 0")
	require.Len(t, versions, total, "each was made once")
}
