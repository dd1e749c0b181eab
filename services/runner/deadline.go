package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// deadlinesPerPage bounds the runs that are looked at together.
const deadlinesPerPage = 200

// cancelLate cancels the runs that take too long, each at its time, until it is time for the next pass. Several runners may
// do so at once: a run is cancelled once.
func (s *Service) cancelLate(ctx context.Context) error {
	end := time.Now().Add(s.config.CronEvery)
	for {
		now := time.Now()
		s.nextDeadline.Store(end.UnixNano()) // what comes from here on may be missed by the look
		due, err := s.deps.State.Deadlines(ctx, end, deadlinesPerPage)
		if err != nil {
			return fmt.Errorf("look for deadlines: %w", err)
		}
		toCome := slices.IndexFunc(due, func(d stepwell.Deadline) bool { return d.At.After(now) })
		if toCome < 0 {
			toCome = len(due)
		}
		if toCome > 0 {
			if err := s.lookAtDeadlines(ctx, due[:toCome], now); err != nil {
				return err
			}
			continue
		}
		next := end
		if len(due) > 0 {
			next = due[0].At
		}
		s.nextDeadline.Store(next.UnixNano())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.deadlineComes:
		case <-time.After(next.Sub(now)):
			if !next.Before(end) {
				return nil
			}
		}
	}
}

// expect says that runs were started that are to be looked at before the next one that is known.
func (s *Service) expect(request store.Ingest) {
	for _, event := range request.Events {
		for _, start := range event.Starts {
			if start.Deadline.IsZero() || start.Deadline.UnixNano() >= s.nextDeadline.Load() {
				continue
			}
			select {
			case s.deadlineComes <- struct{}{}:
			default: // it will look anyway
			}
			return
		}
	}
}

func (s *Service) lookAtDeadlines(ctx context.Context, due []stepwell.Deadline, now time.Time) error {
	runs := make([]stepwell.RunID, len(due))
	for i, d := range due {
		runs[i] = d.Run
	}
	loaded, err := s.deps.State.LoadRuns(ctx, runs)
	if err != nil {
		return fmt.Errorf("load runs that may take too long: %w", err)
	}
	var late []match
	moved := make([]stepwell.Deadline, len(due))
	for i, l := range loaded {
		moved[i].Run = due[i].Run
		if errors.Is(l.Err, stepwell.ErrNotFound) {
			continue
		}
		if l.Err != nil {
			return fmt.Errorf("load run %s: %w", due[i].Run, l.Err)
		}
		over, again := engine.Timeout(l.State.Run, l.State.Function.FlowControl, now)
		if !over {
			moved[i].At = again
			continue
		}
		late = append(late, match{
			item: stepwell.NewCancelItem(l.State.Run, 0).ID, cancels: &l.State, run: runtelemetry.RunOf(l.State),
		})
	}
	if _, err := s.commit(ctx, now, late); err != nil {
		return fmt.Errorf("cancel runs that take too long: %w", err)
	}
	if err := s.deps.State.MoveDeadlines(ctx, moved); err != nil {
		return fmt.Errorf("move deadlines: %w", err)
	}
	return nil
}
