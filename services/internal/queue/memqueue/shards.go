package memqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// lockHold is who has a lock.
type lockHold struct {
	owner     string
	expiresAt time.Time
}

// ShardCount implements queue.Shards: there is one.
func (*Queue) ShardCount() int { return 1 }

// ShardOf implements queue.Shards.
func (*Queue) ShardOf(stepwell.Item) int { return 0 }

// Lost implements queue.Shards: a queue in memory is lost with its process, so it is when it is new.
func (q *Queue) Lost(_ context.Context, now time.Time) (queue.Lost, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !q.rebuilt:
		return queue.Lost{Items: []int{0}}, nil
	case !q.windowed && !q.limitedFrom.After(now):
		return queue.Lost{Windows: []int{0}}, nil
	default:
		return queue.Lost{}, nil
	}
}

// MarkRebuilt implements queue.Shards.
func (q *Queue) MarkRebuilt(_ context.Context, lock queue.Lock, limitedFrom time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.owns(lock); err != nil {
		return err
	}
	q.rebuilt, q.windowed, q.limitedFrom = true, false, limitedFrom
	q.wake()
	return nil
}

// owns is an error if the lock is another's. Callers hold mu.
func (q *Queue) owns(lock queue.Lock) error {
	if owner := q.lockOwner(lock.Name); owner != lock.Owner {
		return fmt.Errorf("lock %s: %w", lock.Name, stepwell.ErrLeaseLost)
	}
	return nil
}

// AddStarts implements queue.Shards.
func (q *Queue) AddStarts(_ context.Context, lock queue.Lock, starts []stepwell.ThrottleStart) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.owns(lock); err != nil {
		return err
	}
	for _, start := range starts {
		for _, c := range q.counts(start.Item) {
			if _, known := q.starts[c.set][start.Item.ID]; c.limit.Period > 0 && !known {
				q.begin(c.set, start.Item.ID, start.At)
			}
		}
	}
	return nil
}

// MarkWindows implements queue.Shards.
func (q *Queue) MarkWindows(_ context.Context, lock queue.Lock) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.owns(lock); err != nil {
		return err
	}
	q.windowed = true
	q.wake()
	return nil
}

// TryLock implements queue.Shards.
func (q *Queue) TryLock(_ context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if owner := q.lockOwner(lock.Name); owner != "" && owner != lock.Owner {
		return false, nil
	}
	q.locks[lock.Name] = lockHold{owner: lock.Owner, expiresAt: time.Now().Add(lasts)}
	return true, nil
}

// Prolong implements queue.Shards.
func (q *Queue) Prolong(_ context.Context, lock queue.Lock, lasts time.Duration) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lockOwner(lock.Name) != lock.Owner {
		return false, nil
	}
	q.locks[lock.Name] = lockHold{owner: lock.Owner, expiresAt: time.Now().Add(lasts)}
	return true, nil
}

// Unlock implements queue.Shards.
func (q *Queue) Unlock(_ context.Context, lock queue.Lock) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lockOwner(lock.Name) == lock.Owner {
		delete(q.locks, lock.Name)
	}
	return nil
}

// lockOwner is who has the lock now; empty if nobody has. Callers hold mu.
func (q *Queue) lockOwner(name string) string {
	if held, known := q.locks[name]; known && held.expiresAt.After(time.Now()) {
		return held.owner
	}
	return ""
}
