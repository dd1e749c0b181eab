package redisqueue_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/redistest"
)

// BenchmarkFlood is an executor of 100 workers that gets more than it can do, while it works. A call to the app takes 2 ms,
// and a run has two: its step, and its end.
func BenchmarkFlood(b *testing.B) {
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			server := redistest.Start(b)
			q, client := openAt(b, server, shards), server.Client(b)
			count := b.N * 10_000
			require.NoError(b, q.Check(b.Context()))
			require.NoError(b, client.ConfigResetStat(b.Context()).Err())
			var publishing sync.WaitGroup
			publishing.Go(func() { // 10 events at a time
				for n := 0; n < count; n += 10 {
					if err := q.Enqueue(b.Context(), time.Now(), newItems(5, n, 10, time.Now())); err != nil {
						b.Error(err)
					}
				}
			})
			execute(b, q, 100, count, 2*time.Millisecond)
			publishing.Wait()
			b.StopTimer()
			sent, all := commands(b, client)
			b.ReportMetric(float64(all)/float64(count), "cmds/run")
			b.ReportMetric(float64(sent)/float64(count), "sent/run")
			b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// execute works on runs as the executor does: it leases as much as it has workers free.
func execute(b *testing.B, q queue.Queue, workers, count int, takes time.Duration) {
	b.Helper()
	free := make(chan struct{}, workers)
	for range workers {
		free <- struct{}{}
	}
	var working sync.WaitGroup
	for done := 0; done < count; {
		<-free
		room := 1 + len(free)
		for range room - 1 { // nobody else takes from it
			<-free
		}
		now := time.Now()
		leased, err := q.Lease(b.Context(), queue.LeaseRequest{Now: now, Max: room, Until: now.Add(time.Minute)})
		require.NoError(b, err)
		for range room - len(leased.Leases) {
			free <- struct{}{}
		}
		if len(leased.Leases) == 0 {
			require.NoError(b, q.Wait(b.Context(), leased.NextAt))
		}
		done += len(leased.Leases)
		for _, l := range leased.Leases {
			working.Go(func() {
				<-time.After(takes)
				held := settle(b, q, l)
				<-time.After(takes)
				finish(b, q, held)
				free <- struct{}{}
			})
		}
	}
	working.Wait()
}

// BenchmarkRebuild puts a million items that are due, and a million that are due later, into a queue that was lost, as a
// runner does: page after page. It tells how long that takes and how much memory an item needs.
func BenchmarkRebuild(b *testing.B) {
	const count = 1_000_000
	for kind, dueIn := range map[string]time.Duration{"due": 0, "later": time.Hour} {
		b.Run(kind, func(b *testing.B) {
			for range b.N {
				server := redistest.Start(b)
				q, client := openAt(b, server, 4), server.Client(b)
				require.NoError(b, q.Check(b.Context()))
				used := func() float64 {
					text := client.InfoMap(b.Context(), "memory").Item("Memory", "used_memory")
					bytes, err := strconv.ParseFloat(text, 64)
					require.NoError(b, err)
					return bytes
				}
				before := used()
				for n := 0; n < count; n += queue.ItemsMax {
					b.StopTimer()
					now := time.Now()
					items := newItems(100, n, min(queue.ItemsMax, count-n), now.Add(dueIn))
					b.StartTimer()
					require.NoError(b, q.Enqueue(b.Context(), now, items))
				}
				counted, err := q.Stats(b.Context(), time.Now())
				require.NoError(b, err)
				require.Equal(b, count, counted.Ready+counted.Delayed)
				b.ReportMetric((used()-before)/count, "B/item")
			}
			b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "items/s")
		})
	}
}
