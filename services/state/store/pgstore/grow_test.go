package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPlansKeepAsTablesGrow: connections keep the plans that they made when the tables were small, and statistics come
// late, while the tables grow to a hundred times as much.
func TestPlansKeepAsTablesGrow(t *testing.T) {
	t.Parallel()
	const few = " WHERE n <= 100 OR n % 100 = 0"
	migrated, url := fresh(t)
	require.NoError(t, migrated.Maintain(t.Context(), at().Add(-24*time.Hour)))
	run(t, url, append(append([]string{fill + few}, fillTables()...), "ANALYZE"), at(), rowsPerTable)
	hearStatements(t, url)
	s, plans := overhear(t, url)
	for round := range 8 {
		exercise(t, s, round)
	}
	before := len(plans())
	run(t, url, append([]string{fill + " WHERE NOT (n <= 100 OR n % 100 = 0)"}, fillTables()...), at(), rowsPerTable)
	for round := range 2 {
		exercise(t, s, 8+round)
	}
	requireGood(t, plans()[before:])
}
