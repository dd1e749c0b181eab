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
	function := wire.FromFunction(m.GetFunction())
	s.runs.Know(function)
	start := engine.StartEndpoint(run, function, event, int(m.GetRequestVersion()), time.Now())
	events := []stepwell.Event{event}
	traced(ctx, events)
	ingested, err := s.publish(ctx, events, start)
	if err != nil {
		return nil, fmt.Errorf("start run of an endpoint: %w", err)
	}
	existed := ingested.Runs[0][0].Existed
	if !existed { // the app works on it already
		s.runs.Started(ctx, function)
	}
	return &runnerv1.StartEndpointRunResponse{Existed: existed}, nil
}
