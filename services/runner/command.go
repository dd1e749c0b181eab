package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// Nudge implements runnerv1.RunnerServiceServer.
func (s *Service) Nudge(context.Context, *runnerv1.NudgeRequest) (*runnerv1.NudgeResponse, error) {
	s.nudge()
	return &runnerv1.NudgeResponse{}, nil
}

// nudge has the duties done at once that look for what the store holds. Nudges that come while they are done are one.
func (s *Service) nudge() {
	for _, nudged := range []chan struct{}{s.toRoute, s.toLookBack} {
		select {
		case nudged <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// SendSignal implements runnerv1.RunnerServiceServer.
func (s *Service) SendSignal(
	ctx context.Context, m *runnerv1.SendSignalRequest,
) (*runnerv1.SendSignalResponse, error) {
	if data := m.GetData(); !json.Valid(data) || len(data) > stepwell.EventBytesMax {
		return nil, stepwell.Invalidf("the signal's data must be JSON of at most %d bytes", stepwell.EventBytesMax)
	}
	environment := stepwell.EnvironmentID{UUID: wire.FromUUID(m.GetEnvironmentId())}
	for range signalTriesMax {
		w, err := s.deps.State.SignalWait(ctx, environment, m.GetSignal())
		if err != nil {
			return nil, fmt.Errorf("send signal: %w", err)
		}
		now := time.Now()
		signal := match{item: w.Item.ID, resumes: engine.Signal(w, m.GetData(), now), run: s.waiting(ctx, w)}
		ended, err := s.commit(ctx, now, []match{signal})
		if err != nil {
			return nil, fmt.Errorf("send signal: %w", err)
		}
		if ended[w.Item.ID] {
			return &runnerv1.SendSignalResponse{RunId: wire.ULID(w.Run.ULID)}, nil
		}
	}
	return nil, fmt.Errorf("send signal: its wait is over: %w", stepwell.ErrNotFound)
}

// waiting is what is to be told of a run that waits for a signal, if spans are made: else nobody needs to know.
func (s *Service) waiting(ctx context.Context, w stepwell.Wait) runtelemetry.Run {
	if !s.tracer.On() {
		return runtelemetry.Run{}
	}
	state, err := store.LoadRun(ctx, s.deps.State, w.Run)
	if err != nil {
		return runtelemetry.Run{} // who commits is told the same
	}
	run := runtelemetry.RunOf(state)
	run.Caused = telemetry.KeptTraceOf(ctx)
	return run
}

// signalTriesMax bounds how often a wait is looked for again that ended meanwhile: another run may wait by then.
const signalTriesMax = 3

// CancelRun implements runnerv1.RunnerServiceServer.
func (s *Service) CancelRun(
	ctx context.Context, m *runnerv1.CancelRunRequest,
) (*runnerv1.CancelRunResponse, error) {
	run := stepwell.RunID{ULID: wire.FromULID(m.GetRunId())}
	state, err := store.LoadRun(ctx, s.deps.State, run)
	if err == nil && state.Run.Environment.UUID != wire.FromUUID(m.GetEnvironmentId()) {
		err = fmt.Errorf("run %s: %w", run, stepwell.ErrNotFound) // I24
	}
	if err != nil {
		return nil, fmt.Errorf("cancel: %w", err)
	}
	now, item := time.Now(), stepwell.NewCancelItem(state.Run, 0).ID
	ended, err := s.commit(ctx, now, []match{{item: item, cancels: &state, run: runtelemetry.RunOf(state)}})
	if err != nil {
		return nil, fmt.Errorf("cancel: %w", err)
	}
	if !ended[item] {
		return nil, fmt.Errorf("cancel: run %s has ended: %w", run, stepwell.ErrConflict)
	}
	return &runnerv1.CancelRunResponse{}, nil
}
