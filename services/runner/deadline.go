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
	return s.deadlines.keep(ctx, end, func(ctx context.Context, now time.Time) (bool, time.Time, error) {
		due, err := s.deps.State.Deadlines(ctx, end, deadlinesPerPage)
		if err != nil {
			return false, time.Time{}, fmt.Errorf("look for deadlines: %w", err)
		}
		toCome := slices.IndexFunc(due, func(d stepwell.Deadline) bool { return d.At.After(now) })
		switch {
		case len(due) == 0:
			return false, time.Time{}, nil
		case toCome == 0:
			return false, due[0].At, nil
		case toCome > 0:
			due = due[:toCome]
		}
		return true, time.Time{}, s.lookAtDeadlines(ctx, due, now)
	})
}

// expect says what is to be done, and when, for what was stored.
func (s *Service) expect(request store.Ingest, ingested store.Ingested) {
	s.buffers.expect(ingested.FiresAt)
	for _, event := range request.Events {
		for _, start := range event.Starts {
			s.deadlines.expect(start.Deadline)
		}
	}
	for _, fire := range request.Fires {
		s.deadlines.expect(fire.Start.Deadline)
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
