package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of a script call. Lua cannot hand more than some 8,000 values to a command, and a call that takes long keeps
// everybody waiting.
const (
	// putItemsMax bounds the items of a call of put, the settled ones included; chunkMax those of one caller.
	putItemsMax = 512
	chunkMax    = 256
	// putBytesMax bounds their ids and values.
	putBytesMax = 1 << 20
)

// put is what one caller wants of the script put.
type put struct {
	now time.Time
	// gone is taken out, if there is one.
	gone  stepwell.ItemID
	items []stepwell.Item
	// hold asks to lease the first that is due and new, until.
	hold  bool
	until time.Time
}

// putResult is what came of it.
type putResult struct {
	// held is the item that was leased; empty if none was.
	held stepwell.ItemID
	// stray says that what should be gone was not leased, and is still in.
	stray bool
}

// weigh says how much of a script call it takes.
func (p put) weigh() (items, bytes int) {
	bytes = len(p.gone)
	for _, item := range p.items {
		bytes += len(item.ID) + len(item.Lane())
	}
	return 1 + len(p.items), bytes
}

// Enqueue implements queue.Producer.
func (q *Queue) Enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	byShard := map[*shard][]stepwell.Item{}
	for _, item := range items {
		s := q.shardOf(item)
		byShard[s] = append(byShard[s], item)
	}
	var tasks []func() error
	for s, items := range byShard {
		for chunk := range slices.Chunk(items, chunkMax) {
			tasks = append(tasks, func() error {
				_, err := q.put(ctx, s, put{now: now, items: chunk})
				return err
			})
		}
	}
	return q.failure(ctx, "enqueue", atOnce(tasks))
}

// Ack implements queue.Consumer. What the settlement opened goes in before the settled item goes out, or with it, so that
// the run has an item whatever happens in between. Most often all is of one shard and takes one call.
func (q *Queue) Ack(ctx context.Context, request queue.AckRequest) (queue.Acked, error) {
	if err := q.ready(ctx); err != nil {
		return queue.Acked{}, err
	}
	const tried = "acknowledge"
	var acked queue.Acked
	settled := request.Lease.Item
	parts := q.parts(q.shardOf(settled), request.Next)
	for i, part := range parts {
		p := put{now: request.Now, items: part.items, hold: request.Hold && acked.Held == nil, until: request.HoldUntil}
		if i == len(parts)-1 {
			p.gone = settled.ID
		}
		result, err := q.put(ctx, part.shard, p)
		if err != nil {
			return acked, q.failure(ctx, tried, err)
		}
		if held := slices.IndexFunc(part.items, func(i stepwell.Item) bool { return i.ID == result.held }); held >= 0 {
			item := part.items[held]
			acked.Held = &queue.Lease{Item: item, Generation: item.Generation + 1, ExpiresAt: request.HoldUntil}
		}
		if result.stray { // its lease was lost, so it waits again
			if _, err := q.removeFrom(ctx, []*shard{part.shard}, []stepwell.ItemID{settled.ID}); err != nil {
				return acked, q.failure(ctx, tried, err)
			}
		}
	}
	return acked, nil
}

// part is a part of the items that an Ack opened.
type part struct {
	shard *shard
	items []stepwell.Item
}

// parts cuts the items where the shard changes, or a part would be too large. They stay in order, since the first that is
// due is the one that is held. The last part is of the shard home, if need be without items.
func (q *Queue) parts(home *shard, items []stepwell.Item) []part {
	var parts []part
	for _, item := range items {
		s := q.shardOf(item)
		if last := len(parts) - 1; last < 0 || parts[last].shard != s || len(parts[last].items) == chunkMax {
			parts = append(parts, part{shard: s})
		}
		last := &parts[len(parts)-1]
		last.items = append(last.items, item)
	}
	if len(parts) == 0 || parts[len(parts)-1].shard != home {
		parts = append(parts, part{shard: home})
	}
	return parts
}

// put has the shard's coalescer do what is wanted.
func (q *Queue) put(ctx context.Context, s *shard, p put) (putResult, error) {
	result, err := s.puts.Do(ctx, p)
	if err != nil {
		return putResult{}, err
	}
	for _, item := range p.items {
		if micros(item.DueAt) > micros(p.now) {
			s.sooner(item.DueAt)
		}
	}
	if result.held != "" {
		s.sooner(p.until)
	}
	return result, nil
}

// putAll does what several callers want with one script call.
func (q *Queue) putAll(ctx context.Context, s *shard, batch []put) ([]putResult, error) {
	var gone, items []any
	now := batch[0].now
	for group, p := range batch {
		if p.gone != "" {
			gone = append(gone, string(p.gone))
		}
		for _, item := range p.items {
			e := newEntry(item, p.now)
			if p.hold {
				items = append(items, string(item.ID), e.String(), e.score(), group, micros(p.until))
			} else {
				items = append(items, string(item.ID), e.String(), e.score(), "", 0)
			}
		}
	}
	arguments := slices.Concat([]any{micros(now), len(gone)}, gone, items)
	got := q.run(ctx, newCall(q.scripts.put, s.keys, "", arguments...))[0]
	if got.err != nil {
		return nil, q.failure(ctx, fmt.Sprintf("put items into shard %d", s.number), got.err)
	}
	held, strays := texts(element(got.value, 0)), texts(element(got.value, 1))
	results := make([]putResult, len(batch))
	for pair := range slices.Chunk(held, 2) {
		if group, err := strconv.Atoi(pair[0]); err == nil && group < len(results) {
			results[group].held = stepwell.ItemID(pair[1])
		}
	}
	for group, p := range batch {
		results[group].stray = slices.Contains(strays, string(p.gone))
	}
	return results, nil
}

// atOnce does everything at the same time and returns all that went wrong.
func atOnce(tasks []func() error) error {
	if len(tasks) == 1 {
		return tasks[0]()
	}
	failures := make([]error, len(tasks))
	var all sync.WaitGroup // waited for below
	for i, task := range tasks {
		all.Go(func() { failures[i] = task() })
	}
	all.Wait()
	return errors.Join(failures...)
}
