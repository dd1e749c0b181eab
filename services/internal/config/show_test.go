package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/config"
)

func TestEffectiveSettingsNameTheirSources(t *testing.T) {
	t.Parallel()
	path := file(t, "stepwell.yaml", "executor:\n  workers: 50\nhttp:\n  origins: [a, 'b: c']\n")
	_, s := settings(t)
	require.NoError(t, s.Load(config.Sources{
		File: path,
		Environ: []string{
			"DATABASE_URL=postgres://secret", "STEPWELL_EXECUTOR_LEASE_FOR=90m", "STEPWELL_KEYS_SIGNING=secret1,secret2",
		},
		Flags: flags(t, s, "--port=80", "--name", "#1"),
	}))
	effective, err := s.Effective()
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(`database_url: '[hidden]' # environment variable DATABASE_URL
keys:
  # default
  event: []
  # environment variable STEPWELL_KEYS_SIGNING
  signing:
    - '[hidden]'
    - '[hidden]'
executor:
  workers: 50 # FILE:2
  lease_for: 1h30m # environment variable STEPWELL_EXECUTOR_LEASE_FOR
  share: 0.5 # default
http:
  port: 80 # flag --port
  body_max: 32MiB # default
  # FILE:4
  origins:
    - a
    - 'b: c'
  tls:
    enabled: false # default
log_level: INFO # default
name: '#1' # flag --name
`, "FILE", path), effective)

	// What is shown can be loaded.
	cfg, again := settings(t)
	require.NoError(t, again.Load(config.Sources{File: file(t, "again.yaml", effective)}))
	require.Equal(t, 90*time.Minute, cfg.Executor.LeaseFor)
	require.Equal(t, []string{"a", "b: c"}, cfg.HTTP.Origins)
	require.Equal(t, "#1", cfg.Name)
}

func TestReference(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.DatabaseURL = config.NewSecret("postgres://secret")
	s, err := config.For(&cfg, options())
	require.NoError(t, err)
	page, err := os.ReadFile("testdata/page.md")
	require.NoError(t, err)
	current, err := config.InsertReference(string(page), "server", s.Reference())
	require.NoError(t, err)
	require.Equal(t, string(page), current, "testdata/page.md is to be:\n%s", current)
	require.NotContains(t, current, "secret:")

	for _, broken := range []string{
		"", "# Settings", "<!-- end of settings -->\n<!-- settings of server: generated, do not edit -->\n",
		"<!-- settings of other: generated, do not edit -->\n<!-- end of settings -->\n",
	} {
		_, err = config.InsertReference(broken, "server", "")
		require.ErrorContains(t, err, "the page must have the lines")
	}
}
