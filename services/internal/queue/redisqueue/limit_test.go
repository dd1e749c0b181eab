package redisqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// tenantLimit is a concurrency of each key, functionLimit one of the function.
func tenantLimit(most int) stepwell.Limit {
	return stepwell.Limit{LimitName: stepwell.LimitName{Key: "tenant"}, Most: most}
}

func functionLimit(most int) stepwell.Limit { return stepwell.Limit{Most: most} }

// limit says what a function is limited to.
func limit(tb testing.TB, q queue.Limiter, function string, limits ...stepwell.Limit) {
	tb.Helper()
	said := queue.FunctionLimits{Function: newItem(function, 0, time.Now()).Function, Revision: 1, Limits: limits}
	require.NoError(tb, q.SetLimits(tb.Context(), []queue.FunctionLimits{said}))
}

// newLimited is the n-th run's first item, of a tenant.
func newLimited(function string, n int, tenant string, limits ...stepwell.Limit) stepwell.Item {
	item := newItem(function, n, time.Now())
	run := stepwell.Run{ID: item.Run, Function: item.Function}
	for _, l := range limits {
		key := stepwell.LimitKey{LimitName: l.LimitName}
		if l.Key != "" {
			key.Value = tenant
		}
		run.Limits = append(run.Limits, key)
	}
	return item.Of(run)
}

// enqueueTenants enqueues count items, of tenants in turn.
func enqueueTenants(tb testing.TB, q queue.Producer, function string, tenants, count int, limits ...stepwell.Limit) {
	tb.Helper()
	for n := 0; n < count; n += queue.ItemsMax {
		items := make([]stepwell.Item, min(queue.ItemsMax, count-n))
		for i := range items {
			items[i] = newLimited(function, n+i, fmt.Sprint((n+i)%tenants), limits...)
		}
		enqueue(tb, q, items...)
	}
}

// ready is a queue of which all shards are rebuilt.
func ready(tb testing.TB, server *redistest.Server, shards int) (*redisqueue.Queue, *redis.Client) {
	tb.Helper()
	q := openAt(tb, server, shards)
	for shard := range shards {
		taken, err := q.TryLock(tb.Context(), lockOf(shard), time.Minute)
		require.NoError(tb, err)
		require.True(tb, taken)
		require.NoError(tb, q.MarkRebuilt(tb.Context(), lockOf(shard), time.Time{}))
		require.NoError(tb, q.MarkWindows(tb.Context(), lockOf(shard)))
	}
	return q, server.Client(tb)
}

// churn ends the items that are leased, one after the other, and leases others for them, count times. It returns the
// commands for each.
func churn(tb testing.TB, q *redisqueue.Queue, client *redis.Client, leases []queue.Lease, count int) float64 {
	tb.Helper()
	require.NoError(tb, client.ConfigResetStat(tb.Context()).Err())
	for range count {
		require.NotEmpty(tb, leases)
		finish(tb, q, leases[0])
		leases = append(leases[1:], lease(tb, q, 1)...)
	}
	_, all := commands(tb, client)
	return float64(all) / float64(count)
}

// settled leases until all lanes that cannot have more have been found out.
func settled(tb testing.TB, q *redisqueue.Queue) []queue.Lease {
	tb.Helper()
	var leases []queue.Lease
	for {
		leased, err := q.Lease(tb.Context(), queue.LeaseRequest{Now: time.Now(), Max: queue.ItemsMax, Until: time.Now().Add(time.Hour)})
		require.NoError(tb, err)
		leases = append(leases, leased.Leases...)
		if len(leased.Leases) == 0 && leased.NextAt.After(time.Now()) {
			return leases
		}
	}
}

// TestQ10_LimitsCostTheSameHoweverManyLanesWait counts commands.
func TestQ10_LimitsCostTheSameHoweverManyLanesWait(t *testing.T) {
	t.Parallel()
	limits := []stepwell.Limit{functionLimit(20), tenantLimit(1)}
	costs := map[int]float64{}
	for _, lanes := range []int{30, 3000} {
		q, client := ready(t, redistest.Start(t), 1)
		limit(t, q, "work", limits...)
		enqueueTenants(t, q, "work", lanes, 2*lanes, limits...)
		leases := settled(t, q)
		require.Len(t, leases, 20)
		costs[lanes] = churn(t, q, client, leases, 30)
		t.Logf("%d lanes: %.1f commands for an item", lanes, costs[lanes])
	}
	require.InDelta(t, costs[30], costs[3000], costs[30]/4)
}

// TestQ10_BacklogOfOneCostsOthersNothing: a function of which one item may be leased, and many wait.
func TestQ10_BacklogOfOneCostsOthersNothing(t *testing.T) {
	t.Parallel()
	costs := map[int]float64{}
	for _, backlog := range []int{1, 20_000} {
		q, client := ready(t, redistest.Start(t), 1)
		limit(t, q, "one", functionLimit(1))
		enqueueTenants(t, q, "one", 1, backlog, functionLimit(1))
		require.Len(t, settled(t, q), 1)
		enqueue(t, q, newItems(5, 0, 300, time.Now())...)
		costs[backlog] = churn(t, q, client, lease(t, q, 10), 200)
		t.Logf("backlog of %d: %.1f commands for another's item", backlog, costs[backlog])
	}
	require.InDelta(t, costs[1], costs[20_000], 0.5)
}

// BenchmarkLimits leases and settles items under limits, while many lanes wait.
func BenchmarkLimits(b *testing.B) {
	for _, lanes := range []int{10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			limits := []stepwell.Limit{functionLimit(10), tenantLimit(1)}
			q, client := ready(b, redistest.Start(b), 1)
			limit(b, q, "work", limits...)
			enqueueTenants(b, q, "work", lanes, lanes+20_000, limits...)
			leases := settled(b, q)
			b.ResetTimer()
			b.ReportMetric(churn(b, q, client, leases, 1000*b.N), "cmds/item")
			b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "items/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLimitedFlood is BenchmarkFlood of one function: without limits, and with 1,000 lanes of which each may have one
// item leased.
func BenchmarkLimitedFlood(b *testing.B) {
	for _, limits := range [][]stepwell.Limit{nil, {tenantLimit(1)}} {
		b.Run(fmt.Sprintf("limited=%t", limits != nil), func(b *testing.B) {
			q, client := ready(b, redistest.Start(b), 1)
			limit(b, q, "work", limits...)
			count := 10_000 * b.N
			enqueueTenants(b, q, "work", 1000, count, limits...)
			require.NoError(b, client.ConfigResetStat(b.Context()).Err())
			b.ResetTimer()
			execute(b, q, 100, count, 2*time.Millisecond)
			b.StopTimer()
			_, all := commands(b, client)
			b.ReportMetric(float64(all)/float64(count), "cmds/run")
			b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
