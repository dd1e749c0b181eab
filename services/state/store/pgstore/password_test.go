package pgstore

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestPasswordMayBeApartFromTheURL: whoever makes the URL of parts, as the Helm chart does, cannot percent-encode a password
// that only Kubernetes sees. It is in PGPASSWORD then, as it is. A password in the URL wins.
func TestPasswordMayBeApartFromTheURL(t *testing.T) { // not parallel: the environment is everybody's
	const odd = `p@ss:w/o?r#d%41 "$(X)'`
	t.Setenv("PGPASSWORD", odd)
	for url, want := range map[string]string{
		"postgres://stepwell@db:5432/stepwell?sslmode=disable":       odd,
		"postgres://stepwell:other@db:5432/stepwell?sslmode=disable": "other",
	} {
		settings, err := poolSettings(DefaultConfig(), url, 1)
		require.NoError(t, err)
		require.Equal(t, want, settings.ConnConfig.Password)
		migrating, err := pgx.ParseConfig(url) // as migrate does
		require.NoError(t, err)
		require.Equal(t, want, migrating.Password)
	}
}
