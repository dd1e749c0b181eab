package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// schedules are those of one environment: when they fire next.
type schedules map[scheduleKey]time.Time

type scheduleKey struct {
	function stepwell.FunctionID
	cron     string
}

func keyOf(s stepwell.Schedule) scheduleKey { return scheduleKey{s.Function, s.Cron} }

// DueSchedules implements store.Scheduler.
func (s *Store) DueSchedules(_ context.Context, query store.ScheduleQuery) (store.DueSchedules, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due store.DueSchedules
	for environment, c := range s.catalogs {
		if c.revision != c.scheduled {
			due.Outdated = append(due.Outdated, environment)
		}
		for key, next := range c.schedules {
			if !next.After(query.Until) {
				due.Schedules = append(due.Schedules, stepwell.Schedule{
					Environment: environment, Function: key.function, Cron: key.cron, NextAt: next,
				})
			}
		}
	}
	slices.SortFunc(due.Outdated, func(a, b stepwell.EnvironmentID) int { return strings.Compare(a.String(), b.String()) })
	slices.SortFunc(due.Schedules, func(a, b stepwell.Schedule) int {
		return cmp.Or(a.NextAt.Compare(b.NextAt), strings.Compare(a.Function.String(), b.Function.String()),
			strings.Compare(a.Cron, b.Cron))
	})
	due.Outdated = due.Outdated[:min(query.Limit, len(due.Outdated))]
	due.Schedules = due.Schedules[:min(query.Limit, len(due.Schedules))]
	return due, nil
}

// SetSchedules implements store.Scheduler.
func (s *Store) SetSchedules(_ context.Context, set store.ScheduleSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.catalog(set.Environment)
	if set.Revision < c.revision {
		return fmt.Errorf("schedules of revision %d: %w", set.Revision, stepwell.ErrStale)
	}
	before := c.schedules
	c.schedules, c.scheduled = schedules{}, set.Revision
	for _, schedule := range set.Schedules {
		key := keyOf(schedule)
		c.schedules[key] = schedule.NextAt
		if next, known := before[key]; known {
			c.schedules[key] = next
		}
	}
	return nil
}

// AdvanceSchedules implements store.Scheduler.
func (s *Store) AdvanceSchedules(_ context.Context, advances []store.ScheduleAdvance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, advance := range advances {
		c, key := s.catalog(advance.Schedule.Environment), keyOf(advance.Schedule)
		if next, known := c.schedules[key]; !known || !next.Equal(advance.Schedule.NextAt) {
			continue
		}
		if c.schedules[key] = advance.Next; advance.Next.IsZero() {
			delete(c.schedules, key)
		}
	}
	return nil
}
