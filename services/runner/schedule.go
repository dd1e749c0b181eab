package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

const (
	// schedulesPerPage bounds the schedules that are looked at together.
	schedulesPerPage = 200
	// instantsPerSchedule bounds the instants at which one of them fires before others have their turn.
	instantsPerSchedule = 100
	// timersPerRequest bounds the events that are stored together.
	timersPerRequest = 500
	// catchUpMin is how late an instant is still fired at if nothing is to be caught up: another runner may have to notice
	// first that the one before is gone.
	catchUpMin = 10 * time.Second
	// schedulerLastsMin is how long a runner that fires and says nothing keeps others from it, at least.
	schedulerLastsMin = 5 * time.Second
)

// scheduler is the lock of the runner that fires cron triggers.
func (s *Service) scheduler() queue.Lock { return queue.Lock{Name: "scheduler", Owner: s.owner} }

// fireTimers fires cron triggers, each at its instant, until it is time for the next pass (I18). Everything that it knows
// is in the store: what a crash interrupts is done again, by the same events, so that it has an effect once. For the same
// reason it is harmless that others do it too: they are kept from it only to save work, and not if the queue is away.
func (s *Service) fireTimers(ctx context.Context) error {
	lasts := max(3*s.config.CronEvery, schedulerLastsMin)
	if mine, err := s.deps.Queue.TryLock(ctx, s.scheduler(), lasts); err == nil && !mine {
		return nil
	}
	end := time.Now().Add(s.config.CronEvery)
	for {
		query := store.ScheduleQuery{Until: end, Limit: schedulesPerPage}
		due, err := s.deps.State.DueSchedules(ctx, query)
		if err != nil {
			return fmt.Errorf("look for due schedules: %w", err)
		}
		now := time.Now()
		changed, err := s.reschedule(ctx, due.Outdated)
		if err != nil {
			return err
		}
		fired, err := s.fire(ctx, due.Schedules, now)
		if err != nil {
			return err
		}
		if changed || fired {
			continue
		}
		if next := nextAfter(due.Schedules, now); next.IsZero() || !s.sleepUntil(ctx, next, now) {
			return ctx.Err()
		}
	}
}

// nextAfter is the first of the instants that is still to come; the zero time if there is none.
func nextAfter(schedules []stepwell.Schedule, now time.Time) time.Time {
	for _, schedule := range schedules {
		if schedule.NextAt.After(now) {
			return schedule.NextAt
		}
	}
	return time.Time{}
}

// sleepUntil reports whether the instant has come. It does not wait longer than a pass takes: if it would have to, the
// clock was changed.
func (s *Service) sleepUntil(ctx context.Context, at, now time.Time) bool {
	wait := at.Sub(now)
	if wait > s.config.CronEvery {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// reschedule makes the schedules of environments those of their functions, and reports whether it did so with any.
func (s *Service) reschedule(ctx context.Context, environments []stepwell.EnvironmentID) (bool, error) {
	changed := false
	for _, environment := range environments {
		triggers, err := s.newest(ctx, environment)
		if err != nil {
			return false, err
		}
		set := store.ScheduleSet{Environment: environment, Revision: triggers.revision}
		for _, t := range triggers.timers {
			// What comes after the function was synced is missed if nobody has fired it yet.
			if next := t.schedule.Next(t.function.CreatedAt); !next.IsZero() {
				set.Schedules = append(set.Schedules, stepwell.Schedule{
					Environment: environment, Function: t.function.ID, Cron: t.trigger.Cron, NextAt: next,
				})
			}
		}
		err = s.deps.State.SetSchedules(ctx, set)
		switch {
		case errors.Is(err, stepwell.ErrStale):
			// The functions changed again, and are looked at again.
		case err != nil:
			return false, fmt.Errorf("set schedules: %w", err)
		default:
			changed = true
		}
	}
	return changed, nil
}

// newest returns the triggers of an environment as of now.
func (s *Service) newest(ctx context.Context, environment stepwell.EnvironmentID) (*index, error) {
	s.mu.Lock()
	known := s.indexes[environment]
	s.mu.Unlock()
	return s.refresh(ctx, environment, known)
}

// missed are the instants of a schedule that were missed for too long.
type missed struct {
	timer timer
	count int
}

// fire fires the schedules that are due, and reports whether there were any. A schedule moves on when its events are
// stored.
func (s *Service) fire(ctx context.Context, schedules []stepwell.Schedule, now time.Time) (bool, error) {
	var events []stepwell.Event
	var advances []store.ScheduleAdvance
	var skipped []missed
	indexes := map[stepwell.EnvironmentID]*index{}
	for _, schedule := range schedules {
		if schedule.NextAt.After(now) {
			break
		}
		if indexes[schedule.Environment] == nil {
			triggers, err := s.newest(ctx, schedule.Environment)
			if err != nil {
				return false, err
			}
			indexes[schedule.Environment] = triggers
		}
		t, known := indexes[schedule.Environment].timers[stepwell.NewTimerKey(schedule.Function, schedule.Cron)]
		if !known {
			continue // the function is archived or changed, and its schedule about to go
		}
		due := t.schedule.Due(schedule.NextAt, now, max(s.config.CronCatchUp, catchUpMin), instantsPerSchedule)
		for _, slot := range due.Fire {
			events = append(events, engine.Timer(t.function, t.trigger, slot, now))
		}
		if due.Skipped > 0 {
			skipped = append(skipped, missed{t, due.Skipped})
		}
		advances = append(advances, store.ScheduleAdvance{Schedule: schedule, Next: due.Next})
	}
	if len(advances) == 0 {
		return false, nil
	}
	if err := s.publishTimers(ctx, events); err != nil {
		return false, err
	}
	if err := s.deps.State.AdvanceSchedules(ctx, advances); err != nil {
		return false, fmt.Errorf("advance %d schedules: %w", len(advances), err)
	}
	s.metrics.cronFired.Add(ctx, len(events), telemetry.Labels{})
	for _, m := range skipped {
		s.metrics.cronMissed.Add(ctx, m.count, telemetry.Labels{})
		s.deps.Log.WarnContext(ctx, "a cron trigger was missed for too long and is not caught up (runner.cron_catch_up)",
			slog.String("function_id", m.timer.function.Slug), slog.String("cron", m.timer.trigger.Cron),
			slog.Int("skipped_count", m.count))
	}
	return true, nil
}

// publishTimers publishes events of any environments, those of each in their order.
func (s *Service) publishTimers(ctx context.Context, events []stepwell.Event) error {
	for _, together := range byEnvironment(events) {
		for some := range slices.Chunk(together, timersPerRequest) {
			done := s.firing(ctx, some)
			_, err := s.publish(ctx, some)
			done(err)
			if err != nil {
				return fmt.Errorf("fire %d cron triggers: %w", len(some), err)
			}
		}
	}
	return nil
}
