package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// rig is a server, and an app that may come and go.
type rig struct {
	app    sdkapp.App
	server *target.Server
	port   int // the app's
	// process is the app's; nil before startApp.
	process *sdkapp.Running
}

// newRig starts a server that ends with the test, and no app. With urls the server is told where the app will be.
func newRig(t *testing.T, kind target.Kind, app sdkapp.App, urls bool) *rig {
	t.Helper()
	port, err := process.FreePort(t.Context())
	require.NoError(t, err)
	settings := target.Settings{Programs: programs, Stores: &stores}
	if urls {
		settings.AppURLs = []string{sdkapp.ServeURL(port)}
	}
	return &rig{app: app, port: port, server: startServer(t, kind, settings)}
}

// startServer starts a server that ends with the test.
func startServer(t *testing.T, kind target.Kind, settings target.Settings) *target.Server {
	t.Helper()
	// Not the test's own context: the server is still asked when the test has failed.
	server, err := kind.Start(context.WithoutCancel(t.Context()), settings)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	eventually(t, "the server answers", func() (bool, error) {
		ready, err := server.Ready(t.Context())
		require.NoError(t, err)
		return ready, check(ready, "it does not")
	})
	return server
}
