package cli_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const configurationPage = "../../../docs/configuration.md"

// TestConfigurationPage: docs/configuration.md has the settings that the programs have.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(configurationPage)
	require.NoError(t, err)
	page, err := config.InsertReference(string(content), "stepwell start", prints(t, newServer(t, nil), "config", "--reference"))
	require.NoError(t, err)
	for _, service := range []string{"event-api", "runner", "executor", "state"} {
		page, err = config.InsertReference(page, service, referenceOf(t, service))
		require.NoError(t, err)
	}
	if *update {
		require.NoError(t, os.WriteFile(configurationPage, []byte(page), 0o600))
	}
	require.Equal(t, page, string(content),
		"docs/configuration.md is not what the settings are: go test ./services/standalone/cli -run ConfigurationPage -update")
}

// TestExampleOfConfiguration: the file that docs/configuration.md shows is taken as it stands.
func TestExampleOfConfiguration(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(configurationPage)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(content), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	secrets := t.TempDir()
	for name, secret := range map[string]string{
		"database_url": "postgres://db/stepwell", "event_keys": eventKey, "signing_keys": signingKey,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600))
	}
	path := filepath.Join(secrets, "stepwell.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(example, "/run/secrets", secrets)), 0o600))
	out, err := stepwell(t, "config", "--config", path)
	require.NoError(t, err)
	require.Contains(t, out, "retain_runs: 14d # "+path)
}

// referenceOf is what a service's program says of its settings.
func referenceOf(t *testing.T, service string) string {
	t.Helper()
	folder := filepath.Join("..", "..", service, "cmd", service)
	_, err := os.ReadFile(filepath.Join(folder, "main.go")) // so that the test is run again when it changes
	require.NoError(t, err)
	run := exec.CommandContext(t.Context(), "go", "run", "./"+folder, "config", "--reference")
	run.Stderr = t.Output()
	reference, err := run.Output()
	require.NoError(t, err)
	return string(reference)
}
