package executor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// Checkpoint implements executorv1.ExecutorServiceServer.
func (s *Service) Checkpoint(
	ctx context.Context, m *executorv1.CheckpointRequest,
) (*executorv1.CheckpointResponse, error) {
	run := stepwell.RunID{ULID: wire.FromULID(m.GetRunId())}
	item := stepwell.ItemID(m.GetItemId())
	if item.Run() != run {
		return nil, stepwell.Invalidf("item %s is not of run %s", item, run)
	}
	now := time.Now()
	ops, err := sdk.ParseOps(m.GetOps(), now)
	if err != nil {
		return nil, stepwell.Invalidf("steps: %v", err)
	}
	transition, err := engine.Checkpoint(item, ops, now)
	if err != nil {
		return nil, err
	}
	transition.Environment = stepwell.EnvironmentID{UUID: wire.FromUUID(m.GetEnvironmentId())}
	transition.Generation = int(m.GetGeneration())
	transition.Trace = telemetry.KeptTraceOf(ctx)
	results, err := s.deps.State.Commit(ctx, []stepwell.Transition{transition})
	if err != nil {
		return nil, fmt.Errorf("commit checkpoint: %w", err)
	}
	if results[0].Err == nil {
		s.runs.Committed(ctx, s.known(ctx, run), transition)
	}
	return &executorv1.CheckpointResponse{}, results[0].Err
}

// syncTimeout bounds asking an app what it serves.
const syncTimeout = 10 * time.Second

// RequestSync implements executorv1.ExecutorServiceServer.
func (s *Service) RequestSync(
	ctx context.Context, m *executorv1.RequestSyncRequest,
) (*executorv1.RequestSyncResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	var refusal error
	for _, kind := range []string{sdk.SyncInBand, sdk.SyncOutOfBand} {
		sync := sdk.SyncRequest{URL: m.GetUrl(), SyncKind: kind, ServerKind: s.deps.ServerKind}
		response, err := s.apps.send(ctx, request{
			method: http.MethodPut, target: m.GetUrl(), header: sync.Header(), body: sync.Body(),
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", stepwell.ErrUnavailable, reason(ctx, err))
		}
		registration, err := sdk.ParseSync(response)
		if err == nil {
			s.circuits.answered(ctx, originOf(m.GetUrl()))
			return &executorv1.RequestSyncResponse{Registration: registration}, nil
		}
		refusal = err
		if response.Status != http.StatusUnauthorized {
			break // only a demand for a signature may be about the kind of sync
		}
	}
	return nil, refusal
}
