package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// tellStarts tells shards, by their locks, what began within the windows of throttles, as the store knows it (I21). Nothing that
// a throttle counts begins there meanwhile, and what is under way since before the loss has come to its end, or begins again.
func (s *Service) tellStarts(ctx context.Context, shards map[int]queue.Lock) error {
	if err := s.limitAnew(ctx); err != nil {
		return err
	}
	now := time.Now()
	for function, period := range s.limits.periods() {
		query := store.ThrottleQuery{Function: function, Since: now.Add(-period), Limit: pageSize}
		for {
			if err := s.keep(ctx, shards); err != nil {
				return err
			}
			starts, next, err := s.deps.State.ThrottleStarts(ctx, query)
			if err != nil {
				return fmt.Errorf("load what began of function %s: %w", function, err)
			}
			if err := s.addStarts(ctx, shards, starts); err != nil {
				return err
			}
			if query.Cursor = next; next == "" {
				break
			}
		}
	}
	for shard, lock := range shards {
		if err := s.deps.Queue.MarkWindows(ctx, lock); err != nil {
			return fmt.Errorf("mark the windows of shard %d as known: %w", shard, err)
		}
	}
	return nil
}

// addStarts adds starts to those of the shards in which they count.
func (s *Service) addStarts(ctx context.Context, shards map[int]queue.Lock, starts []stepwell.ThrottleStart) error {
	byShard := map[queue.Lock][]stepwell.ThrottleStart{}
	for _, start := range starts {
		if lock, mine := shards[s.deps.Queue.ShardOf(start.Item)]; mine {
			byShard[lock] = append(byShard[lock], start)
		}
	}
	for lock, those := range byShard {
		if err := s.deps.Queue.AddStarts(ctx, lock, those); err != nil {
			return fmt.Errorf("tell shard %d what began: %w", lock.Shard, err)
		}
	}
	return nil
}
