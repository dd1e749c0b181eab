package e2e

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// TestQuickStart is a developer's first minute: the SDK's own example beside a dev server with default flags, and nothing
// configured but INNGEST_DEV. If the example's port is free the server is not even told where the app is.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	app := sdkapp.QuickStart(appsFolder)
	results.watch(t, compatibility.Result{Target: "dev", App: app.Name, SDK: app.SDK, Scenario: "quick start"})
	require.NoError(t, app.Install(t.Context(), os.Stderr))
	r := &rig{app: app, port: quickStartPort}
	settings := target.Settings{Programs: programs, Defaults: true}
	if !isFree(t, quickStartPort) {
		port, err := process.FreePort(t.Context())
		require.NoError(t, err)
		r.port, settings.AppURLs = port, []string{sdkapp.ServeURL(port)}
	}
	r.server = startServer(t, target.Dev(), settings)
	s := newScene(t, r)
	s.startApp("")
	s.awaitFunction("hello-world")
	ids, err := s.server.Publish(t.Context(),
		target.Event{Name: "test/hello.world", Data: map[string]any{"email": "ada@example.com"}})
	require.NoError(t, err)
	require.JSONEq(t, `{"message":"Hello ada@example.com!"}`, s.output(s.runOf(ids[0])))
}

// quickStartPort is where the example listens, and one of the ports where a dev server looks for apps.
const quickStartPort = 3000

// isFree tells whether nobody listens at a port, on any address.
func isFree(t *testing.T, port int) bool {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
