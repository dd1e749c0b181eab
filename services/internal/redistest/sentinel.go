package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// StartSentinel starts a sentinel for one test. It watches a primary by that name, and decides alone.
func StartSentinel(t testing.TB, name string, primary *Server) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(primary.URL, "redis://"))
	require.NoError(t, err)
	settings := filepath.Join(t.TempDir(), "sentinel.conf") // it keeps what it learns there
	text := fmt.Sprintf("sentinel monitor %s %s %s 1\n", name, host, port)
	require.NoError(t, os.WriteFile(settings, []byte(text), 0o600))
	sentinel, err := launch(settings, "--sentinel")
	require.NoError(t, err)
	t.Cleanup(sentinel.stop)
	return sentinel
}
