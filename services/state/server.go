package state

import (
	"context"
	"errors"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// Ingest implements statev1.StateServiceServer.
func (s *Service) Ingest(ctx context.Context, m *statev1.IngestRequest) (*statev1.IngestResponse, error) {
	if n := len(m.GetRequests()); n > store.TransitionsMax {
		return nil, stepwell.TooLargef("%d publish requests in one call, at most %d are allowed", n, store.TransitionsMax)
	}
	requests := wire.Each(m.GetRequests(), fromIngest)
	results, err := s.store.Ingest(ctx, requests)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		s.metrics.countIngested(ctx, requests[i], result)
	}
	return &statev1.IngestResponse{Results: wire.Each(results, ingested)}, nil
}

// Commit implements statev1.StateServiceServer.
func (s *Service) Commit(ctx context.Context, m *statev1.CommitRequest) (*statev1.CommitResponse, error) {
	if n := len(m.GetTransitions()); n > store.TransitionsMax {
		return nil, stepwell.TooLargef("%d transitions in one call, at most %d are allowed", n, store.TransitionsMax)
	}
	transitions := wire.Each(m.GetTransitions(), wire.FromTransition)
	results, err := s.store.Commit(ctx, transitions)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		s.metrics.count(ctx, transitions[i], result.Err)
	}
	return &statev1.CommitResponse{Results: wire.Each(results, committed)}, nil
}

// Claim implements statev1.StateServiceServer.
func (s *Service) Claim(ctx context.Context, m *statev1.ClaimRequest) (*statev1.ClaimResponse, error) {
	err := s.store.Claim(ctx, stepwell.ItemID(m.GetItemId()), int(m.GetGeneration()), wire.FromTime(m.GetBeginTime()))
	if errors.Is(err, stepwell.ErrConflict) {
		s.metrics.fenced.Add(ctx, 1, telemetry.Labels{})
	}
	return &statev1.ClaimResponse{}, err
}

// loadBytesMax bounds the state of the runs in one answer, unless a single one is larger.
const loadBytesMax = 16 << 20

// LoadRuns implements statev1.StateServiceServer.
func (s *Service) LoadRuns(ctx context.Context, m *statev1.LoadRunsRequest) (*statev1.LoadRunsResponse, error) {
	if n := len(m.GetRunIds()); n > store.TransitionsMax {
		return nil, stepwell.TooLargef("%d runs in one call, at most %d are allowed", n, store.TransitionsMax)
	}
	runs, err := s.store.LoadRuns(ctx, wire.Each(m.GetRunIds(), runID))
	if err != nil {
		return nil, err
	}
	response := &statev1.LoadRunsResponse{}
	bytes := 0
	for i, run := range runs {
		bytes += run.State.Run.Progress.StateBytes + eventBytes(run.State.Events)
		if i > 0 && bytes > loadBytesMax {
			break
		}
		response.Runs = append(response.Runs, loaded(run))
	}
	return response, nil
}

func eventBytes(events []stepwell.Event) int {
	n := 0
	for _, event := range events {
		n += len(event.Data)
	}
	return n
}

// SyncApp implements statev1.StateServiceServer.
func (s *Service) SyncApp(ctx context.Context, m *statev1.SyncAppRequest) (*statev1.SyncAppResponse, error) {
	modified, err := s.store.SyncApp(ctx, wire.FromApp(m.GetApp()), wire.Each(m.GetFunctions(), wire.FromFunction))
	return &statev1.SyncAppResponse{Modified: modified}, err
}

// HoldFunction implements statev1.StateServiceServer.
func (s *Service) HoldFunction(
	ctx context.Context, m *statev1.HoldFunctionRequest,
) (*statev1.HoldFunctionResponse, error) {
	function := stepwell.FunctionID{UUID: wire.FromUUID(m.GetFunctionId())}
	err := s.store.HoldFunction(ctx, environmentID(m.GetEnvironmentId()), function, wire.FromHold(m.GetHold()))
	return &statev1.HoldFunctionResponse{}, err
}

// ListFunctions implements statev1.StateServiceServer.
func (s *Service) ListFunctions(
	ctx context.Context, m *statev1.ListFunctionsRequest,
) (*statev1.ListFunctionsResponse, error) {
	functions, err := s.store.Functions(ctx, environmentID(m.GetEnvironmentId()), m.GetKnownRevision())
	if err != nil {
		return nil, err
	}
	return &statev1.ListFunctionsResponse{
		Revision: functions.Revision, Apps: wire.Each(functions.Apps, wire.App),
		Functions: wire.Each(functions.Functions, wire.Function),
	}, nil
}

// ListDueItems implements statev1.StateServiceServer.
func (s *Service) ListDueItems(
	ctx context.Context, m *statev1.ListDueItemsRequest,
) (*statev1.ListDueItemsResponse, error) {
	items, next, err := s.store.DueItems(ctx, store.DueQuery{
		Before: wire.FromTime(m.GetBefore()), After: wire.FromTime(m.GetAfter()), Cursor: m.GetPageToken(), Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListDueItemsResponse{Items: wire.Each(items, wire.Item), NextPageToken: next}, nil
}

// ListThrottleStarts implements statev1.StateServiceServer.
func (s *Service) ListThrottleStarts(
	ctx context.Context, m *statev1.ListThrottleStartsRequest,
) (*statev1.ListThrottleStartsResponse, error) {
	starts, next, err := s.store.ThrottleStarts(ctx, store.ThrottleQuery{
		Function: stepwell.FunctionID{UUID: wire.FromUUID(m.GetFunctionId())}, Since: wire.FromTime(m.GetSince()),
		Cursor: m.GetPageToken(), Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListThrottleStartsResponse{Starts: wire.Each(starts, wire.ThrottleStart), NextPageToken: next}, nil
}

// ListParkedItems implements statev1.StateServiceServer.
func (s *Service) ListParkedItems(
	ctx context.Context, m *statev1.ListParkedItemsRequest,
) (*statev1.ListParkedItemsResponse, error) {
	items, err := s.store.ParkedItems(ctx, wire.FromTime(m.GetBefore()), pageSize(m.GetPageSize()))
	if err != nil {
		return nil, err
	}
	return &statev1.ListParkedItemsResponse{Items: wire.Each(items, wire.Item)}, nil
}

// UnparkItems implements statev1.StateServiceServer.
func (s *Service) UnparkItems(
	ctx context.Context, m *statev1.UnparkItemsRequest,
) (*statev1.UnparkItemsResponse, error) {
	if n := len(m.GetItemIds()); n > store.PageMax {
		return nil, stepwell.TooLargef("%d items in one call, at most %d are allowed", n, store.PageMax)
	}
	return &statev1.UnparkItemsResponse{}, s.store.Unpark(ctx, wire.FromItemIDs(m.GetItemIds()))
}

// ListUnroutedEvents implements statev1.StateServiceServer.
func (s *Service) ListUnroutedEvents(
	ctx context.Context, m *statev1.ListUnroutedEventsRequest,
) (*statev1.ListUnroutedEventsResponse, error) {
	events, err := s.store.UnroutedEvents(ctx, pageSize(m.GetPageSize()))
	if err != nil {
		return nil, err
	}
	return &statev1.ListUnroutedEventsResponse{Events: wire.Each(fitting(events), wire.Event)}, nil
}

// fitting are as many of the first events as fit into a page, and at least one.
func fitting(events []stepwell.Event) []stepwell.Event {
	bytes := 0
	for i, event := range events {
		bytes += eventSize(event)
		if i > 0 && bytes > store.PageBytesMax {
			return events[:i]
		}
	}
	return events
}

func eventSize(event stepwell.Event) int { return len(event.Data) + len(event.User) + len(event.Meta) }

// GetRun implements statev1.StateServiceServer.
func (s *Service) GetRun(ctx context.Context, m *statev1.GetRunRequest) (*statev1.GetRunResponse, error) {
	run, err := s.store.Run(ctx, environmentID(m.GetEnvironmentId()), runID(m.GetRunId()))
	if err != nil {
		return nil, err
	}
	return &statev1.GetRunResponse{Run: wire.Run(run)}, nil
}

// GetRunHistory implements statev1.StateServiceServer.
func (s *Service) GetRunHistory(
	ctx context.Context, m *statev1.GetRunHistoryRequest,
) (*statev1.GetRunHistoryResponse, error) {
	history, err := s.store.RunHistory(ctx, environmentID(m.GetEnvironmentId()), runID(m.GetRunId()))
	if err != nil {
		return nil, err
	}
	return &statev1.GetRunHistoryResponse{History: wire.RunHistory(history)}, nil
}

// ListRuns implements statev1.StateServiceServer.
func (s *Service) ListRuns(ctx context.Context, m *statev1.ListRunsRequest) (*statev1.ListRunsResponse, error) {
	runs, err := s.store.Runs(ctx, store.RunQuery{
		Environment: environmentID(m.GetEnvironmentId()),
		Event:       stepwell.EventID{ULID: wire.FromULID(m.GetEventId())},
		Function:    stepwell.FunctionID{UUID: wire.FromUUID(m.GetFunctionId())},
		Statuses:    wire.Each(m.GetStatuses(), wire.FromRunStatus),
		Before:      runID(m.GetBeforeRunId()), Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListRunsResponse{Runs: wire.Each(runs, wire.Run)}, nil
}

// GetEvent implements statev1.StateServiceServer.
func (s *Service) GetEvent(ctx context.Context, m *statev1.GetEventRequest) (*statev1.GetEventResponse, error) {
	id := stepwell.EventID{ULID: wire.FromULID(m.GetEventId())}
	event, err := s.store.Event(ctx, environmentID(m.GetEnvironmentId()), id)
	if err != nil {
		return nil, err
	}
	return &statev1.GetEventResponse{Event: wire.Event(event)}, nil
}

// ListEvents implements statev1.StateServiceServer.
func (s *Service) ListEvents(ctx context.Context, m *statev1.ListEventsRequest) (*statev1.ListEventsResponse, error) {
	events, err := s.store.Events(ctx, store.EventQuery{
		Environment: environmentID(m.GetEnvironmentId()), Name: m.GetName(),
		Before: stepwell.EventID{ULID: wire.FromULID(m.GetBeforeEventId())}, Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListEventsResponse{Events: wire.Each(events, wire.Event)}, nil
}
