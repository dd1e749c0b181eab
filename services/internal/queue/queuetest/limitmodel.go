package queuetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// testRandomLimits does anything with items under limits that change, beside an oracle that counts: no limit is ever
// exceeded (Q8, Q9), what may be leased is leased (Q10), and what waits is counted.
func testRandomLimits(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	rounds := 0
	now := at(0)
	rapid.Check(t, func(rt *rapid.T) {
		rounds++
		m := &limitModel{
			fixture: f, salt: fmt.Sprint("round", rounds), now: now.Add(time.Hour), items: map[stepwell.ItemID]*modelItem{},
			limits: map[string]queue.FunctionLimits{}, starts: map[string]map[stepwell.ItemID]time.Time{},
		}
		defer func() { // also after a failure: rapid tries again
			now = m.now
			require.NoError(t, f.Remove(f.ctx, slices.Collect(maps.Keys(m.items))))
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueueSome, "lease": m.leaseSome, "ack": m.ackOne, "release": m.releaseOne, "remove": m.removeOne,
			"extend": m.extendOne, "limit": m.limitOne, "count": m.count,
			"later": func(rt *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second)
			},
		})
	})
}

// modelItem is an item as the oracle knows it.
type modelItem struct {
	item     stepwell.Item
	function string
	lease    queue.Lease
	leased   bool
	expiries int
	// counted are the limits towards which the lease counts.
	counted []string
}

type limitModel struct {
	*fixture
	salt     string
	now      time.Time
	serial   int
	revision int64
	items    map[stepwell.ItemID]*modelItem
	limits   map[string]queue.FunctionLimits
	starts   map[string]map[stepwell.ItemID]time.Time
}

const throttlePeriod = 20

func (m *limitModel) function(rt *rapid.T) string {
	return m.salt + rapid.SampledFrom([]string{"a", "b", free}).Draw(rt, "function")
}

// free is a function that shares no limit with others. It has items without limits.
const free = "c"

// someLimits are a limit of the function, one of each key, one that the functions share, and a throttle.
func (m *limitModel) someLimits(draw func(string) int) []stepwell.Limit {
	shared := sharing(draw("shared"))
	shared.Key += m.salt
	return []stepwell.Limit{
		whole(draw("whole")), keyed(draw("keyed")), shared, throttled(draw("throttled"), throttlePeriod),
	}
}

func (m *limitModel) enqueueSome(rt *rapid.T) {
	for range rapid.IntRange(1, 6).Draw(rt, "count") {
		m.serial++
		function := m.function(rt)
		var limits []stepwell.Limit
		isFree := strings.HasSuffix(function, free)
		bare := isFree && rapid.Bool().Draw(rt, "bare")
		for _, limit := range m.someLimits(func(string) int { return 0 }) {
			if bare || isFree && limit.Scope != stepwell.ScopeFunction {
				continue
			}
			if limit.Key != "" || rapid.Bool().Draw(rt, "limited") {
				limits = append(limits, limit)
			}
		}
		item := newLimited(function, m.serial, m.now, fmt.Sprint(rapid.IntRange(0, 2).Draw(rt, "value")), limits...)
		m.items[item.ID] = &modelItem{item: item, function: function}
		m.enqueue(m.now, item)
	}
}

func (m *limitModel) limitOne(rt *rapid.T) {
	m.revision++
	function := m.function(rt)
	said := queue.FunctionLimits{
		Function: newItem(function, 0, m.now).Function, Revision: m.revision,
		Paused: rapid.IntRange(0, 9).Draw(rt, "paused") == 0,
	}
	for _, limit := range m.someLimits(func(name string) int { return rapid.IntRange(1, 3).Draw(rt, name) }) {
		if rapid.Bool().Draw(rt, "has") && (limit.Scope == stepwell.ScopeFunction || !strings.HasSuffix(function, free)) {
			said.Limits = append(said.Limits, limit)
		}
	}
	m.limits[function] = said
	m.say(said)
}

// expire does what the queue does by itself as time goes on.
func (m *limitModel) expire() {
	for id, i := range m.items {
		if !i.leased || i.lease.ExpiresAt.After(m.now) {
			continue
		}
		i.leased, i.counted = false, nil
		if i.expiries++; i.expiries >= queue.LeasesMax {
			delete(m.items, id)
		}
	}
	for _, starts := range m.starts {
		maps.DeleteFunc(starts, func(_ stepwell.ItemID, at time.Time) bool {
			return !at.After(m.now.Add(-throttlePeriod * time.Second))
		})
	}
}

// sets are the limits that an item counts towards, and how much of each is left.
func (m *limitModel) sets(i *modelItem) map[string]int {
	left := map[string]int{}
	keys := i.item.Limits
	if whole := (stepwell.LimitKey{}); !slices.Contains(keys, whole) {
		keys = append(slices.Clone(keys), whole)
	}
	for _, key := range keys {
		for _, limit := range m.limits[i.function].Limits {
			if limit.LimitName != key.LimitName {
				continue
			}
			set := key.String()
			if key.Scope == stepwell.ScopeFunction {
				set += i.function
			}
			left[set] = limit.Most - len(m.starts[set])
			for _, other := range m.items {
				if slices.Contains(other.counted, set) {
					left[set]--
				}
			}
		}
	}
	return left
}

// blocked says why an item cannot be leased; empty if it can.
func (m *limitModel) blocked(i *modelItem) string {
	said, known := m.limits[i.function]
	switch {
	case !known && len(i.item.Limits) > 0:
		return "unknown"
	case said.Paused:
		return "paused"
	}
	for set, left := range m.sets(i) {
		if left <= 0 {
			return set
		}
	}
	return ""
}

func (m *limitModel) leaseSome(rt *rapid.T) {
	m.expire()
	n := rapid.IntRange(1, 20).Draw(rt, "max")
	leases := m.lease(m.now, n)
	for _, lease := range leases {
		i := m.items[lease.Item.ID]
		require.NotNil(rt, i, "%s is not in", lease.Item.ID)
		require.False(rt, i.leased, "Q2: %s is leased", lease.Item.ID)
		require.Empty(rt, m.blocked(i), "Q8, Q9: %s", lease.Item.Lane())
		for set := range m.sets(i) {
			if set[:1] == "t" {
				if m.starts[set] == nil {
					m.starts[set] = map[stepwell.ItemID]time.Time{}
				}
				m.starts[set][i.item.ID] = m.now
			} else {
				i.counted = append(i.counted, set)
			}
		}
		i.leased, i.lease = true, lease
	}
	if len(leases) == n {
		return
	}
	for _, i := range m.items {
		if !i.leased && !i.item.DueAt.After(m.now) {
			require.NotEmpty(rt, m.blocked(i), "Q10: %s may be leased", i.item.Lane())
		}
	}
}

// count compares how many items of each function wait.
func (m *limitModel) count(rt *rapid.T) {
	m.expire()
	want := map[stepwell.FunctionID]int{}
	for _, i := range m.items {
		if !i.leased && !i.item.DueAt.After(m.now) {
			want[i.item.Function]++
		}
	}
	var functions []stepwell.FunctionID
	for _, name := range []string{"a", "b", free} {
		functions = append(functions, newItem(m.salt+name, 0, m.now).Function)
	}
	require.Equal(rt, want, m.depths(m.now, functions...))
}

// someLease is a live one, or nil.
func (m *limitModel) someLease(rt *rapid.T) *modelItem {
	m.expire()
	return m.some(rt, func(i *modelItem) bool { return i.leased })
}

func (m *limitModel) some(rt *rapid.T, is func(*modelItem) bool) *modelItem {
	var ids []stepwell.ItemID
	for id, i := range m.items {
		if is(i) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return m.items[rapid.SampledFrom(ids).Draw(rt, "item")]
}

func (m *limitModel) ackOne(rt *rapid.T) {
	if i := m.someLease(rt); i != nil {
		m.ack(m.now, i.lease)
		delete(m.items, i.item.ID)
	}
}

func (m *limitModel) releaseOne(rt *rapid.T) {
	if i := m.someLease(rt); i != nil {
		due := m.now.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "due in")) * time.Second)
		require.NoError(rt, m.Release(m.ctx, i.lease, m.now, due))
		i.leased, i.counted, i.item.DueAt = false, nil, due
		for _, starts := range m.starts {
			delete(starts, i.item.ID)
		}
	}
}

func (m *limitModel) extendOne(rt *rapid.T) {
	if i := m.someLease(rt); i != nil {
		i.lease.ExpiresAt = m.now.Add(2 * time.Minute)
		lost, err := m.Extend(m.ctx, []queue.Lease{i.lease}, m.now, i.lease.ExpiresAt)
		require.NoError(rt, err)
		require.Empty(rt, lost)
	}
}

func (m *limitModel) removeOne(rt *rapid.T) {
	m.expire()
	if i := m.some(rt, func(*modelItem) bool { return true }); i != nil {
		require.NoError(rt, m.Remove(m.ctx, []stepwell.ItemID{i.item.ID}))
		delete(m.items, i.item.ID)
	}
}
