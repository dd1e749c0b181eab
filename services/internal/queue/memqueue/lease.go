package memqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
)

// Lease implements queue.Consumer.
func (q *Queue) Lease(_ context.Context, request queue.LeaseRequest) (queue.Leased, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(request.Now)
	var leased queue.Leased
	for len(leased.Leases) < request.Max && len(q.ring) > 0 {
		// The first lane gives its quantum and goes to the end of the ring.
		l := q.ring[0]
		q.ring = append(q.ring[1:], l)
		n := min(queue.Quantum, l.ready.len(), request.Max-len(leased.Leases))
		for range n {
			leased.Leases = append(leased.Leases, q.lease(l.ready.takeFirst(), request.Until))
		}
		q.dropIfEmpty(l)
	}
	leased.NextAt = q.nextAt(request.Now)
	return leased, nil
}

// lease hands out an entry that is nowhere.
func (q *Queue) lease(e *entry, until time.Time) queue.Lease {
	e.generation++
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
		e.expiries++
		if e.expiries >= queue.LeasesMax {
			q.bury(e, now, fmt.Sprintf("leased %d times without being settled", e.expiries))
			continue
		}
		q.place(e, now)
	}
}

func (q *Queue) nextAt(now time.Time) time.Time {
	if len(q.ring) > 0 {
		return now
	}
	var next time.Time
	if q.delayed.len() > 0 {
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
	changed, ready := q.changed, len(q.ring) > 0
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
		if request.Hold && acked.Held == nil && !known && e.state == stateReady {
			q.displace(e)
			lease := q.lease(e, request.HoldUntil)
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
