package redisqueue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/queuetest"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
)

var shared *redistest.Redis

// binary is the tests of this package with a Redis.
type binary struct{ m *testing.M }

func (b binary) Run() int {
	return redistest.Run(b.m, func(r *redistest.Redis) { shared = r })
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(binary{m}) }

// open returns an empty queue, which is closed when the test ends. change may change its configuration.
func open(tb testing.TB, change ...func(*redisqueue.Config)) *redisqueue.Queue {
	tb.Helper()
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix = shared.URL, shared.Prefix(tb)
	for _, c := range change {
		c(&config)
	}
	q, err := redisqueue.New(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, q.Close(context.WithoutCancel(tb.Context()))) })
	return q
}

func clusterURL(tb testing.TB) string {
	tb.Helper()
	return "redis+cluster://" + strings.Join(shared.Cluster(tb).Addresses(), ",")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queue.Queue { return open(t) })
}

func TestQueueOfOneShard(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queue.Queue {
		return open(t, func(c *redisqueue.Config) { c.Shards = 1 })
	})
}

func TestQueueInCluster(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queue.Queue {
		return open(t, func(c *redisqueue.Config) { c.URL = clusterURL(t) })
	})
}
