package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Deadlines implements store.Backlog.
func (s *Store) Deadlines(_ context.Context, until time.Time, limit int) ([]stepwell.Deadline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []stepwell.Deadline
	for run, at := range s.deadlines {
		if !at.After(until) {
			due = append(due, stepwell.Deadline{Run: run, At: at})
		}
	}
	slices.SortFunc(due, func(a, b stepwell.Deadline) int {
		return cmp.Or(a.At.Compare(b.At), a.Run.Compare(b.Run.ULID))
	})
	return due[:min(limit, len(due))], nil
}

// MoveDeadlines implements store.Backlog.
func (s *Store) MoveDeadlines(_ context.Context, deadlines []stepwell.Deadline) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range deadlines {
		if _, known := s.deadlines[d.Run]; known && !d.At.IsZero() {
			s.deadlines[d.Run] = d.At
		} else {
			delete(s.deadlines, d.Run)
		}
	}
	return nil
}

// UnroutedEvents implements store.Backlog.
func (s *Store) UnroutedEvents(_ context.Context, limit int) ([]stepwell.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.SortedFunc(slices.Values(s.unrouted), compareEventIDs)
	events := make([]stepwell.Event, 0, min(limit, len(ids)))
	for _, id := range ids[:min(limit, len(ids))] {
		events = append(events, s.events[id].event)
	}
	return events, nil
}

// DueItems implements store.Backlog.
func (s *Store) DueItems(_ context.Context, query store.DueQuery) ([]stepwell.Item, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := query.After.Truncate(time.Minute)
	due := s.openItems(func(item stepwell.Item) bool {
		early := func(open stepwell.Item) bool { return open.DueAt.Before(after) }
		return item.DueAt.Before(query.Before) && dueCursor(item) > query.Cursor &&
			!slices.ContainsFunc(s.runs[item.Run].run.Progress.Open, early)
	})
	if len(due) <= query.Limit {
		return due, "", nil
	}
	page := due[:query.Limit]
	return page, dueCursor(page[len(page)-1]), nil
}

// dueCursor sorts as (due time, id) does.
func dueCursor(item stepwell.Item) string {
	return fmt.Sprintf("%020d.%s", item.DueAt.UnixNano(), item.ID)
}

// ParkedItems implements store.Backlog.
func (s *Store) ParkedItems(_ context.Context, before time.Time, limit int) ([]stepwell.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parked := s.openItems(func(item stepwell.Item) bool { return item.Parked && item.DueAt.Before(before) })
	return parked[:min(limit, len(parked))], nil
}

// Unpark implements store.Backlog.
func (s *Store) Unpark(_ context.Context, items []stepwell.ItemID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range items {
		if record, known := s.runs[id.Run()]; known {
			store.Unpark(&record.run, id)
		}
	}
	return nil
}

// openItems are those open items of live runs that are wanted, by when they are due.
func (s *Store) openItems(wanted func(stepwell.Item) bool) []stepwell.Item {
	var open []stepwell.Item
	for _, record := range s.runs {
		for _, item := range record.run.Progress.Open {
			if wanted(item) {
				open = append(open, item)
			}
		}
	}
	slices.SortFunc(open, func(a, b stepwell.Item) int { return cmp.Compare(dueCursor(a), dueCursor(b)) })
	return open
}
