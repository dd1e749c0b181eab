// Package memqueue keeps a queue in memory: for the dev server, for unit tests, and as the oracle of other drivers.
//
// It must not persist anything, and it must not be clever: it is the contract, spelled out.
package memqueue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Queue is a queue.Queue in memory.
type Queue struct {
	mu      sync.Mutex
	entries map[stepwell.ItemID]*entry
	lanes   map[stepwell.Lane]*lane
	// ring are the lanes with ready items, in the order of their turns.
	ring []*lane
	// delayed is ordered by due time, leased by expiry.
	delayed entryHeap
	leased  entryHeap
	dead    []*entry
	serial  uint64
	locks   map[string]lockHold
	// limits are what functions are limited to, slots the items that count towards a limit at the moment, and starts when
	// items counted within its period.
	limits map[stepwell.FunctionID]queue.FunctionLimits
	slots  map[limitSet]map[stepwell.ItemID]bool
	starts map[limitSet]map[stepwell.ItemID]time.Time
	// limitedFrom is since when items with limits are leased.
	limitedFrom time.Time
	// rebuilt says that the queue was filled since it was made, windowed that it knows what has begun in the windows of throttles.
	rebuilt, windowed bool
	// changed is closed, and replaced, when something became leasable or due earlier.
	changed chan struct{}
}

var _ queue.Queue = (*Queue)(nil)

// New returns an empty queue.
func New() *Queue {
	return &Queue{
		entries: map[stepwell.ItemID]*entry{},
		lanes:   map[stepwell.Lane]*lane{},
		delayed: entryHeap{less: func(a, b *entry) bool { return a.item.DueAt.Before(b.item.DueAt) }},
		leased:  entryHeap{less: func(a, b *entry) bool { return a.expiresAt.Before(b.expiresAt) }},
		locks:   map[string]lockHold{},
		limits:  map[stepwell.FunctionID]queue.FunctionLimits{},
		slots:   map[limitSet]map[stepwell.ItemID]bool{},
		starts:  map[limitSet]map[stepwell.ItemID]time.Time{},
		changed: make(chan struct{}),
	}
}

// state is where an entry is.
type state int

const (
	stateReady state = iota
	stateDelayed
	stateLeased
	stateDead
)

// entry is an item in the queue. It is in exactly one place: its lane, delayed, leased or dead.
type entry struct {
	item       stepwell.Item
	state      state
	lane       *lane
	generation int
	expiries   int
	expiresAt  time.Time
	reason     string
	diedAt     time.Time
	serial     uint64
	// counted are the limits towards which a leased entry counts.
	counted []limitSet
	// at is the place in a heap.
	at int
}

// lane holds the ready items that share their limits.
type lane struct {
	key   stepwell.Lane
	ready entryHeap
}

// sooner orders a lane: (due time - priority), then arrival.
func sooner(a, b *entry) bool {
	dueA, dueB := a.item.DueAt.Add(-a.item.Priority), b.item.DueAt.Add(-b.item.Priority)
	if dueA.Equal(dueB) {
		return a.serial < b.serial
	}
	return dueA.Before(dueB)
}

// Enqueue implements queue.Producer.
func (q *Queue) Enqueue(_ context.Context, now time.Time, items []stepwell.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range items {
		q.enqueue(now, item)
	}
	return nil
}

func (q *Queue) enqueue(now time.Time, item stepwell.Item) *entry {
	if e, known := q.entries[item.ID]; known {
		return e
	}
	q.serial++
	e := &entry{item: item, generation: item.Generation, serial: q.serial}
	q.entries[item.ID] = e
	q.place(e, now)
	return e
}

// place puts an entry that is nowhere where it belongs, and wakes the waiting if that may concern them.
func (q *Queue) place(e *entry, now time.Time) {
	if e.item.DueAt.After(now) {
		e.state = stateDelayed
		q.delayed.put(e)
		if q.delayed.first() == e {
			q.wake()
		}
		return
	}
	key := e.item.Lane()
	l, known := q.lanes[key]
	if !known {
		l = &lane{key: key, ready: entryHeap{less: sooner}}
		q.lanes[key] = l
		q.ring = append(q.ring, l)
	}
	e.state, e.lane = stateReady, l
	l.ready.put(e)
	q.wake()
}

func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// displace takes an entry out of where it is.
func (q *Queue) displace(e *entry) {
	switch e.state {
	case stateReady:
		e.lane.ready.remove(e)
		q.dropIfEmpty(e.lane)
	case stateDelayed:
		q.delayed.remove(e)
	case stateLeased:
		q.leased.remove(e)
		q.free(e)
	case stateDead:
		q.dead = slices.DeleteFunc(q.dead, func(d *entry) bool { return d == e })
	}
}

func (q *Queue) dropIfEmpty(l *lane) {
	if l.ready.len() > 0 {
		return
	}
	delete(q.lanes, l.key)
	i := slices.Index(q.ring, l)
	q.ring = slices.Delete(q.ring, i, i+1)
}

// Remove implements queue.Producer.
func (q *Queue) Remove(_ context.Context, ids []stepwell.ItemID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		q.remove(id)
	}
	return nil
}

func (q *Queue) remove(id stepwell.ItemID) {
	if e, known := q.entries[id]; known {
		q.displace(e)
		delete(q.entries, id)
	}
}

// Stats implements queue.Inspector.
func (q *Queue) Stats(_ context.Context, now time.Time) (queue.Stats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(now)
	only := queue.Stats{Delayed: q.delayed.len(), Leased: q.leased.len(), Dead: len(q.dead)}
	for _, l := range q.ring {
		only.Ready += l.ready.len()
		if q.room(l.ready.first(), now) == 0 {
			only.Held += l.ready.len()
			continue
		}
		if dueAt := l.ready.first().item.DueAt; only.OldestDueAt.IsZero() || dueAt.Before(only.OldestDueAt) {
			only.OldestDueAt = dueAt
		}
	}
	var stats queue.Stats
	stats.Add(only)
	return stats, nil
}

// Depths implements queue.Inspector.
func (q *Queue) Depths(
	_ context.Context, now time.Time, functions []stepwell.FunctionID,
) (map[stepwell.FunctionID]int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(now)
	depths := map[stepwell.FunctionID]int{}
	for _, l := range q.ring {
		if function := l.ready.first().item.Function; slices.Contains(functions, function) {
			depths[function] += l.ready.len()
		}
	}
	return depths, nil
}

// Dead implements queue.Inspector.
func (q *Queue) Dead(_ context.Context, limit int) ([]queue.DeadItem, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var items []queue.DeadItem
	for _, e := range slices.Backward(q.dead) {
		if len(items) == limit {
			break
		}
		items = append(items, queue.DeadItem{Item: e.item, Reason: e.reason, At: e.diedAt})
	}
	return items, nil
}

// Redrive implements queue.Inspector.
func (q *Queue) Redrive(_ context.Context, now time.Time, id stepwell.ItemID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, known := q.entries[id]
	if !known || e.state != stateDead {
		return fmt.Errorf("dead item %s: %w", id, stepwell.ErrNotFound)
	}
	q.displace(e)
	e.expiries, e.reason, e.item.DueAt = 0, "", now
	q.place(e, now)
	return nil
}
