package redisqueue_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// verbs are all methods that talk to Redis but Wait, by their names.
func verbs(ctx context.Context, q queue.Queue, held queue.Lease) map[string]func() error {
	now := time.Now()
	later := now.Add(time.Minute)
	return map[string]func() error{
		"Enqueue": func() error { return q.Enqueue(ctx, now, newItems(3, 1000, 20, now)) },
		"Remove":  func() error { return q.Remove(ctx, []stepwell.ItemID{held.Item.ID}) },
		"Lease": func() error {
			_, err := q.Lease(ctx, queue.LeaseRequest{Now: now, Max: 100, Until: later})
			return err
		},
		"Extend": func() error {
			_, err := q.Extend(ctx, []queue.Lease{held}, now, later)
			return err
		},
		"Ack": func() error {
			_, err := q.Ack(ctx, queue.AckRequest{Now: now, Lease: held, Next: []stepwell.Item{secondOf(held.Item, now)}})
			return err
		},
		"Release": func() error { return q.Release(ctx, held, now, now) },
		"Bury":    func() error { return q.Bury(ctx, held, now, "poison") },
		"Stats": func() error {
			_, err := q.Stats(ctx, now)
			return err
		},
		"Dead": func() error {
			_, err := q.Dead(ctx, 10)
			return err
		},
		"Redrive": func() error { return q.Redrive(ctx, now, held.Item.ID) },
		"Lost": func() error {
			_, err := q.Lost(ctx, now)
			return err
		},
		"AddStarts":   func() error { return q.AddStarts(ctx, lockOf(0), []stepwell.ThrottleStart{{}}) },
		"MarkWindows": func() error { return q.MarkWindows(ctx, lockOf(0)) },
		"Depths":      func() error { _, err := q.Depths(ctx, now, []stepwell.FunctionID{{}}); return err },
		"MarkRebuilt": func() error { return q.MarkRebuilt(ctx, lockOf(0), time.Time{}) },
		"TryLock": func() error {
			_, err := q.TryLock(ctx, lockOf(0), time.Minute)
			return err
		},
		"Prolong": func() error {
			_, err := q.Prolong(ctx, lockOf(0), time.Minute)
			return err
		},
		"Unlock": func() error { return q.Unlock(ctx, lockOf(0)) },
	}
}

// requireUnavailable calls every method. None may need the caller's patience: each ends with the queue's own error, not
// with the context's.
func requireUnavailable(t *testing.T, q queue.Queue, held queue.Lease, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// First of all: the others may let it know of work, and it need not ask.
	require.ErrorIs(t, q.Wait(ctx, time.Time{}), stepwell.ErrUnavailable)
	for name, do := range verbs(ctx, q, held) {
		err := do()
		require.ErrorIs(t, err, stepwell.ErrUnavailable, name)
		require.ErrorContains(t, err, text, name)
	}
}

// impatient opens a queue that soon gives up on a server, and leases one of its items.
func impatient(t *testing.T, server *redistest.Server) (*redisqueue.Queue, queue.Lease) {
	t.Helper()
	q := open(t, func(c *redisqueue.Config) { c.URL, c.Prefix, c.Timeout = server.URL, "own", 100*time.Millisecond })
	enqueue(t, q, newItem("lane", 0, time.Now()))
	leases := lease(t, q, 1)
	require.Len(t, leases, 1)
	return q, leases[0]
}

func TestRedisThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, held := impatient(t, server)
	server.Stop()
	requireUnavailable(t, q, held, "redis does not answer at 127.0.0.1:")

	late := open(t, func(c *redisqueue.Config) { c.URL, c.Prefix = server.URL, "own" })
	requireUnavailable(t, late, held, "redis does not answer at 127.0.0.1:")
}

func TestRedisThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, held := impatient(t, server)
	pid, err := strconv.Atoi(server.Client(t).InfoMap(t.Context(), "server").Item("Server", "process_id"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	requireUnavailable(t, q, held, "redis does not answer at 127.0.0.1:")
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	require.Eventually(t, func() bool {
		_, err := q.Stats(t.Context(), time.Now())
		return err == nil
	}, patience, 10*time.Millisecond)
	rebuild(t, q)
}

func TestReplicaIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, client := openAt(t, server, 4), server.Client(t)
	enqueue(t, q, newItems(3, 0, 20, time.Now())...)
	held := lease(t, q, 1)[0]
	require.NoError(t, client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	do := verbs(t.Context(), q, held)
	for _, name := range []string{"Enqueue", "Lease", "Extend", "Ack", "Release", "Bury", "Remove", "TryLock"} {
		err := do[name]()
		require.ErrorIs(t, err, stepwell.ErrUnavailable, name)
		require.ErrorContains(t, err, "redis_url names a replica", name)
	}
	require.Equal(t, queue.Stats{Ready: 19, Leased: 1}, stats(t, q), "looking is possible")
	require.NoError(t, client.ReplicaOf(t.Context(), "no", "one").Err())
	requireWorks(t, q)
}

// TestRedisThatLoadsIsUnavailable: it answers, but has not read its data yet.
func TestRedisThatLoadsIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--enable-debug-command", "yes", "--key-load-delay", "2000",
		"--loading-process-events-interval-bytes", "1024", "--rdbcompression", "no")
	q, client := openAt(t, server, 4), server.Client(t)
	enqueue(t, q, newItem("lane", 0, time.Now()))
	require.NoError(t, client.Do(t.Context(), "debug", "populate", 1000, "ballast", 1000).Err())
	reloaded := make(chan error, 1)
	go func() { // received below
		reloading := client.WithTimeout(patience)
		reloaded <- reloading.Do(t.Context(), "debug", "reload").Err()
	}()
	var err error
	require.Eventually(t, func() bool {
		_, err = q.Stats(t.Context(), time.Now())
		return err != nil
	}, patience, time.Millisecond)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "redis is starting and reads its data")
	require.NoError(t, <-reloaded)
	require.Equal(t, queue.Stats{Ready: 1}, stats(t, q), "nothing was lost")
}

func TestFullRedisDrains(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, client := openAt(t, server, 4), server.Client(t)
	rebuild(t, q)
	now := time.Now()
	const count = 40
	enqueue(t, q, newItems(3, 0, count, now)...)
	enqueue(t, q, newItem("later", 0, now.Add(time.Minute)))
	held := lease(t, q, 8)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())

	err := q.Enqueue(t.Context(), now, newItems(3, 1000, 20, now))
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "redis is full: raise its maxmemory")
	require.Empty(t, lostOf(t, q))
	require.Equal(t, queue.Stats{Ready: count - 8, Leased: 8, Delayed: 1}, stats(t, q), "nothing went in or out")

	lost, err := q.Extend(t.Context(), held, now, now.Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, lost)
	require.NoError(t, q.Release(t.Context(), held[0], now, now))
	require.NoError(t, q.Bury(t.Context(), held[1], now, "poison"))
	require.NoError(t, q.Redrive(t.Context(), now, held[1].Item.ID))
	require.Equal(t, queue.Stats{Ready: count - 6, Leased: 6, Delayed: 1}, stats(t, q))
	drain(t, openAt(t, server, 4), held[2:]) // as an executor that starts now
	require.Equal(t, queue.Stats{Delayed: 1}, stats(t, q))
	require.NoError(t, q.Remove(t.Context(), []stepwell.ItemID{newItem("later", 0, now).ID}))
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	requireWorks(t, q)
}

// drain works on all items there are; each opens another, on which it stays.
func drain(t *testing.T, q *redisqueue.Queue, held []queue.Lease) {
	t.Helper()
	for len(held) > 0 {
		for _, l := range held {
			finish(t, q, settle(t, q, l))
		}
		held = lease(t, q, 7)
	}
}

func TestUserWithoutRightsIsToldSo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s@cret")
	address := server.URL[len("redis://"):]
	admin := redis.NewClient(&redis.Options{Addr: address, Password: "s@cret"})
	defer admin.Close()
	for user, rules := range map[string][]string{
		"app":     {"on", ">p/ss", "~own:*", "+@all"},
		"visitor": {"on", ">p/ss", "~other:*", "+@all"},
	} {
		arguments := []any{"acl", "setuser", user}
		for _, rule := range rules {
			arguments = append(arguments, rule)
		}
		require.NoError(t, admin.Do(t.Context(), arguments...).Err())
	}
	at := func(login string) *redisqueue.Queue {
		return open(t, func(c *redisqueue.Config) { c.URL, c.Prefix = "redis://"+login+address, "own" })
	}
	requireWorks(t, at(":s%40cret@"))
	requireWorks(t, at("app:p%2Fss@"))
	for login, want := range map[string]string{
		"":                "redis wants a password: put it into redis_url",
		"app:hunter@":     "redis does not accept user and password: correct them in redis_url",
		"visitor:p%2Fss@": "the user of redis_url may not do this",
	} {
		err := at(login).Check(t.Context())
		require.ErrorIs(t, err, stepwell.ErrUnavailable)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter")
	}
}
