package memstore

import (
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// rates are the starts that rates may still count.
type rates struct {
	starts map[rateKey][]time.Time
	// sweepAt is how many keys there may be before those are dropped that nothing counts any more.
	sweepAt int
}

type rateKey struct {
	function stepwell.FunctionID
	key      string
}

// rateKeysMin is how many keys there are at least before they are looked through.
const rateKeysMin = 1024

// take counts a start. It returns false, and counts nothing, if its rate does not allow it.
func (r *rates) take(start stepwell.RunStart, now time.Time) bool {
	if start.Rate == nil {
		return true
	}
	key := rateKey{start.Run.Function, start.Rate.Key}
	earlier := r.starts[key]
	var before time.Time
	if back := len(earlier) - start.Rate.Limit; back >= 0 {
		before = earlier[back]
	}
	if !start.Rate.Allows(before, now) {
		return false
	}
	if r.starts == nil {
		r.starts = map[rateKey][]time.Time{}
	}
	if len(r.starts) >= max(r.sweepAt, rateKeysMin) {
		r.sweep(now)
	}
	for len(earlier) > 0 && over(earlier[0], now) {
		earlier = earlier[1:]
	}
	r.starts[key] = append(earlier, now)
	return true
}

// sweep drops the keys that nothing counts any more, and lets as many new ones come as are left.
func (r *rates) sweep(now time.Time) {
	for key, starts := range r.starts {
		if over(starts[len(starts)-1], now) {
			delete(r.starts, key)
		}
	}
	r.sweepAt = 2 * len(r.starts)
}

// over tells whether a start is in no window any more.
func over(at, now time.Time) bool { return !at.Add(stepwell.RatePeriodMax).After(now) }
