package redisqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Lost implements queue.Shards. A shard has an epoch since it was rebuilt, for as long as its Redis loses nothing.
func (q *Queue) Lost(ctx context.Context) ([]int, error) {
	// The number of shards may have been lost, too, and stored by somebody who is set to another.
	if err := q.Check(ctx); err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	pipe := q.client.Pipeline()
	var epochs []*redis.IntCmd
	for _, s := range q.shards {
		epochs = append(epochs, pipe.Exists(timed, s.keys.named(keyEpoch)))
	}
	_, _ = pipe.Exec(timed) // every command has its error
	var lost []int
	for i, epoch := range epochs {
		n, err := epoch.Result()
		if err != nil {
			return nil, q.failure(ctx, "look for lost shards", err)
		}
		if n == 0 {
			lost = append(lost, i)
		}
	}
	return lost, nil
}

// MarkRebuilt implements queue.Shards.
func (q *Queue) MarkRebuilt(ctx context.Context, lock queue.Lock, limitedFrom time.Time) error {
	done, err := q.withLock(ctx, q.scripts.rebuilt, lock, "mark shard as rebuilt", micros(time.Now()), micros(limitedFrom))
	if err == nil && !done {
		return fmt.Errorf("mark shard %d as rebuilt: lock %s: %w", lock.Shard, lock.Name, stepwell.ErrLeaseLost)
	}
	return err
}

// TryLock implements queue.Shards.
func (q *Queue) TryLock(ctx context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	return q.withLock(ctx, q.scripts.lock, lock, "take lock", max(lasts.Milliseconds(), 1))
}

// Prolong implements queue.Shards.
func (q *Queue) Prolong(ctx context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	return q.withLock(ctx, q.scripts.prolong, lock, "prolong lock", max(lasts.Milliseconds(), 1))
}

// Unlock implements queue.Shards.
func (q *Queue) Unlock(ctx context.Context, lock queue.Lock) error {
	_, err := q.withLock(ctx, q.scripts.unlock, lock, "give lock up")
	return err
}

// withLock calls a script whose first argument is the lock's owner and whose answer is whether it did something.
func (q *Queue) withLock(ctx context.Context, s *script, lock queue.Lock, tried string, more ...any) (bool, error) {
	if lock.Shard < 0 || lock.Shard >= len(q.shards) || lock.Name == "" || lock.Owner == "" {
		return false, stepwell.Invalidf("lock %q of shard %d by %q: it needs a name, an owner, and one of %d shards",
			lock.Name, lock.Shard, lock.Owner, len(q.shards))
	}
	if err := q.ready(ctx); err != nil {
		return false, err
	}
	arguments := append([]any{lock.Owner}, more...)
	got := q.run(ctx, newCall(s, q.shards[lock.Shard].keys, lock.Name, arguments...))[0]
	if got.err != nil {
		return false, q.failure(ctx, fmt.Sprintf("%s %s of shard %d", tried, lock.Name, lock.Shard), got.err)
	}
	return number(got.value) == 1, nil
}
