package memqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
)

// Lease implements queue.Consumer.
func (q *Queue) Lease(_ context.Context, request queue.LeaseRequest) (queue.Leased, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(request.Now)
	var leased queue.Leased
	// The first lane that may gives its quantum and goes to the end of the ring. skipped is how many before it wait for limits.
	for skipped := 0; len(leased.Leases) < request.Max && skipped < len(q.ring); {
		l := q.ring[skipped]
		n := min(queue.Quantum, l.ready.len(), request.Max-len(leased.Leases), q.room(l.ready.first(), request.Now))
		if n == 0 {
			skipped++
			continue
		}
		q.ring = append(slices.Delete(q.ring, skipped, skipped+1), l)
		for range n {
			leased.Leases = append(leased.Leases, q.lease(l.ready.takeFirst(), request.Now, request.Until))
		}
		q.dropIfEmpty(l)
	}
	leased.NextAt = q.nextAt(request.Now)
	return leased, nil
}

// lease hands out an entry that is nowhere.
func (q *Queue) lease(e *entry, now, until time.Time) queue.Lease {
	e.generation++
	q.take(e, now)
	e.state, e.expiresAt = stateLeased, until
	q.leased.put(e)
	return queue.Lease{Item: e.item, Generation: e.generation, ExpiresAt: until}
}

// advance moves to now: what became due is ready, what expired is ready again or dead.
func (q *Queue) advance(now time.Time) {
	for q.delayed.len() > 0 && !q.delayed.first().item.DueAt.After(now) {
		q.place(q.delayed.takeFirst(), now)
	}
	for q.leased.len() > 0 && !q.leased.first().expiresAt.After(now) {
		e := q.leased.takeFirst()
		q.free(e)
		e.expiries++
		if e.expiries >= queue.LeasesMax {
			q.bury(e, now, fmt.Sprintf("leased %d times without being settled", e.expiries))
			continue
		}
		q.place(e, now)
	}
}

func (q *Queue) nextAt(now time.Time) time.Time {
	next := q.roomAt(now)
	if !next.IsZero() && !next.After(now) {
		return now
	}
	if q.delayed.len() > 0 && (next.IsZero() || q.delayed.first().item.DueAt.Before(next)) {
		next = q.delayed.first().item.DueAt
	}
	if q.leased.len() > 0 && (next.IsZero() || q.leased.first().expiresAt.Before(next)) {
		next = q.leased.first().expiresAt
	}
	return next
}

// Wait implements queue.Consumer.
func (q *Queue) Wait(ctx context.Context, until time.Time) error {
	q.mu.Lock()
	now := time.Now()
	changed, room := q.changed, q.roomAt(now)
	ready := !room.IsZero() && !room.After(now)
	if !room.IsZero() && (until.IsZero() || room.Before(until)) {
		until = room
	}
	if q.delayed.len() > 0 && (until.IsZero() || q.delayed.first().item.DueAt.Before(until)) {
		until = q.delayed.first().item.DueAt
	}
	q.mu.Unlock()
	if ready {
		return ctx.Err()
	}
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
		return nil
	case <-due:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// held returns the entry if the lease is still good.
func (q *Queue) held(lease queue.Lease) (*entry, bool) {
	e, known := q.entries[lease.Item.ID]
	if !known || e.state != stateLeased || e.generation != lease.Generation {
		return nil, false
	}
	return e, true
}

// Extend implements queue.Consumer.
func (q *Queue) Extend(_ context.Context, leases []queue.Lease, _, until time.Time) ([]queue.Lease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var lost []queue.Lease
	for _, lease := range leases {
		e, held := q.held(lease)
		if !held {
			lost = append(lost, lease)
			continue
		}
		q.leased.remove(e)
		e.expiresAt = until
		q.leased.put(e)
	}
	return lost, nil
}

// Ack implements queue.Consumer.
func (q *Queue) Ack(_ context.Context, request queue.AckRequest) (queue.Acked, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(request.Lease.Item.ID)
	var acked queue.Acked
	for _, item := range request.Next {
		_, known := q.entries[item.ID]
		e := q.enqueue(request.Now, item)
		if request.Hold && acked.Held == nil && !known && e.state == stateReady && q.holds(e, request.Now) {
			q.displace(e)
			lease := q.lease(e, request.Now, request.HoldUntil)
			acked.Held = &lease
		}
	}
	return acked, nil
}

// Release implements queue.Consumer.
func (q *Queue) Release(_ context.Context, lease queue.Lease, now, dueAt time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e, held := q.held(lease); held {
		q.displace(e)
		for _, started := range q.starts { // it has not begun
			delete(started, e.item.ID)
		}
		e.item.DueAt = dueAt
		q.place(e, now)
	}
	return nil
}

// Bury implements queue.Consumer.
func (q *Queue) Bury(_ context.Context, lease queue.Lease, now time.Time, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e, held := q.held(lease); held {
		q.displace(e)
		q.bury(e, now, reason)
	}
	return nil
}

// bury makes an entry that is nowhere dead.
func (q *Queue) bury(e *entry, now time.Time, reason string) {
	e.state, e.reason, e.diedAt = stateDead, queue.CutReason(reason), now
	q.dead = append(q.dead, e)
}
