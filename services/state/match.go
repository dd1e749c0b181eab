package state

import (
	"context"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// ListWaits implements statev1.StateServiceServer.
func (s *Service) ListWaits(ctx context.Context, m *statev1.ListWaitsRequest) (*statev1.ListWaitsResponse, error) {
	waits, next, err := s.store.Waits(ctx, store.WaitQuery{
		Event: wire.FromEvent(m.GetEvent()), Cursor: m.GetPageToken(), Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListWaitsResponse{Waits: wire.Each(waits, wire.Wait), NextPageToken: next}, nil
}

// GetSignalWait implements statev1.StateServiceServer.
func (s *Service) GetSignalWait(
	ctx context.Context, m *statev1.GetSignalWaitRequest,
) (*statev1.GetSignalWaitResponse, error) {
	w, err := s.store.SignalWait(ctx, environmentID(m.GetEnvironmentId()), m.GetSignal())
	if err != nil {
		return nil, err
	}
	return &statev1.GetSignalWaitResponse{Wait: wire.Wait(w)}, nil
}

// RouteEvents implements statev1.StateServiceServer.
func (s *Service) RouteEvents(ctx context.Context, m *statev1.RouteEventsRequest) (*statev1.RouteEventsResponse, error) {
	if err := atMostPage(len(m.GetEventIds())); err != nil {
		return nil, err
	}
	return &statev1.RouteEventsResponse{}, s.store.Routed(ctx, wire.Each(m.GetEventIds(), eventID))
}

// ListLookBacks implements statev1.StateServiceServer.
func (s *Service) ListLookBacks(
	ctx context.Context, m *statev1.ListLookBacksRequest,
) (*statev1.ListLookBacksResponse, error) {
	backs, err := s.store.LookBacks(ctx, pageSize(m.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &statev1.ListLookBacksResponse{}
	bytes := 0
	for _, back := range backs {
		for _, event := range back.Events {
			bytes += eventSize(event)
		}
		if len(response.GetLookBacks()) > 0 && bytes > store.PageBytesMax {
			break
		}
		response.LookBacks = append(response.LookBacks, lookBack(back))
	}
	return response, nil
}

// ListHolders implements statev1.StateServiceServer.
func (s *Service) ListHolders(
	ctx context.Context, m *statev1.ListHoldersRequest,
) (*statev1.ListHoldersResponse, error) {
	if err := atMostPage(len(m.GetPlaces())); err != nil {
		return nil, err
	}
	holders, err := s.store.Holders(ctx, wire.Each(m.GetPlaces(), func(p *statev1.PlaceKey) stepwell.PlaceKey {
		return stepwell.PlaceKey{Function: stepwell.FunctionID{UUID: wire.FromUUID(p.GetFunctionId())}, Key: p.GetKey()}
	}))
	return &statev1.ListHoldersResponse{
		RunIds: wire.Each(holders, func(id stepwell.RunID) []byte { return wire.ULID(id.ULID) }),
	}, err
}

// ListDeadlines implements statev1.StateServiceServer.
func (s *Service) ListDeadlines(
	ctx context.Context, m *statev1.ListDeadlinesRequest,
) (*statev1.ListDeadlinesResponse, error) {
	deadlines, err := s.store.Deadlines(ctx, wire.FromTime(m.GetUntilTime()), pageSize(m.GetPageSize()))
	return &statev1.ListDeadlinesResponse{Deadlines: wire.Each(deadlines, wire.Deadline)}, err
}

// MoveDeadlines implements statev1.StateServiceServer.
func (s *Service) MoveDeadlines(
	ctx context.Context, m *statev1.MoveDeadlinesRequest,
) (*statev1.MoveDeadlinesResponse, error) {
	if err := atMostPage(len(m.GetDeadlines())); err != nil {
		return nil, err
	}
	return &statev1.MoveDeadlinesResponse{}, s.store.MoveDeadlines(ctx, wire.Each(m.GetDeadlines(), wire.FromDeadline))
}

// ListDueBuffers implements statev1.StateServiceServer.
func (s *Service) ListDueBuffers(
	ctx context.Context, m *statev1.ListDueBuffersRequest,
) (*statev1.ListDueBuffersResponse, error) {
	due, next, err := s.store.DueBuffers(ctx, wire.FromTime(m.GetTime()), pageSize(m.GetPageSize()))
	return &statev1.ListDueBuffersResponse{Buffers: wire.Each(due, dueBuffer), NextTime: wire.Time(next)}, err
}

// EndLookBacks implements statev1.StateServiceServer.
func (s *Service) EndLookBacks(
	ctx context.Context, m *statev1.EndLookBacksRequest,
) (*statev1.EndLookBacksResponse, error) {
	if err := atMostPage(len(m.GetWaits())); err != nil {
		return nil, err
	}
	return &statev1.EndLookBacksResponse{}, s.store.LookedBack(ctx, wire.Each(m.GetWaits(), wire.FromWait))
}

// atMostPage refuses a list that is longer than a page.
func atMostPage(n int) error {
	if n > store.PageMax {
		return stepwell.TooLargef("%d in one call, at most %d are allowed", n, store.PageMax)
	}
	return nil
}
