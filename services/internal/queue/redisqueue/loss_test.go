package redisqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

func lockOf(shard int) queue.Lock { return queue.Lock{Shard: shard, Name: "rebuild", Owner: "test"} }

// rebuild does as if all shards had been rebuilt.
func rebuild(t *testing.T, q queue.Shards) {
	t.Helper()
	for shard := range q.ShardCount() {
		taken, err := q.TryLock(t.Context(), lockOf(shard), time.Minute)
		require.NoError(t, err)
		require.True(t, taken)
		require.NoError(t, q.MarkRebuilt(t.Context(), lockOf(shard), time.Time{}))
	}
	require.Empty(t, lostOf(t, q))
}

func lostOf(t *testing.T, q queue.Shards) []int {
	t.Helper()
	lost, err := q.Lost(t.Context(), time.Now())
	require.NoError(t, err)
	return lost.Items
}

// requireWorks sees a run through.
func requireWorks(t *testing.T, q queue.Queue) {
	t.Helper()
	before, now := stats(t, q), time.Now()
	item := newItem("works", int(now.UnixNano()), now)
	enqueue(t, q, item)
	require.Equal(t, before.Ready+1, stats(t, q).Ready)
	require.NoError(t, q.Remove(t.Context(), []stepwell.ItemID{item.ID}))
	enqueue(t, q, item)
	var settled bool
	for !settled {
		leases := lease(t, q, queue.ItemsMax)
		require.NotEmpty(t, leases)
		for _, l := range leases {
			finish(t, q, settle(t, q, l))
			settled = settled || l.Item.ID == item.ID
		}
	}
}

func TestQ7_FlushedShardsAreLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, client := openAt(t, server, 4), server.Client(t)
	rebuild(t, q)
	enqueue(t, q, newItems(3, 0, 100, time.Now())...)
	held := lease(t, q, 10)
	require.NoError(t, client.FlushAll(t.Context()).Err())
	require.Equal(t, []int{0, 1, 2, 3}, lostOf(t, q))
	require.Equal(t, queue.Stats{}, stats(t, q))

	lost, err := q.Extend(t.Context(), held, time.Now(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, held, lost, "who works on items learns it")
	require.NoError(t, q.Release(t.Context(), held[0], time.Now(), time.Now()))
	require.Equal(t, queue.Stats{}, stats(t, q), "and cannot put half of them back")
	settle(t, q, held[0]) // but goes on
	requireWorks(t, q)
	require.Equal(t, "4", client.Get(t.Context(), "own:shards").Val(), "the number of shards is stored again")
	rebuild(t, q)
}

// TestQ7_RebuildingThatIsUndoneDoesNotCount: the shard was lost after its lock was taken, so what went in before is gone.
func TestQ7_RebuildingThatIsUndoneDoesNotCount(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q := openAt(t, server, 1)
	taken, err := q.TryLock(t.Context(), lockOf(0), time.Minute)
	require.NoError(t, err)
	require.True(t, taken)
	require.NoError(t, server.Client(t).FlushAll(t.Context()).Err())
	kept, err := q.Prolong(t.Context(), lockOf(0), time.Minute)
	require.NoError(t, err)
	require.False(t, kept)
	require.ErrorIs(t, q.MarkRebuilt(t.Context(), lockOf(0), time.Time{}), stepwell.ErrLeaseLost)
	require.Equal(t, []int{0}, lostOf(t, q))
}

// TestQ7_ShardsAreLostEachOnItsOwn: as when one node of a cluster loses its data.
func TestQ7_ShardsAreLostEachOnItsOwn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, client := openAt(t, server, 4), server.Client(t)
	rebuild(t, q)
	require.NoError(t, client.Del(t.Context(), client.Keys(t.Context(), "own:{2}:*").Val()...).Err())
	require.Equal(t, []int{2}, lostOf(t, q))
}

func TestScriptsAreSentAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, client := openAt(t, server, 4), server.Client(t)
	rebuild(t, q)
	for range 3 {
		requireWorks(t, q)
		enqueue(t, q, newItems(2, 0, 50, time.Now())...)
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		require.Len(t, lease(t, q, 50), 50, "several shards in one round trip")
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		require.Equal(t, queue.Stats{Leased: 50}, stats(t, q))
		var ids []stepwell.ItemID
		for _, item := range newItems(2, 0, 50, time.Now()) {
			ids = append(ids, item.ID)
		}
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		require.NoError(t, q.Remove(t.Context(), ids))
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
	}
	require.Empty(t, lostOf(t, q))
}

// TestRestartOfRedisIsSurvived: who waits for work gets what is put in afterwards.
func TestRestartOfRedisIsSurvived(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--enable-debug-command", "yes")
	q, client := openAt(t, server, 4), server.Client(t)
	rebuild(t, q)
	wanted, got := newItem("wanted", 0, time.Now()), make(chan error, 1)
	go func() { got <- workUntil(t.Context(), q, wanted.ID) }() // received below
	_ = client.Do(t.Context(), "debug", "restart").Err()        // it cannot answer
	require.Eventually(t, func() bool {
		lost, err := q.Lost(t.Context(), time.Now())
		return err == nil && len(lost.Items) == 4
	}, patience, 10*time.Millisecond)
	enqueue(t, q, wanted)
	require.NoError(t, <-got)
	rebuild(t, q)
}

// workUntil leases and waits as an executor does, whatever goes wrong, until it has an item.
func workUntil(ctx context.Context, q queue.Consumer, wanted stepwell.ItemID) error {
	for {
		now := time.Now()
		leased, _ := q.Lease(ctx, queue.LeaseRequest{Now: now, Max: 1, Until: now.Add(time.Minute)})
		for _, l := range leased.Leases {
			if l.Item.ID == wanted {
				return nil
			}
		}
		if len(leased.Leases) == 0 {
			_ = q.Wait(ctx, leased.NextAt)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func TestWrongNumberOfShardsIsRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first, other := openAt(t, server, 4), openAt(t, server, 3)
	require.NoError(t, first.Check(t.Context()))
	_, leaseErr := other.Lease(t.Context(), queue.LeaseRequest{Now: time.Now(), Max: 1})
	_, lostErr := other.Lost(t.Context(), time.Now())
	for _, err := range []error{
		other.Check(t.Context()), other.Enqueue(t.Context(), time.Now(), newItems(1, 0, 1, time.Now())), leaseErr, lostErr,
	} {
		require.ErrorIs(t, err, stepwell.ErrInvalid)
		require.ErrorContains(t, err, `the queue "own" in redis has 4 shards and redis.shards is 3`)
		require.ErrorContains(t, err, "set redis.shards to 4, or choose another redis.prefix")
	}
	require.NoError(t, server.Client(t).FlushAll(t.Context()).Err())
	require.NoError(t, other.Check(t.Context()), "nobody's shards are there now")
	_, err := first.Lost(t.Context(), time.Now())
	require.ErrorIs(t, err, stepwell.ErrInvalid, "and the other learns it")
}

func TestClosedQueueSaysSo(t *testing.T) {
	t.Parallel()
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix = shared.URL, shared.Prefix(t)
	q, err := redisqueue.New(config, telemetry.Telemetry{})
	require.NoError(t, err)
	require.NoError(t, q.Check(t.Context()))
	waited := make(chan error, 1)
	go func() { waited <- q.Wait(context.Background(), time.Time{}) }() // received below
	require.NoError(t, q.Close(t.Context()))
	require.NoError(t, q.Close(t.Context()), "closing again is harmless")
	require.ErrorIs(t, <-waited, stepwell.ErrUnavailable)
	err = q.Enqueue(t.Context(), time.Now(), newItems(1, 0, 1, time.Now()))
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "the queue is closed")
}
