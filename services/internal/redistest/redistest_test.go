package redistest_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/redistest"
)

var shared *redistest.Redis

// binary is the tests of this package with a server.
type binary struct{ m *testing.M }

func (b binary) Run() int {
	return redistest.Run(b.m, func(r *redistest.Redis) { shared = r })
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(binary{m}) }

func TestPrefixIsFreshAndCleared(t *testing.T) {
	t.Parallel()
	client := shared.Client(t)
	var prefix string
	t.Run("user", func(t *testing.T) {
		prefix = shared.Prefix(t)
		require.NotEqual(t, prefix, shared.Prefix(t))
		require.NoError(t, client.Set(t.Context(), prefix+":{0}:key", 1, 0).Err())
	})
	require.Zero(t, client.Exists(t.Context(), prefix+":{0}:key").Val())
}

func TestClusterServesEverySlot(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	require.Same(t, cluster, shared.Cluster(t))
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addresses()})
	defer client.Close()
	for n := range 100 {
		require.NoError(t, client.Set(t.Context(), strconv.Itoa(n), n, time.Minute).Err())
	}
	for _, node := range cluster.Nodes {
		require.NotZero(t, node.Client(t).DBSize(t.Context()).Val())
	}
}

func TestServerOfOneTest(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "12mb")
	client := server.Client(t)
	settings, err := client.ConfigGet(t.Context(), "maxmemory").Result()
	require.NoError(t, err)
	require.Equal(t, "12582912", settings["maxmemory"])
	server.Stop()
	require.Error(t, client.Ping(t.Context()).Err())
}

// TestServerDiesWithItsParent: a test binary that is killed, as by a timeout, leaves nothing behind.
func TestServerDiesWithItsParent(t *testing.T) {
	t.Parallel()
	const marker = "REDISTEST_CHILD"
	if os.Getenv(marker) != "" {
		server := redistest.Start(t)
		pid := server.Client(t).InfoMap(t.Context(), "server").Item("Server", "process_id")
		require.NoError(t, os.WriteFile(os.Getenv(marker), []byte(pid), 0o600))
		select {} // until it is killed
	}
	note := t.TempDir() + "/pid"
	child := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	child.Env = append(os.Environ(), marker+"="+note)
	require.NoError(t, child.Start())
	var pid string
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(note)
		pid = strings.TrimSpace(string(text))
		return err == nil && pid != ""
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.Eventually(t, func() bool {
		status, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(status), ") Z ")
	}, 10*time.Second, 10*time.Millisecond)
}
