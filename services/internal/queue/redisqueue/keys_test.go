package redisqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// machine does anything with a queue, in any order.
type machine struct {
	q   *redisqueue.Queue
	ctx context.Context //nolint:containedctx // lives as long as the test
	now time.Time
	// revision is that of the latest limits.
	revision int64
	// leases were handed out; most of them are lost by now.
	leases []queue.Lease
	// held is how long items are in somebody's hands for sure.
	held map[stepwell.ItemID]time.Time
}

// someItem is one of few, so that they meet again. It is due soon, or was a while ago.
func (m *machine) someItem(t *rapid.T) stepwell.Item {
	function := rapid.SampledFrom([]string{"a", "b", "limited"}).Draw(t, "function")
	item := newItem(function, rapid.IntRange(0, 9).Draw(t, "run"), m.now)
	item.DueAt = m.now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "due in")) * time.Second)
	item.Priority = time.Duration(rapid.IntRange(-1, 1).Draw(t, "priority")) * time.Minute
	if function == "limited" {
		run := stepwell.Run{ID: item.Run, Function: item.Function, Priority: item.Priority, Limits: []stepwell.LimitKey{
			{LimitName: someLimits()[0].LimitName, Value: "a;{tenant}:=\"0" + fmt.Sprint(item.Run.ULID[15]%3)},
			{LimitName: someLimits()[1].LimitName},
		}}
		item = item.Of(run)
	}
	return item
}

// someLimits are a concurrency of each key, a throttle, and a concurrency of the function.
func someLimits() []stepwell.Limit {
	return []stepwell.Limit{
		{LimitName: stepwell.LimitName{Key: "key"}, Most: 1},
		{LimitName: stepwell.LimitName{Kind: stepwell.LimitThrottle}, Most: 3, Period: 20 * time.Second},
		{Most: 2},
	}
}

func (m *machine) someItems(t *rapid.T) []stepwell.Item {
	items := make([]stepwell.Item, rapid.IntRange(0, 8).Draw(t, "items"))
	for i := range items {
		items[i] = m.someItem(t)
	}
	return items
}

// someLease is one that was handed out, or never was.
func (m *machine) someLease(t *rapid.T) queue.Lease {
	if n := rapid.IntRange(0, len(m.leases)).Draw(t, "lease"); n > 0 {
		return m.leases[n-1]
	}
	return queue.Lease{Item: m.someItem(t), Generation: 1}
}

// letGo is a lease whose item may be another's from now on.
func (m *machine) letGo(l queue.Lease) queue.Lease {
	delete(m.held, l.Item.ID)
	return l
}

func (m *machine) lease(t *rapid.T) {
	leased, err := m.q.Lease(m.ctx, queue.LeaseRequest{
		Now: m.now, Max: rapid.IntRange(0, 20).Draw(t, "max"), Until: m.now.Add(30 * time.Second),
	})
	require.NoError(t, err)
	for _, l := range leased.Leases {
		require.False(t, m.held[l.Item.ID].After(m.now), "Q2: %s is leased twice", l.Item.ID)
		require.False(t, l.Item.DueAt.After(m.now), "Q3: %s is early", l.Item.ID)
		m.hold(l)
	}
}

func (m *machine) hold(l queue.Lease) {
	m.held[l.Item.ID] = l.ExpiresAt
	m.leases = append(m.leases, l)
}

// actions are everything that can be done.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"enqueue": func(t *rapid.T) { require.NoError(t, m.q.Enqueue(m.ctx, m.now, m.someItems(t))) },
		"lease":   m.lease,
		"limit": func(t *rapid.T) {
			m.revision++
			limits := queue.FunctionLimits{Function: newItem("limited", 0, m.now).Function, Revision: m.revision}
			for _, limit := range someLimits() {
				if rapid.Bool().Draw(t, "limited") {
					limits.Limits = append(limits.Limits, limit)
				}
			}
			limits.Paused = rapid.IntRange(0, 4).Draw(t, "paused") == 0
			first := queue.FunctionLimits{Function: newItem("a", 0, m.now).Function, Revision: m.revision}
			if rapid.Bool().Draw(t, "first limit") {
				first.Limits = []stepwell.Limit{{Most: 2}}
			}
			require.NoError(t, m.q.SetLimits(m.ctx, []queue.FunctionLimits{limits, first}))
		},
		"later": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
		},
		"ack": func(t *rapid.T) {
			settled := m.letGo(m.someLease(t))
			next := slices.DeleteFunc(m.someItems(t), func(i stepwell.Item) bool { return i.ID == settled.Item.ID })
			acked, err := m.q.Ack(m.ctx, queue.AckRequest{
				Now: m.now, Lease: settled, Next: next, Hold: rapid.Bool().Draw(t, "hold"),
				HoldUntil: m.now.Add(30 * time.Second),
			})
			require.NoError(t, err)
			if acked.Held != nil {
				m.hold(*acked.Held)
			}
		},
		"extend": func(t *rapid.T) {
			_, err := m.q.Extend(m.ctx, []queue.Lease{m.someLease(t), m.someLease(t)}, m.now, m.now.Add(time.Minute))
			require.NoError(t, err)
		},
		"release": func(t *rapid.T) {
			require.NoError(t, m.q.Release(m.ctx, m.letGo(m.someLease(t)), m.now, m.someItem(t).DueAt))
		},
		"bury": func(t *rapid.T) { require.NoError(t, m.q.Bury(m.ctx, m.letGo(m.someLease(t)), m.now, "poison")) },
		"remove": func(t *rapid.T) {
			gone := []stepwell.ItemID{m.someItem(t).ID, m.letGo(m.someLease(t)).Item.ID}
			delete(m.held, gone[0])
			require.NoError(t, m.q.Remove(m.ctx, gone))
		},
		"inspect": func(t *rapid.T) {
			item := m.someItem(t)
			_, err := m.q.Depths(m.ctx, m.now, []stepwell.FunctionID{item.Function})
			require.NoError(t, err)
			_, err = m.q.Waiting(m.ctx, m.now, []stepwell.Item{item})
			require.NoError(t, err)
			_, err = m.q.Stats(m.ctx, m.now)
			require.NoError(t, err)
			dead, err := m.q.Dead(m.ctx, 10)
			require.NoError(t, err)
			for _, d := range dead {
				require.NoError(t, m.q.Redrive(m.ctx, m.now, d.Item.ID))
			}
		},
		"lock": func(t *rapid.T) {
			lock := lockOf(rapid.IntRange(0, m.q.ShardCount()-1).Draw(t, "shard"))
			_, err := m.q.TryLock(m.ctx, lock, time.Minute)
			require.NoError(t, err)
			_, err = m.q.Prolong(m.ctx, lock, time.Minute)
			require.NoError(t, err)
			require.NoError(t, m.q.MarkRebuilt(m.ctx, lock, m.now))
			_, err = m.q.Lost(m.ctx, m.now)
			require.NoError(t, err)
			item := m.someItem(t)
			begun := stepwell.NewThrottleStart(item.Function, item.Run, item.Limits, m.now)
			require.NoError(t, m.q.AddStarts(m.ctx, lock, []stepwell.ThrottleStart{begun}))
			if rapid.Bool().Draw(t, "windows") {
				require.NoError(t, m.q.MarkWindows(m.ctx, lock))
			}
			require.NoError(t, m.q.Unlock(m.ctx, lock))
		},
	}
}

// withMachine has a new queue in an empty server.
func withMachine(t *rapid.T, server *redistest.Server, client *redis.Client, use func(*machine)) {
	require.NoError(t, client.FlushAll(t.Context()).Err())
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix, config.Shards = server.URL, "own", 2
	q, err := redisqueue.New(config, telemetry.Telemetry{})
	require.NoError(t, err)
	use(&machine{q: q, ctx: t.Context(), now: time.Unix(1_700_000_000, 0), held: map[stepwell.ItemID]time.Time{}})
	require.NoError(t, q.Close(context.WithoutCancel(t.Context())))
}

// TestEveryItemIsInOnePlace: whatever is done, each item is where its value says and nowhere else (Q1), the ring has the
// lanes with items and no other, and only dead items have reasons.
func TestEveryItemIsInOnePlace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	rapid.Check(t, func(t *rapid.T) {
		withMachine(t, server, client, func(m *machine) {
			actions := m.actions()
			actions[""] = func(t *rapid.T) {
				for shard := range m.q.ShardCount() {
					requireInOnePlace(t, client, fmt.Sprintf("own:{%d}:", shard))
				}
			}
			t.Repeat(actions)
		})
	})
}

func requireInOnePlace(t *rapid.T, client *redis.Client, prefix string) {
	ctx := t.Context()
	places, lanes := map[string]string{}, []string{}
	put := func(place string, ids []string) {
		for _, id := range ids {
			require.Empty(t, places[id], "%s is in %s", id, place)
			places[id] = place
		}
	}
	for place, key := range map[string]string{"d": "delayed", "l": "leased", "x": "dead"} {
		put(place, client.ZRange(ctx, prefix+key, 0, -1).Val())
	}
	for _, key := range client.Keys(ctx, prefix+"lane:*").Val() {
		lane := strings.TrimPrefix(key, prefix+"lane:")
		lanes = append(lanes, lane)
		put("r/"+lane, client.ZRange(ctx, key, 0, -1).Val())
	}
	require.ElementsMatch(t, lanes, append(client.ZRange(ctx, prefix+"ring", 0, -1).Val(), waiting(t, client, prefix)...))
	items, dead := client.HGetAll(ctx, prefix+"items").Val(), 0
	require.Len(t, items, len(places))
	for id, value := range items {
		place := value[:1]
		switch place {
		case "r":
			place += "/" + strings.SplitN(value, ";", 5)[4]
		case "x":
			dead++
		case "m":
			place = "l"
		}
		require.Equal(t, place, places[id], "%s: %s", id, value)
	}
	require.Len(t, client.HKeys(ctx, prefix+"reasons").Val(), dead)
}

// waiting are the lanes that wait for limits: each at the place that its function knows.
func waiting(t *rapid.T, client *redis.Client, prefix string) []string {
	var lanes []string
	places := map[string]string{}
	for _, key := range client.Keys(t.Context(), prefix+"parked:*").Val() {
		for _, lane := range client.ZRange(t.Context(), key, 0, -1).Val() {
			lanes = append(lanes, lane)
			places[lane] = strings.TrimPrefix(key, prefix+"parked:")
		}
	}
	known := map[string]string{}
	for _, key := range client.Keys(t.Context(), prefix+"waits:*").Val() {
		maps.Copy(known, client.HGetAll(t.Context(), key).Val())
	}
	require.Equal(t, known, places)
	requireDepths(t, client, prefix, lanes)
	return lanes
}

// requireDepths looks whether the items in lanes are counted, by function, and those in lanes that wait.
func requireDepths(t *rapid.T, client *redis.Client, prefix string, waiting []string) {
	want, counted := map[string]int{}, map[string]int{}
	for _, key := range client.Keys(t.Context(), prefix+"lane:*").Val() {
		lane, n := strings.TrimPrefix(key, prefix+"lane:"), int(client.ZCard(t.Context(), key).Val())
		function, _, _ := strings.Cut(lane, "/")
		want[function] += n
		if slices.Contains(waiting, lane) {
			want["held"] += n
		}
	}
	for field, n := range client.HGetAll(t.Context(), prefix+"depths").Val() {
		if n != "0" {
			counted[field], _ = strconv.Atoi(n)
		}
	}
	require.Equal(t, want, counted)
}

// TestScriptsUseOnlyKeysThatTheyDeclare: else they would fail in a cluster, or for a user who may not use all keys. What
// scripts do is taken from Redis itself, while everything is done with a queue.
func TestScriptsUseOnlyKeysThatTheyDeclare(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, ended := server.Client(t), watch(t, server)
	rapid.Check(t, func(t *rapid.T) {
		withMachine(t, server, client, func(m *machine) { t.Repeat(m.actions()) })
	})
	require.NoError(t, client.Echo(t.Context(), endOfWatch).Err())
	ran := map[string]bool{}
	var declared []string
	for _, command := range <-ended {
		switch words := command.words; {
		case command.inScript:
			require.True(t, isDeclared(words[1], declared), "%q with the keys %q", words, declared)
		case words[0] == "evalsha" || words[0] == "eval":
			count, err := strconv.Atoi(words[2])
			require.NoError(t, err)
			declared = words[3 : 3+count]
			ran[words[1]] = true
			for _, key := range declared {
				require.Equal(t, key[:len("own:{0}:")], declared[0][:len("own:{0}:")], "one slot: %q", declared)
			}
		}
	}
	hashes, err := redisqueue.ScriptHashes()
	require.NoError(t, err)
	for name, hash := range hashes {
		require.True(t, ran[hash], "%s ran", name)
	}
}

// isDeclared tells whether a key is declared, or begins as one that only says how keys begin.
func isDeclared(key string, declared []string) bool {
	for _, d := range declared {
		if key == d || strings.HasSuffix(d, ":") && strings.HasPrefix(key, d) {
			return true
		}
	}
	return false
}

// command is a command that a server has run.
type command struct {
	inScript bool
	words    []string
}

// endOfWatch, echoed, ends watch.
const endOfWatch = "end of watch"

// watch returns what the server does, once it ends.
func watch(t *testing.T, server *redistest.Server) <-chan []command {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "redis://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	lines := bufio.NewReader(conn)
	ok, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n", ok)
	ended := make(chan []command, 1)
	go func() { // ends with its connection at the latest
		defer close(ended)
		var seen []command
		word := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.Contains(line, endOfWatch) {
				ended <- seen
				return
			}
			c := command{inScript: strings.Contains(line, " lua] ")}
			for _, quoted := range word.FindAllString(line, -1) {
				text, _ := strconv.Unquote(quoted)
				c.words = append(c.words, text)
			}
			c.words[0] = strings.ToLower(c.words[0])
			seen = append(seen, c)
		}
	}()
	return ended
}
