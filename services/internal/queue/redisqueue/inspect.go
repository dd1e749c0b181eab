package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// statsLanesMax bounds the lanes of a shard in which Stats looks for the oldest item.
const statsLanesMax = 100

// Stats implements queue.Inspector. It moves what became due before it counts, as a Lease would.
func (q *Queue) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	if err := q.ready(ctx); err != nil {
		return queue.Stats{}, err
	}
	var calls []call
	for _, s := range q.shards {
		calls = append(calls, q.advance(s, now), newCall(q.scripts.stats, s.keys, "", micros(now), statsLanesMax))
	}
	var stats queue.Stats
	for i, got := range q.run(ctx, calls...) {
		if i%2 == 0 {
			continue // where nothing can be changed, all can still be counted
		}
		if got.err != nil {
			return queue.Stats{}, q.failure(ctx, "count items", got.err)
		}
		stats.Add(counted(got.value))
	}
	return stats, nil
}

// counted reads the answer of the script stats.
func counted(answer any) queue.Stats {
	var n [7]int
	for field := range n {
		n[field] = int(number(element(answer, field)))
	}
	all, delayed, leased, dead, due, expired, held := n[0], n[1], n[2], n[3], n[4], n[5], n[6]
	stats := queue.Stats{
		Ready: all - delayed - leased - dead + due + expired, Delayed: delayed - due, Leased: leased - expired, Dead: dead,
		Held: held,
	}
	if oldest := element(answer, 7); oldest != "" {
		stats.OldestDueAt = fromMicros(number(oldest))
	}
	return stats
}

// Depths implements queue.Inspector. It moves what became due before it counts, as Stats does.
func (q *Queue) Depths(
	ctx context.Context, now time.Time, functions []stepwell.FunctionID,
) (map[stepwell.FunctionID]int, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	chunks := slices.Collect(slices.Chunk(functions, chunkMax))
	var calls []call
	for _, s := range q.shards {
		calls = append(calls, q.advance(s, now))
		for _, chunk := range chunks {
			names := make([]any, len(chunk))
			for i, function := range chunk {
				names[i] = function.String()
			}
			calls = append(calls, newCall(q.scripts.depths, s.keys, "", names...))
		}
	}
	depths := map[stepwell.FunctionID]int{}
	for i, got := range q.run(ctx, calls...) {
		at := i % (1 + len(chunks))
		if at == 0 {
			continue // where nothing can be changed, all can still be counted
		}
		if got.err != nil {
			return nil, q.failure(ctx, "count items of functions", got.err)
		}
		for j, function := range chunks[at-1] {
			if n := int(number(element(got.value, j))); n > 0 {
				depths[function] += n
			}
		}
	}
	return depths, nil
}

// Dead implements queue.Inspector.
func (q *Queue) Dead(ctx context.Context, limit int) ([]queue.DeadItem, error) {
	if err := q.ready(ctx); err != nil || limit <= 0 {
		return nil, err
	}
	limit = min(limit, queue.ItemsMax)
	var calls []call
	for _, s := range q.shards {
		calls = append(calls, newCall(q.scripts.dead, s.keys, "", limit))
	}
	var items []queue.DeadItem
	for _, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return nil, q.failure(ctx, "list dead items", got.err)
		}
		for fields := range slices.Chunk(texts(got.value), 4) {
			item, _ := readItem(fields[0], fields[1])
			items = append(items, queue.DeadItem{Item: item, At: fromMicros(number(fields[2])), Reason: fields[3]})
		}
	}
	slices.SortStableFunc(items, func(a, b queue.DeadItem) int { return b.At.Compare(a.At) })
	return items[:min(limit, len(items))], nil
}

// Redrive implements queue.Inspector. Like Remove, it looks first where an item without limits is.
func (q *Queue) Redrive(ctx context.Context, now time.Time, id stepwell.ItemID) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	home := q.home(id).number
	for _, s := range slices.Concat(q.shards[home:], q.shards[:home]) {
		replies := q.run(ctx, newCall(q.scripts.redrive, s.keys, "", string(id), micros(now)), q.advance(s, now))
		if replies[0].err != nil {
			return q.failure(ctx, "redrive item", replies[0].err)
		}
		if number(replies[0].value) == 1 {
			return nil
		}
	}
	return fmt.Errorf("dead item %s: %w", strconv.Quote(string(id)), stepwell.ErrNotFound)
}
