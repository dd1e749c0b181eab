package backend_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/backend"
)

func TestPostgresKeepsDatabasesWhenItCrashes(t *testing.T) {
	t.Parallel()
	postgres, err := backend.StartPostgres(t.Context(), folder(t))
	require.NoError(t, err)
	t.Cleanup(postgres.Stop)
	shop, err := postgres.CreateDatabase(t.Context(), "shop")
	require.NoError(t, err)
	require.NotEqual(t, postgres.URL(), shop)

	postgres.Stop()
	require.Error(t, reach(t, shop), "it is gone when Stop returns")
	require.NoError(t, postgres.Start(t.Context()))
	require.NoError(t, reach(t, shop), "it is at the same place")
	_, err = postgres.CreateDatabase(t.Context(), "shop")
	require.ErrorContains(t, err, "already exists")
}

func TestRedisForgets(t *testing.T) {
	t.Parallel()
	redis, err := backend.StartRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Stop)
	require.NoError(t, redis.FlushAll(t.Context()))
	redis.Stop()
	require.Error(t, redis.FlushAll(t.Context()), "it is gone when Stop returns")
	require.NoError(t, redis.Start(t.Context()))
	require.NoError(t, redis.FlushAll(t.Context()), "it is at the same place")
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := backend.StartRedis(ctx, t.TempDir())
	require.Error(t, err)
	dir := folder(t)
	require.NoError(t, os.Mkdir(dir+"/postgres", 0o700))
	_, err = backend.StartPostgres(t.Context(), dir)
	require.ErrorContains(t, err, "file exists")
}

// folder is one that other users may be let through to, unlike one of the test's own.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backend") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// reach connects to the server of a URL.
func reach(t *testing.T, where string) error {
	t.Helper()
	parsed, err := url.Parse(where)
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", parsed.Host)
	if err == nil {
		require.NoError(t, conn.Close())
	}
	return err
}
