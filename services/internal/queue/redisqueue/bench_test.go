package redisqueue_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// commands is how many commands a server has run, those within scripts included.
func commands(tb testing.TB, client *redis.Client) int {
	tb.Helper()
	text, err := client.Info(tb.Context(), "commandstats").Result()
	require.NoError(tb, err)
	total := 0
	for line := range strings.Lines(text) {
		name, values, found := strings.Cut(line, ":calls=")
		if !found || strings.HasPrefix(name, "cmdstat_info") || strings.HasPrefix(name, "cmdstat_hello") {
			continue
		}
		calls, _, _ := strings.Cut(values, ",")
		n, err := strconv.Atoi(calls)
		require.NoError(tb, err)
		total += n
	}
	return total
}

// meter counts commands for each phase of a benchmark.
type meter struct {
	b      *testing.B
	client *redis.Client
	last   int
	counts map[string]int
	times  map[string]time.Duration
	began  time.Time
}

func newMeter(b *testing.B, server *redistest.Server) *meter {
	b.Helper()
	client := server.Client(b)
	return &meter{
		b: b, client: client, last: commands(b, client), counts: map[string]int{}, times: map[string]time.Duration{},
		began: time.Now(),
	}
}

// phase ends a phase.
func (m *meter) phase(name string) {
	m.times[name] += time.Since(m.began)
	m.b.StopTimer()
	now := commands(m.b, m.client)
	m.counts[name] += now - m.last
	m.last = now
	m.b.StartTimer()
	m.began = time.Now()
}

func (m *meter) report(items int) {
	for name, count := range m.counts {
		m.b.ReportMetric(float64(count)/float64(items), name+"-cmds/item")
		m.b.ReportMetric(float64(m.times[name].Microseconds())/float64(items), name+"-µs/item")
	}
}

// BenchmarkRun is a one-step run in the queue, 64 at a time: in, leased, followed by a held item, done.
func BenchmarkRun(b *testing.B) {
	for _, shards := range []int{1, 4} {
		for _, lanes := range []int{1, 10, 10_000} {
			b.Run(fmt.Sprintf("shards=%d/lanes=%d", shards, lanes), func(b *testing.B) {
				server := redistest.Start(b)
				q := openAt(b, server, shards)
				require.NoError(b, q.Check(b.Context()))
				m := newMeter(b, server)
				const batch = 64
				n := 0
				// A flood: there is always more.
				for range 20_000 / 1000 {
					require.NoError(b, q.Enqueue(b.Context(), time.Now(), newItems(lanes, n, 1000, time.Now())))
					n += 1000
				}
				m.last = commands(b, m.client)
				m.began = time.Now()
				b.ResetTimer()
				for range b.N {
					now := time.Now()
					require.NoError(b, q.Enqueue(b.Context(), now, newItems(lanes, n, batch, now)))
					n += batch
					m.phase("enqueue")
					leased, err := q.Lease(b.Context(), queue.LeaseRequest{Now: now, Max: batch, Until: now.Add(time.Minute)})
					require.NoError(b, err)
					require.Len(b, leased.Leases, batch)
					m.phase("lease")
					held := make([]queue.Lease, batch)
					each(leased.Leases, func(i int, lease queue.Lease) {
						run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function}
						acked, err := q.Ack(b.Context(), queue.AckRequest{
							Now: now, Lease: lease, Next: []stepwell.Item{stepwell.NewDiscovery(run, 2, now)},
							Hold: true, HoldUntil: now.Add(time.Minute),
						})
						if err != nil || acked.Held == nil {
							b.Error(err)
							return
						}
						held[i] = *acked.Held
					})
					m.phase("hold")
					each(held, func(_ int, lease queue.Lease) {
						if _, err := q.Ack(b.Context(), queue.AckRequest{Now: now, Lease: lease}); err != nil {
							b.Error(err)
						}
					})
					m.phase("ack")
				}
				b.StopTimer()
				m.report(batch * b.N)
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "runs/s")
			})
		}
	}
}

// each does something with all leases at the same time.
func each(leases []queue.Lease, do func(int, queue.Lease)) {
	var wg sync.WaitGroup
	for i, lease := range leases {
		wg.Go(func() { do(i, lease) })
	}
	wg.Wait()
}

// BenchmarkSingly is the same for a worker that is alone, one item at a time.
func BenchmarkSingly(b *testing.B) {
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			server := redistest.Start(b)
			q := openAt(b, server, shards)
			require.NoError(b, q.Enqueue(b.Context(), time.Now(), newItems(1, 0, 1000, time.Now())))
			m := newMeter(b, server)
			n := 1000
			for range b.N {
				now := time.Now()
				require.NoError(b, q.Enqueue(b.Context(), now, newItems(1, n, 1, now)))
				n++
				m.phase("enqueue")
				leased, err := q.Lease(b.Context(), queue.LeaseRequest{Now: now, Max: 1, Until: now.Add(time.Minute)})
				require.NoError(b, err)
				require.Len(b, leased.Leases, 1)
				m.phase("lease")
				lease := leased.Leases[0]
				run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function}
				acked, err := q.Ack(b.Context(), queue.AckRequest{
					Now: now, Lease: lease, Next: []stepwell.Item{stepwell.NewDiscovery(run, 2, now)},
					Hold: true, HoldUntil: now.Add(time.Minute),
				})
				require.NoError(b, err)
				m.phase("hold")
				_, err = q.Ack(b.Context(), queue.AckRequest{Now: now, Lease: *acked.Held})
				require.NoError(b, err)
				m.phase("ack")
			}
			b.StopTimer()
			m.report(b.N)
		})
	}
}

// BenchmarkFlood is an executor of 100 workers with more to do than it can. A call to the app takes 2 ms, and a run has
// two: its step, and its end.
func BenchmarkFlood(b *testing.B) {
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			server := redistest.Start(b)
			q := openAt(b, server, shards)
			count := b.N * 10_000
			require.NoError(b, q.Check(b.Context()))
			m := newMeter(b, server)
			var all sync.WaitGroup
			all.Go(func() { // publishers: 10 events at a time
				for n := 0; n < count; n += 10 {
					if err := q.Enqueue(b.Context(), time.Now(), newItems(5, n, 10, time.Now())); err != nil {
						b.Error(err)
					}
				}
			})
			leases := execute(b, q, 100, count, 2*time.Millisecond)
			all.Wait()
			m.phase("flood")
			b.StopTimer()
			b.ReportMetric(float64(m.counts["flood"])/float64(count), "cmds/run")
			b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(float64(count)/float64(leases), "items/lease")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// execute works on runs as the executor does, and returns how often it leased.
func execute(b *testing.B, q queue.Queue, workers, count int, takes time.Duration) int {
	b.Helper()
	slots := make(chan struct{}, workers)
	for range workers {
		slots <- struct{}{}
	}
	var working sync.WaitGroup
	leases := 0
	for done := 0; done < count; {
		<-slots
		free := 1
		for more := true; more; {
			select {
			case <-slots:
				free++
			default:
				more = false
			}
		}
		now := time.Now()
		leased, err := q.Lease(b.Context(), queue.LeaseRequest{Now: now, Max: free, Until: now.Add(time.Minute)})
		require.NoError(b, err)
		for range free - len(leased.Leases) {
			slots <- struct{}{}
		}
		if len(leased.Leases) == 0 {
			require.NoError(b, q.Wait(b.Context(), leased.NextAt))
			continue
		}
		leases++
		done += len(leased.Leases)
		for _, lease := range leased.Leases {
			working.Go(func() {
				defer func() { slots <- struct{}{} }()
				<-time.After(takes)
				run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function}
				now := time.Now()
				acked, err := q.Ack(b.Context(), queue.AckRequest{
					Now: now, Lease: lease, Next: []stepwell.Item{stepwell.NewDiscovery(run, 2, now)},
					Hold: true, HoldUntil: now.Add(time.Minute),
				})
				if err != nil || acked.Held == nil {
					b.Error(err)
					return
				}
				<-time.After(takes)
				if _, err := q.Ack(b.Context(), queue.AckRequest{Now: time.Now(), Lease: *acked.Held}); err != nil {
					b.Error(err)
				}
			})
		}
	}
	working.Wait()
	return leases
}

// BenchmarkMemory is what Redis needs for 100,000 waiting items.
func BenchmarkMemory(b *testing.B) {
	for _, kind := range []string{"ready", "delayed"} {
		b.Run(kind, func(b *testing.B) {
			server := redistest.Start(b)
			q := openAt(b, server, 4)
			client := server.Client(b)
			used := func() float64 {
				bytes, err := strconv.ParseFloat(client.InfoMap(b.Context(), "memory").Item("Memory", "used_memory_dataset"), 64)
				require.NoError(b, err)
				return bytes
			}
			const count = 100_000
			for range b.N {
				require.NoError(b, client.FlushAll(b.Context()).Err())
				before, now := used(), time.Now()
				due := now
				if kind == "delayed" {
					due = now.Add(time.Minute)
				}
				for n := 0; n < count; n += 1000 {
					require.NoError(b, q.Enqueue(b.Context(), now, newItems(10, n, 1000, due)))
				}
				b.ReportMetric((used()-before)/count, "B/item")
			}
		})
	}
}

// BenchmarkIdle is what one consumer that waits costs Redis.
func BenchmarkIdle(b *testing.B) {
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			server := redistest.Start(b)
			q := openAt(b, server, shards)
			m := newMeter(b, server)
			for range b.N {
				ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
				for ctx.Err() == nil {
					leased, err := q.Lease(b.Context(), queue.LeaseRequest{Now: time.Now(), Max: 100, Until: time.Now().Add(time.Minute)})
					require.NoError(b, err)
					_ = q.Wait(ctx, leased.NextAt)
				}
				cancel()
			}
			m.phase("idle")
			b.ReportMetric(float64(m.counts["idle"])/b.Elapsed().Seconds(), "cmds/s")
		})
	}
}
