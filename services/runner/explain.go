package runner

import (
	"context"
	"fmt"
	"time"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// ExplainWaiting implements runnerv1.RunnerServiceServer.
func (s *Service) ExplainWaiting(
	ctx context.Context, m *runnerv1.ExplainWaitingRequest,
) (*runnerv1.ExplainWaitingResponse, error) {
	if n := len(m.GetItems()); n > queue.ItemsMax {
		return nil, stepwell.TooLargef("%d items in one request, at most %d are allowed", n, queue.ItemsMax)
	}
	waiting, err := s.deps.Queue.Waiting(ctx, time.Now(), wire.Each(m.GetItems(), wire.FromItem))
	if err != nil {
		return nil, fmt.Errorf("explain waiting: %w", err)
	}
	return &runnerv1.ExplainWaitingResponse{Waiting: wire.Waiting(waiting)}, nil
}
