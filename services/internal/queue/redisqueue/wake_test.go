package redisqueue_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// processes are queues of several processes in one server. They do not poll, so that what wakes them is a token.
func processes(t *testing.T, server *redistest.Server, count int) []*redisqueue.Queue {
	t.Helper()
	all := make([]*redisqueue.Queue, count)
	for i := range all {
		all[i] = openAt(t, server, 4)
		all[i].WithoutPolling()
	}
	return all
}

// requireBlocked waits until so many processes wait for a token.
func requireBlocked(t *testing.T, client *redis.Client, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		blocked := client.InfoMap(t.Context(), "clients").Item("Clients", "blocked_clients")
		return blocked == strconv.Itoa(count)
	}, patience, time.Millisecond)
}

// wait waits in the background. The result is the error, which is the context's if nothing woke it.
func wait(t *testing.T, q queue.Consumer) <-chan error {
	t.Helper()
	woken := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	go func() { // the test receives its result
		defer cancel()
		woken <- q.Wait(ctx, time.Time{})
	}()
	return woken
}

func TestEnqueueWakesAnotherProcess(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := processes(t, server, 2)
	consumer, producer := all[0], all[1]
	for n := range 20 { // of all shards
		require.Empty(t, lease(t, consumer, 10))
		woken := wait(t, consumer)
		requireBlocked(t, server.Client(t), 1)
		enqueue(t, producer, newItem("lane", n, time.Now()))
		require.NoError(t, <-woken)
		require.Len(t, lease(t, consumer, 1), 1, "the shard that woke it is asked first")
	}
}

func TestWhatCameBeforeTheWaitWakesToo(t *testing.T) {
	t.Parallel()
	all := processes(t, redistest.Start(t), 2)
	require.Empty(t, lease(t, all[0], 10))
	enqueue(t, all[1], newItem("lane", 0, time.Now()))
	require.NoError(t, <-wait(t, all[0]))
	require.Len(t, lease(t, all[0], 1), 1)
}

// TestEveryWaiterWithWorkIsWoken: one token wakes one process; who leaves work wakes the next.
func TestEveryWaiterWithWorkIsWoken(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := processes(t, server, 4)
	producer, consumers := all[0], all[1:]
	item := newItem("lane", 0, time.Now())
	run := stepwell.Run{ID: item.Run, Function: item.Function}
	var work []stepwell.Item // of one shard
	for n := range len(consumers) {
		work = append(work, stepwell.NewDiscovery(run, n+1, item.DueAt))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, len(consumers))
	for _, q := range consumers {
		go func() { // received below
			for {
				now := time.Now()
				leased, err := q.Lease(ctx, queue.LeaseRequest{Now: now, Max: 1, Until: now.Add(time.Hour)})
				if err != nil || len(leased.Leases) == 1 {
					done <- err
					return
				}
				if err := q.Wait(ctx, leased.NextAt); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	requireBlocked(t, server.Client(t), len(consumers))
	enqueue(t, producer, work...)
	for range consumers {
		require.NoError(t, <-done)
	}
}

func TestClosingProcessWakesAnother(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := processes(t, server, 3)
	first, second, producer := all[0], all[1], all[2]
	woken := wait(t, first)
	requireBlocked(t, server.Client(t), 1)
	enqueue(t, producer, newItem("lane", 0, time.Now()))
	require.NoError(t, <-woken)
	woken = wait(t, second)
	requireBlocked(t, server.Client(t), 1)
	require.NoError(t, first.Close(t.Context()), "without having looked for the work")
	require.NoError(t, <-woken)
	require.Len(t, lease(t, second, 1), 1)
}

// TestAnotherProcessWakesForALaterItem: it learns when the item is due, and waits for that.
func TestAnotherProcessWakesForALaterItem(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := processes(t, server, 2)
	consumer, producer := all[0], all[1]
	woken := wait(t, consumer)
	requireBlocked(t, server.Client(t), 1)
	dueAt := time.Now().Add(200 * time.Millisecond)
	enqueue(t, producer, newItem("lane", 0, dueAt))
	require.NoError(t, <-woken)
	for { // a slow machine may be there when it is due
		now := time.Now()
		leased, err := consumer.Lease(t.Context(), queue.LeaseRequest{Now: now, Max: 1, Until: now.Add(time.Hour)})
		require.NoError(t, err)
		if len(leased.Leases) == 1 {
			require.False(t, now.Before(dueAt.Truncate(time.Microsecond)))
			return
		}
		require.Equal(t, dueAt.UnixMicro(), leased.NextAt.UnixMicro())
		require.NoError(t, consumer.Wait(t.Context(), leased.NextAt))
	}
}

// TestLeaseOfADeadProcessIsFoundByLooking: no token tells of it, so this takes the poll.
func TestLeaseOfADeadProcessIsFoundByLooking(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	survivor := openAt(t, server, 4)
	require.Empty(t, lease(t, survivor, 1))
	woken := wait(t, survivor)
	requireBlocked(t, server.Client(t), 1)
	dead := openAt(t, server, 4)
	item, now := newItem("lane", 0, time.Now()), time.Now()
	opener, err := dead.Ack(t.Context(), queue.AckRequest{ // nobody is woken for what is held at once
		Now: now, Lease: queue.Lease{Item: newItem("lane", 1, now)}, Next: []stepwell.Item{item}, Hold: true,
		HoldUntil: now.Add(100 * time.Millisecond),
	})
	require.NoError(t, err)
	require.NotNil(t, opener.Held)
	require.NoError(t, <-woken)
	leases := lease(t, survivor, 1)
	require.Len(t, leases, 1)
	require.Equal(t, 2, leases[0].Generation)
}
