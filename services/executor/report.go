package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// Report implements executorv1.ExecutorServiceServer.
func (s *Service) Report(ctx context.Context, m *executorv1.ReportRequest) (*executorv1.ReportResponse, error) {
	run := stepwell.RunID{ULID: wire.FromULID(m.GetRunId())}
	now := time.Now()
	outcome, err := sdk.ParseReport(m.GetOps(), now)
	if err != nil {
		return nil, stepwell.Invalidf("steps: %v", err)
	}
	environment := stepwell.EnvironmentID{UUID: wire.FromUUID(m.GetEnvironmentId())}
	err = s.report(ctx, environment, run, outcome, now)
	if !errors.Is(err, stepwell.ErrConflict) {
		return &executorv1.ReportResponse{}, err
	}
	// The app may repeat what it lost the answer to.
	state, loadErr := s.loadEndpoint(ctx, environment, run)
	if loadErr != nil {
		return nil, loadErr
	}
	if !engine.IsReported(state, outcome) {
		return nil, err
	}
	return &executorv1.ReportResponse{}, nil
}

// report decides, commits and enqueues. stepwell.ErrConflict: the run goes on without its app, or has ended.
func (s *Service) report(
	ctx context.Context, environment stepwell.EnvironmentID, run stepwell.RunID, outcome stepwell.Outcome, now time.Time,
) error {
	state, err := s.loadEndpoint(ctx, environment, run)
	if err != nil {
		return err
	}
	item, open := state.Run.Progress.OpenItem(engine.InlineItem(run))
	if !open {
		return fmt.Errorf("run %s goes on without its app: %w", run, stepwell.ErrConflict)
	}
	call := s.newCall(state, item, 0)
	call.Outcome, call.EndedAt = outcome, now
	if began := run.Timestamp(); began.Before(now) {
		call.StartedAt = began
	}
	s.prepareWaits(state, call.Outcome.Ops)
	call.Heard = s.heard.in(environment)
	decided := decision{call: call}
	if decided.transition, err = engine.Report(*call); err != nil {
		return err
	}
	committed, err := s.commitDecision(ctx, &decided)
	if err == nil {
		s.runs.Committed(ctx, runtelemetry.RunOf(decided.call.State), decided.transition)
		s.runs.Queued(ctx, committed.Opened)
	}
	if err == nil && !decided.transition.Keep {
		s.queueOpened(ctx, item, committed)
	}
	return err
}

func (s *Service) loadEndpoint(
	ctx context.Context, environment stepwell.EnvironmentID, run stepwell.RunID,
) (stepwell.RunState, error) {
	state, err := store.LoadRun(ctx, s.deps.State, run)
	switch {
	case err != nil:
		return state, fmt.Errorf("load run: %w", err)
	case state.Run.Environment != environment: // I24
		return state, fmt.Errorf("run %s: %w", run, stepwell.ErrNotFound)
	case !state.Function.Endpoint():
		return state, stepwell.Invalidf("run %s is not one of an endpoint: its calls report steps", run)
	}
	return state, nil
}

// queueOpened puts what was opened into the queue, and takes the item out that the app worked on, if it is there. What
// the queue is not told is found in the store.
func (s *Service) queueOpened(ctx context.Context, settled stepwell.Item, committed store.Committed) {
	if committed.ForRunner {
		s.nudge()
	}
	ctx = context.WithoutCancel(ctx)
	var err error
	if opened := stepwell.Unparked(committed.Opened); len(opened) > 0 {
		err = s.deps.Queue.Enqueue(ctx, time.Now(), opened)
	}
	dropped := committed.Dropped
	if !settled.Parked {
		dropped = append(dropped, settled.ID)
	}
	if len(dropped) > 0 {
		err = errors.Join(err, s.deps.Queue.Remove(ctx, dropped))
	}
	if err != nil {
		s.deps.Log.WarnContext(ctx, "queue was not told of a report",
			slog.String("item_id", string(settled.ID)), slog.String("error", err.Error()))
	}
}
