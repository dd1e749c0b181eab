package redisqueue_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// commands is what a server has run since its statistics were reset: the commands that clients sent, and besides them
// those that scripts ran.
func commands(tb testing.TB, client *redis.Client) (sent, all int) {
	tb.Helper()
	text, err := client.Info(tb.Context(), "commandstats").Result()
	require.NoError(tb, err)
	for line := range strings.Lines(text) {
		name, values, found := strings.Cut(line, ":calls=")
		if !found {
			continue
		}
		calls, _, _ := strings.Cut(values, ",")
		n, err := strconv.Atoi(calls)
		require.NoError(tb, err)
		switch strings.TrimPrefix(name, "cmdstat_") {
		case "info", "config|resetstat": // our own
			continue
		case "eval", "evalsha", "bzpopmin", "hello":
			sent += n
		}
		all += n
	}
	return sent, all
}

// workers is how many items an executor of these tests works on at a time.
const workers = 16

// TestFloodCostsFewCommands: a flood of one-step runs, published ten at a time, worked on by an executor of few workers. A
// run is opened, leased, goes on with the item that ends it, and is taken out. The count is of all commands that Redis
// ran, those within scripts included, as in INFO commandstats; the budget of the whole product is 10 for such a run.
func TestFloodCostsFewCommands(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		server := redistest.Start(t)
		q, client := openAt(t, server, shards), server.Client(t)
		require.NoError(t, q.Check(t.Context()))
		require.NoError(t, client.ConfigResetStat(t.Context()).Err())
		const runs = 4000
		for n := 0; n < runs; n += 10 {
			enqueue(t, q, newItems(5, n, 10, time.Now())...)
		}
		for left := runs; left > 0; {
			leases := lease(t, q, workers)
			require.NotEmpty(t, leases)
			left -= len(leases)
			each(leases, func(i int, l queue.Lease) { leases[i] = settle(t, q, l) })
			each(leases, func(_ int, l queue.Lease) { finish(t, q, l) })
		}
		sent, all := commands(t, client)
		t.Logf("%d shards: %.2f commands a run, of which clients sent %.2f",
			shards, float64(all)/runs, float64(sent)/runs)
		require.LessOrEqual(t, all, 8*runs, "commands of %d runs on %d shards", runs, shards)
		require.LessOrEqual(t, sent, 2*runs)
	}
}

// TestStatsCostTheSameForever: what is sent grows with the shards only, and what scripts do with the lanes, up to a bound.
func TestStatsCostTheSameForever(t *testing.T) {
	t.Parallel()
	const shards, lanes = 4, 500
	server := redistest.Start(t)
	q, client := openAt(t, server, shards), server.Client(t)
	enqueue(t, q, newItems(1, 0, 1, time.Now())...)
	stats(t, q) // Redis knows the scripts from now on
	for n := 0; n < 20_000; n += queue.ItemsMax {
		enqueue(t, q, newItems(lanes, n, queue.ItemsMax, time.Now())...)
	}
	require.NoError(t, client.ConfigResetStat(t.Context()).Err())
	require.Greater(t, stats(t, q).Ready, 20_000)
	sent, all := commands(t, client)
	require.LessOrEqual(t, sent, 2*shards)
	require.LessOrEqual(t, all, shards*(100+15))
}

// settle settles an item; it opens another, on which its holder stays.
func settle(tb testing.TB, q queue.Consumer, l queue.Lease) queue.Lease {
	tb.Helper()
	now := time.Now()
	acked, err := q.Ack(tb.Context(), queue.AckRequest{
		Now: now, Lease: l, Next: []stepwell.Item{secondOf(l.Item, now)}, Hold: true, HoldUntil: now.Add(time.Minute),
	})
	if err != nil || acked.Held == nil {
		tb.Errorf("settle: held %v, %v", acked.Held, err)
		return queue.Lease{}
	}
	return *acked.Held
}

// finish settles an item that ends its run.
func finish(tb testing.TB, q queue.Consumer, l queue.Lease) {
	tb.Helper()
	if _, err := q.Ack(tb.Context(), queue.AckRequest{Now: time.Now(), Lease: l}); err != nil {
		tb.Error(err)
	}
}

// each does something with all leases at the same time.
func each(leases []queue.Lease, do func(int, queue.Lease)) {
	var all sync.WaitGroup
	for i, l := range leases {
		all.Go(func() { do(i, l) })
	}
	all.Wait()
}

// TestQ4_LanesShareEachShardEvenly: of those that have items in a shard, none gets ahead by more than a quantum, however
// many are leased at a time.
func TestQ4_LanesShareEachShardEvenly(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []int{1, 3, 5, 9, 16, 50, 100} {
		q := open(t, func(c *redisqueue.Config) { c.Shards = 2 })
		left := make([]map[string]int, q.ShardCount())
		given := make([]map[string]int, q.ShardCount())
		for shard := range left {
			left[shard], given[shard] = map[string]int{}, map[string]int{}
		}
		total := 0
		for lane, count := range map[string]int{"flood": 600, "b": 150, "c": 150} {
			for n := range count {
				item := newItem(lane, n, time.Now())
				left[q.ShardOf(item)][item.Function.String()]++
				enqueue(t, q, item)
			}
			total += count
		}
		for total > 0 {
			leases := lease(t, q, atOnce)
			require.NotEmpty(t, leases)
			total -= len(leases)
			for _, l := range leases {
				shard, lane := q.ShardOf(l.Item), l.Item.Function.String()
				given[shard][lane]++
				if left[shard][lane]--; left[shard][lane] == 0 {
					delete(left[shard], lane)
				}
			}
			requireEven(t, left, given, atOnce)
		}
	}
}

// requireEven compares the lanes that have items left.
func requireEven(t *testing.T, left, given []map[string]int, atOnce int) {
	t.Helper()
	for shard := range left {
		var counts []int
		for lane := range maps.Keys(left[shard]) {
			counts = append(counts, given[shard][lane])
		}
		if len(counts) > 1 {
			require.LessOrEqual(t, slices.Max(counts)-slices.Min(counts), 2*queue.Quantum, "%d at once: %v", atOnce, given[shard])
		}
	}
}
