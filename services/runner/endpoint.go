package runner

import (
	"context"
	"fmt"
	"time"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// StartEndpointRun implements runnerv1.RunnerServiceServer.
func (s *Service) StartEndpointRun(
	ctx context.Context, m *runnerv1.StartEndpointRunRequest,
) (*runnerv1.StartEndpointRunResponse, error) {
	event := wire.FromEvent(m.GetEvent())
	run := stepwell.RunID{ULID: wire.FromULID(m.GetRunId())}
	start := engine.StartEndpoint(run, wire.FromFunction(m.GetFunction()), event, int(m.GetRequestVersion()), time.Now())
	ingested, err := s.publish(ctx, []stepwell.Event{event}, start)
	if err != nil {
		return nil, fmt.Errorf("start run of an endpoint: %w", err)
	}
	return &runnerv1.StartEndpointRunResponse{Existed: ingested.Runs[0][0].Existed}, nil
}
