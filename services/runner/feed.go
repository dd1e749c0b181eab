package runner

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// pageSize is how many items are moved at a time: as many as a page of the store and a call to the queue both hold.
const pageSize = min(store.PageMax, queue.ItemsMax)

// feed puts parked items whose time is near into the queue (I8).
func (s *Service) feed(ctx context.Context) error {
	for {
		now := time.Now()
		items, err := s.deps.State.ParkedItems(ctx, now.Add(stepwell.Horizon), pageSize)
		if err != nil {
			return fmt.Errorf("look for parked items: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		if err := s.putBack(ctx, now, items, s.metrics.fed); err != nil {
			return err
		}
		ids := make([]stepwell.ItemID, len(items))
		for i, item := range items {
			ids[i] = item.ID
		}
		// Not before they are in the queue: what happens in between is done again.
		if err := s.deps.State.Unpark(ctx, ids); err != nil {
			return fmt.Errorf("unpark %d items: %w", len(ids), err)
		}
	}
}

// The bounds of one pass of reconcile.
const (
	// recentFor is for how long a run counts as one that became overdue lately: its item may never have come into the queue.
	recentFor = 2 * time.Minute
	// recentPages bounds the pages of those, and at first of all others; then olderPages does. So a backlog of items that are
	// in the queue, and only wait for their turn or a limit, costs little.
	recentPages, olderPages = 20, 2
)

// reconcile puts items that are overdue into the queue (I7). Most of them are there, and are left as they are. Those of
// runs that became overdue lately are looked at first. A pass goes on where the last one ended.
func (s *Service) reconcile(ctx context.Context) error {
	now := time.Now()
	before := now.Add(-s.config.OverdueAfter)
	put := func(items []stepwell.Item) error { return s.putBack(ctx, time.Now(), items, s.metrics.missed) }
	lately := store.DueQuery{After: now.Add(-recentFor), Before: before, Cursor: s.reconciledLately, Limit: pageSize}
	next, err := s.sweep(ctx, lately, recentPages, put)
	if s.reconciledLately = next; err != nil {
		return err
	}
	all := store.DueQuery{Before: before, Cursor: s.reconciled, Limit: pageSize}
	pages := recentPages
	if s.reconciledAll {
		pages = olderPages
	}
	next, err = s.sweep(ctx, all, pages, put)
	if s.reconciled = next; err == nil && next == "" {
		s.reconciledAll = true
	}
	return err
}

// putBack puts items of the store into the queue. The labels say why.
func (s *Service) putBack(ctx context.Context, now time.Time, items []stepwell.Item, why telemetry.Labels) error {
	queued := make([]stepwell.Item, len(items))
	for i, item := range items {
		item.Parked = false
		item.Generation = firstGeneration(item)
		queued[i] = item
	}
	if err := s.enqueue(ctx, now, queued); err != nil {
		return fmt.Errorf("put %d items into the queue: %w", len(items), err)
	}
	s.metrics.putBack.Add(ctx, len(items), why)
	return nil
}

// generationsSkipped bounds how many generations are skipped when an item is put back.
const generationsSkipped = 1 << 20

// firstGeneration is after which generation the leases of an item count that is put back. The queue may have lost a lease
// of it, whose holder works on without knowing: so the next lease must not be the item's first, which needs no claim, nor
// have the number of one that the queue lost in another loss. Then it claims the item, and what the other holder and its
// app report is refused (I12). The end of a sleep or a wait calls no app, and is the same whoever records it.
func firstGeneration(item stepwell.Item) int {
	if item.Kind.Wakes() {
		return item.Generation
	}
	return item.Generation + 1 + rand.IntN(generationsSkipped) //nolint:gosec // it tells losses apart and keeps no secret
}

// rebuildLasts is how long a runner that rebuilds a shard and says nothing keeps the others from it. It is prolonged with
// every page.
const rebuildLasts = 15 * time.Second

// rebuild fills shards of the queue that lost what was in them, and then tells them what throttles count.
func (s *Service) rebuild(ctx context.Context) error {
	lost, err := s.deps.Queue.Lost(ctx, time.Now())
	if err == nil && len(lost.Items) > 0 {
		if err := s.withShards(ctx, lost.Items, s.fill); err != nil {
			return err
		}
		lost, err = s.deps.Queue.Lost(ctx, time.Now())
	}
	if err != nil {
		return fmt.Errorf("look for lost shards of the queue: %w", err)
	}
	return s.withShards(ctx, lost.Windows, s.tellStarts)
}

// withShards does something to those of the shards to which no other runner does.
func (s *Service) withShards(
	ctx context.Context, shards []int, do func(context.Context, map[int]queue.Lock) error,
) error {
	mine := map[int]queue.Lock{}
	for _, shard := range shards {
		lock := queue.Lock{Shard: shard, Name: "rebuild", Owner: s.owner}
		locked, err := s.deps.Queue.TryLock(ctx, lock, rebuildLasts)
		if err != nil {
			return fmt.Errorf("lock shard %d of the queue: %w", shard, err)
		}
		if locked {
			mine[shard] = lock
		}
	}
	if len(mine) == 0 {
		return nil
	}
	return do(ctx, mine)
}

// fill puts everything into the shards that belongs there, but gives those up whose lock is lost: they were lost again, or
// are another runner's. Items that are opened from now on are not its business: who opens them puts them there.
func (s *Service) fill(ctx context.Context, shards map[int]queue.Lock) error {
	began, count, counts := time.Now(), 0, map[int]int{}
	// Whatever is not parked is due within the horizon of the time it was opened.
	due := store.DueQuery{Before: began.Add(stepwell.Horizon + time.Minute), Limit: pageSize}
	_, err := s.sweep(ctx, due, 0, func(items []stepwell.Item) error {
		if err := s.keep(ctx, shards); err != nil {
			return err
		}
		var lost []stepwell.Item
		for _, item := range items {
			if shard := s.deps.Queue.ShardOf(item); shards[shard] != (queue.Lock{}) {
				lost = append(lost, item)
				counts[shard]++
			}
		}
		count += len(lost)
		return s.putBack(ctx, time.Now(), lost, s.metrics.rebuilt)
	})
	if err != nil {
		return err
	}
	if err := s.limitAnew(ctx); err != nil {
		return err
	}
	for shard, lock := range shards {
		limitedFrom := time.Now()
		if counts[shard] > 0 {
			limitedFrom = limitedFrom.Add(s.config.LostLeasesFor)
		}
		if err := s.deps.Queue.MarkRebuilt(ctx, lock, limitedFrom); err != nil {
			return fmt.Errorf("mark shard %d as rebuilt: %w", lock.Shard, err)
		}
	}
	s.metrics.rebuild.Record(ctx, time.Since(began), telemetry.Labels{})
	if count > 0 {
		s.deps.Log.InfoContext(ctx, "queue rebuilt from the store", slog.Int("shard_count", len(shards)),
			slog.Int("item_count", count), slog.Duration("took", time.Since(began)))
	}
	return nil
}

// keep prolongs the locks and takes those out that are lost. Errors: stepwell.ErrLeaseLost if none is left.
func (s *Service) keep(ctx context.Context, locks map[int]queue.Lock) error {
	for shard, lock := range locks {
		kept, err := s.deps.Queue.Prolong(ctx, lock, rebuildLasts)
		if err != nil {
			return fmt.Errorf("keep shard %d of the queue locked: %w", shard, err)
		}
		if !kept {
			delete(locks, shard)
		}
	}
	if len(locks) == 0 {
		return fmt.Errorf("rebuild shards of the queue: all were lost again, or are another's: %w", stepwell.ErrLeaseLost)
	}
	return nil
}
