package redisqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/queuetest"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

var shared *redistest.Redis

// binary is the tests of this package with a Redis.
type binary struct{ m *testing.M }

func (b binary) Run() int {
	return redistest.Run(b.m, func(r *redistest.Redis) { shared = r })
}

func TestMain(m *testing.M) {
	// A client that was closed while its server was down tries to connect for up to a second more.
	dials := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
	goleak.VerifyTestMain(binary{m}, dials)
}

// open returns an empty queue, which is closed when the test ends. change may change its configuration.
func open(tb testing.TB, change ...func(*redisqueue.Config)) *redisqueue.Queue {
	tb.Helper()
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix = shared.URL, shared.Prefix(tb)
	for _, c := range change {
		c(&config)
	}
	q, err := redisqueue.New(config, telemetry.Telemetry{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, q.Close(context.WithoutCancel(tb.Context()))) })
	return q
}

// openAt returns a queue in a server of the test's own, under the prefix "own".
func openAt(tb testing.TB, server *redistest.Server, shards int) *redisqueue.Queue {
	tb.Helper()
	return open(tb, func(c *redisqueue.Config) { c.URL, c.Prefix, c.Shards = server.URL, "own", shards })
}

func clusterURL(tb testing.TB) string {
	tb.Helper()
	return "redis+cluster://" + strings.Join(shared.Cluster(tb).Addresses(), ",")
}

// newItem is the n-th run's first item, of a function and so of a lane.
func newItem(function string, n int, dueAt time.Time) stepwell.Item {
	id := stepwell.NewFunctionID(stepwell.AppID{}, function)
	run := stepwell.Run{ID: stepwell.NewRunID(time.Unix(0, 0), id, fmt.Sprint(n)), Function: id}
	return stepwell.NewDiscovery(run, 1, dueAt)
}

// newItems are items of runs from a number on, spread over lanes.
func newItems(lanes, from, count int, dueAt time.Time) []stepwell.Item {
	items := make([]stepwell.Item, count)
	for i := range items {
		items[i] = newItem(fmt.Sprint("lane", (from+i)%lanes), from+i, dueAt)
	}
	return items
}

// secondOf is the item that follows the first of a run.
func secondOf(item stepwell.Item, dueAt time.Time) stepwell.Item {
	return stepwell.NewDiscovery(stepwell.Run{ID: item.Run, Function: item.Function}, 2, dueAt)
}

// enqueue puts items in that are due now.
func enqueue(tb testing.TB, q queue.Producer, items ...stepwell.Item) {
	tb.Helper()
	require.NoError(tb, q.Enqueue(tb.Context(), time.Now(), items))
}

// lease leases up to n items for a minute.
func lease(tb testing.TB, q queue.Consumer, n int) []queue.Lease {
	tb.Helper()
	now := time.Now()
	leased, err := q.Lease(tb.Context(), queue.LeaseRequest{Now: now, Max: n, Until: now.Add(time.Minute)})
	require.NoError(tb, err)
	return leased.Leases
}

func stats(tb testing.TB, q queue.Inspector) queue.Stats {
	tb.Helper()
	counted, err := q.Stats(tb.Context(), time.Now())
	require.NoError(tb, err)
	counted.OldestDueAt, counted.Shards = time.Time{}, nil
	return counted
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
