package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Lost implements queue.Shards. A shard has an epoch since it was rebuilt, for as long as its Redis loses nothing.
func (q *Queue) Lost(ctx context.Context, now time.Time) (queue.Lost, error) {
	// The number of shards may have been lost, too, and stored by somebody who is set to another.
	if err := q.Check(ctx); err != nil {
		return queue.Lost{}, err
	}
	timed, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	pipe := q.client.Pipeline()
	var epochs []*redis.StringCmd
	for _, s := range q.shards {
		epochs = append(epochs, pipe.Get(timed, s.keys.named(keyEpoch)))
	}
	_, _ = pipe.Exec(timed) // every command has its error
	var lost queue.Lost
	for i, command := range epochs {
		epoch, err := command.Result()
		switch {
		case errors.Is(err, redis.Nil):
			lost.Items = append(lost.Items, i)
		case err != nil:
			return queue.Lost{}, q.failure(ctx, "look at the epochs of shards", err)
		case lacksWindows(epoch, now):
			lost.Windows = append(lost.Windows, i)
		}
	}
	return lost, nil
}

// lacksWindows is whether limited items are leased by now of the shard of an epoch, but what began before is not known.
func lacksWindows(epoch string, now time.Time) bool {
	fields := strings.Split(epoch, ";") // a release before throttles wrote the first only
	return fields[len(fields)-1] != "w" && (len(fields) < 2 || number(fields[1]) <= micros(now))
}

// AddStarts implements queue.Shards.
func (q *Queue) AddStarts(ctx context.Context, lock queue.Lock, starts []stepwell.ThrottleStart) error {
	for chunk := range slices.Chunk(starts, chunkMax) {
		var arguments []any
		for _, start := range chunk {
			arguments = append(arguments, string(start.Item.Lane()), string(start.Item.ID), micros(start.At))
		}
		if err := q.mark(ctx, q.scripts.begun, lock, "add starts", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// MarkWindows implements queue.Shards.
func (q *Queue) MarkWindows(ctx context.Context, lock queue.Lock) error {
	return q.mark(ctx, q.scripts.windows, lock, "mark windows")
}

// MarkRebuilt implements queue.Shards.
func (q *Queue) MarkRebuilt(ctx context.Context, lock queue.Lock, limitedFrom time.Time) error {
	return q.mark(ctx, q.scripts.rebuilt, lock, "mark shard as rebuilt", micros(time.Now()), micros(limitedFrom))
}

// mark calls a script that only who has the lock may.
func (q *Queue) mark(ctx context.Context, s *script, lock queue.Lock, tried string, arguments ...any) error {
	done, err := q.withLock(ctx, s, lock, tried, arguments...)
	if err == nil && !done {
		return fmt.Errorf("%s, shard %d: lock %s: %w", tried, lock.Shard, lock.Name, stepwell.ErrLeaseLost)
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
