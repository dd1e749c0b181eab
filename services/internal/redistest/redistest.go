// Package redistest gives tests a real Redis: a private server for the test binary, a fresh key prefix for each test, and
// on demand a cluster, or a server with settings of its own for tests that break things.
//
// It must not be used outside tests. TEST_REDIS_URL names a server to use instead of the binary's own; keys below the
// prefixes are deleted from it, the rest is left alone.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Redis is what the tests of one binary share.
type Redis struct {
	*Server
	prefixes atomic.Int64

	mu      sync.Mutex
	cluster *Cluster
}

// Server is a Redis server.
type Server struct {
	// URL is redis://host:port.
	URL  string
	stop func()
}

// Run starts a server, runs the tests with it, and stops it and what else was started. It is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Run(m, func(r *redistest.Redis) { shared = r })) }
func Run(m interface{ Run() int }, use func(*Redis)) int {
	shared := &Redis{Server: &Server{URL: os.Getenv("TEST_REDIS_URL"), stop: func() {}}}
	if shared.URL == "" {
		var err error
		if shared.Server, err = launch(); err != nil {
			fmt.Fprintln(os.Stderr, "redistest:", err)
			return 1
		}
	}
	defer shared.stopAll()
	use(shared)
	return m.Run()
}

func (r *Redis) stopAll() {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cluster != nil {
		r.cluster.stop()
	}
}

// Prefix returns a prefix below which there are no keys. They are deleted when the test ends.
func (r *Redis) Prefix(t testing.TB) string {
	t.Helper()
	prefix := fmt.Sprintf("test-%d-%d-%d", os.Getpid(), time.Now().UnixMilli(), r.prefixes.Add(1))
	t.Cleanup(func() { require.NoError(t, r.clear(context.WithoutCancel(t.Context()), prefix)) })
	return prefix
}

// clear deletes the keys below a prefix.
func (r *Redis) clear(ctx context.Context, prefix string) error {
	client, err := r.open()
	if err != nil {
		return err
	}
	defer client.Close()
	keys := client.Scan(ctx, 0, prefix+":*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return fmt.Errorf("delete key: %w", err)
		}
	}
	return keys.Err()
}

// Cluster returns a cluster of three masters, which the tests of the binary share.
func (r *Redis) Cluster(t testing.TB) *Cluster {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cluster == nil {
		var err error
		r.cluster, err = launchCluster(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
	}
	return r.cluster
}

// Start starts a server with these settings (`--maxmemory`, `1mb`, …) for one test, whatever TEST_REDIS_URL says.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	server, err := launch(settings...)
	require.NoError(t, err)
	t.Cleanup(server.stop)
	return server
}

// Stop ends the server as kill -9 does. It may be called again.
func (s *Server) Stop() { s.stop() }

// Client returns a client, which is closed when the test ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	client, err := s.open()
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := client.Close(); !errors.Is(err, redis.ErrClosed) {
			require.NoError(t, err)
		}
	})
	return client
}

func (s *Server) open() (*redis.Client, error) {
	options, err := redis.ParseURL(s.URL)
	if err != nil {
		return nil, fmt.Errorf("read TEST_REDIS_URL: %w", err)
	}
	return redis.NewClient(options), nil
}
