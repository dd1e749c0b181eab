package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	// deadlinesEvery is how often runs are looked for that take too long.
	deadlinesEvery = time.Second
	// deadlinesPerPage bounds the runs that are looked at together.
	deadlinesPerPage = 200
)

// cancelLate cancels the runs that take too long. Several runners may do so at once: a run is cancelled once.
func (s *Service) cancelLate(ctx context.Context) error {
	for {
		now := time.Now()
		due, err := s.deps.State.Deadlines(ctx, now, deadlinesPerPage)
		if err != nil {
			return fmt.Errorf("look for deadlines: %w", err)
		}
		if len(due) == 0 {
			return nil
		}
		if err := s.lookAtDeadlines(ctx, due, now); err != nil {
			return err
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
