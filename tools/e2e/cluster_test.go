//go:build cluster

package e2e

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// TestCluster plays the scenarios against a server and an app that run elsewhere, as pods of a cluster; the environment
// says where. It is called by the cluster test, which has both. Left out are scenarios that start and stop the server or the
// app, those in which the server is to call this machine, and those that move so much that an app on two cores with many
// others has no time for them.
func TestCluster(t *testing.T) {
	t.Parallel()
	setting := func(name string) string {
		value := os.Getenv(name)
		require.NotEmpty(t, value, "%s is not set: make cluster-test sets it", name)
		return value
	}
	apps := sdkapp.Apps(appsFolder, builtFolder)
	depth, err := strconv.Atoi(setting("E2E_QUEUE_DEPTH_MAX"))
	require.NoError(t, err)
	r := &rig{
		app: apps[0],
		server: &target.Server{
			URLs: []string{setting("E2E_SERVER_URL")}, EventKey: setting("E2E_EVENT_KEY"), SigningKey: setting("E2E_SIGNING_KEY"),
			QueueDepthMax: depth,
		},
		process: sdkapp.Elsewhere(setting("E2E_APP_URL")),
	}
	prologue := &scene{T: t, rig: r}
	prologue.awaitFunction("hello")
	for _, sc := range scenarios() {
		if sc.alone || sc.raw || sc.calls || sc.heavy {
			continue
		}
		if _, lacks := r.app.Lacks[sc.needs]; lacks {
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			sc.play(newScene(t, r))
		})
	}
}
