package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// keepStart keeps what a throttle counts. As many are kept of a function as finished runs, and as long as the longest period.
func (s *Store) keepStart(start *stepwell.ThrottleStart) {
	if start == nil {
		return
	}
	function := start.Item.Function
	kept := s.throttled[function]
	for len(kept) >= s.config.RunsMax || len(kept) > 0 && kept[0].At.Before(start.At.Add(-stepwell.ThrottlePeriodMax)) {
		kept = kept[1:]
	}
	s.throttled[function] = append(kept, *start)
}

// ThrottleStarts implements store.Backlog.
func (s *Store) ThrottleStarts(
	_ context.Context, query store.ThrottleQuery,
) (starts []stepwell.ThrottleStart, next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, start := range s.throttled[query.Function] {
		if !start.At.Before(query.Since) && throttleCursor(start) > query.Cursor {
			starts = append(starts, start)
		}
	}
	slices.SortFunc(starts, func(a, b stepwell.ThrottleStart) int { return cmp.Compare(throttleCursor(a), throttleCursor(b)) })
	if len(starts) <= query.Limit {
		return starts, "", nil
	}
	return starts[:query.Limit], throttleCursor(starts[query.Limit-1]), nil
}

// throttleCursor sorts as (time, run) does.
func throttleCursor(start stepwell.ThrottleStart) string {
	return fmt.Sprintf("%020d.%s", start.At.UnixNano(), start.Item.Run)
}
