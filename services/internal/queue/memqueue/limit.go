package memqueue

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// limitSet is what counts towards one limit: the items with a value of its key; of its function, unless functions share it.
type limitSet struct {
	key      stepwell.LimitKey
	function stepwell.FunctionID
}

// SetLimits implements queue.Limiter.
func (q *Queue) SetLimits(_ context.Context, functions []queue.FunctionLimits) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range functions {
		if known, found := q.limits[f.Function]; !found || known.Revision <= f.Revision {
			q.limits[f.Function] = f
		}
	}
	q.wake()
	return nil
}

// counting is a limit with what counts towards it.
type counting struct {
	set   limitSet
	limit stepwell.Limit
}

// counts are the limits that an item counts towards: those of its keys, and that of the whole function.
func (q *Queue) counts(item stepwell.Item) []counting {
	keys := item.Limits
	whole := stepwell.LimitKey{}
	if !slices.Contains(keys, whole) {
		keys = append(slices.Clone(keys), whole)
	}
	var all []counting
	for _, key := range keys {
		set := limitSet{key: key}
		if key.Scope == stepwell.ScopeFunction {
			set.function = item.Function
		}
		for _, limit := range q.limits[item.Function].Limits {
			if limit.LimitName == key.LimitName {
				all = append(all, counting{set, limit})
			}
		}
	}
	return all
}

// room is how many items of an entry's lane may be leased.
func (q *Queue) room(e *entry, now time.Time) int {
	said, known := q.limits[e.item.Function]
	switch {
	case e.item.Kind.Wakes(), !known && len(e.item.Limits) == 0:
		return math.MaxInt
	case !known, said.Paused:
		return 0
	}
	room := math.MaxInt
	for _, c := range q.counts(e.item) {
		if !q.rebuilt || q.limitedFrom.After(now) || c.limit.Period > 0 && !q.windowed {
			return 0
		}
		room = min(room, q.left(c, now))
	}
	return room
}

// left is how much room a limit has.
func (q *Queue) left(c counting, now time.Time) int {
	count := len(q.slots[c.set])
	if c.limit.Period > 0 {
		count = len(q.window(c, now))
	}
	return max(c.limit.Most-count, 0)
}

// window are the instants that count towards a throttle now, the earliest first.
func (q *Queue) window(c counting, now time.Time) []time.Time {
	var instants []time.Time
	for id, at := range q.starts[c.set] {
		if at.After(now.Add(-c.limit.Period)) {
			instants = append(instants, at)
		} else {
			delete(q.starts[c.set], id)
		}
	}
	if len(instants) == 0 {
		delete(q.starts, c.set)
	}
	slices.SortFunc(instants, time.Time.Compare)
	return instants
}

// take counts an entry that is leased.
func (q *Queue) take(e *entry, now time.Time) {
	if e.item.Kind.Wakes() {
		return
	}
	for _, c := range q.counts(e.item) {
		if c.limit.Period > 0 {
			q.begin(c.set, e.item.ID, now)
			continue
		}
		if q.slots[c.set] == nil {
			q.slots[c.set] = map[stepwell.ItemID]bool{}
		}
		q.slots[c.set][e.item.ID] = true
		e.counted = append(e.counted, c.set)
	}
}

// begin counts a start.
func (q *Queue) begin(set limitSet, id stepwell.ItemID, at time.Time) {
	if q.starts[set] == nil {
		q.starts[set] = map[stepwell.ItemID]time.Time{}
	}
	q.starts[set][id] = at
}

// free no longer counts an entry.
func (q *Queue) free(e *entry) {
	for _, set := range e.counted {
		if delete(q.slots[set], e.item.ID); len(q.slots[set]) == 0 {
			delete(q.slots, set)
		}
	}
	if len(e.counted) > 0 {
		e.counted = nil
		q.wake()
	}
}

// holds tells whether a ready entry may be leased out of turn: its limits allow it, and it does not begin a run that they
// space.
func (q *Queue) holds(e *entry, now time.Time) bool {
	return !e.item.Throttled() && q.room(e, now) > 0
}

// roomAt is when a lane may be leased from; zero if none may, but for what is freed.
func (q *Queue) roomAt(now time.Time) time.Time {
	var next time.Time
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, l := range q.ring {
		e := l.ready.first()
		if q.room(e, now) > 0 {
			return now
		}
		for _, c := range q.counts(e.item) {
			if q.limitedFrom.After(now) {
				sooner(q.limitedFrom)
			}
			if c.limit.Period == 0 {
				continue
			}
			if window := q.window(c, now); len(window) >= c.limit.Most {
				sooner(window[len(window)-c.limit.Most].Add(c.limit.Period))
			}
		}
	}
	return next
}

// Waiting implements queue.Inspector.
func (q *Queue) Waiting(
	_ context.Context, now time.Time, items []stepwell.Item,
) (map[stepwell.ItemID]stepwell.Waiting, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := map[stepwell.ItemID]stepwell.Waiting{}
	for _, item := range items {
		e, known := q.entries[item.ID]
		if !known || e.state != stateReady {
			continue
		}
		w := q.why(e, now)
		for _, other := range e.lane.ready.entries {
			if sooner(other, e) {
				w.Ahead++
			}
		}
		waiting[item.ID] = w
	}
	return waiting, nil
}

// why says why a ready entry is not leased.
func (q *Queue) why(e *entry, now time.Time) stepwell.Waiting {
	said, known := q.limits[e.item.Function]
	switch {
	case q.room(e, now) > 0:
		return stepwell.Waiting{Why: stepwell.WhyTurn}
	case known && said.Paused:
		return stepwell.Waiting{Why: stepwell.WhyPaused}
	}
	for _, c := range q.counts(e.item) {
		if q.left(c, now) == 0 {
			return stepwell.Waiting{Why: stepwell.WhyLimit, Limit: c.set.key}
		}
	}
	return stepwell.Waiting{Why: stepwell.WhyUnknown}
}
