package state

import (
	"context"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// ListDueSchedules implements statev1.StateServiceServer.
func (s *Service) ListDueSchedules(
	ctx context.Context, m *statev1.ListDueSchedulesRequest,
) (*statev1.ListDueSchedulesResponse, error) {
	due, err := s.store.DueSchedules(ctx, store.ScheduleQuery{
		Until: wire.FromTime(m.GetUntil()), Limit: pageSize(m.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	return &statev1.ListDueSchedulesResponse{
		Schedules:              wire.Each(due.Schedules, wire.Schedule),
		OutdatedEnvironmentIds: wire.Each(due.Outdated, func(id stepwell.EnvironmentID) []byte { return wire.UUID(id.UUID) }),
	}, nil
}

// SetSchedules implements statev1.StateServiceServer.
func (s *Service) SetSchedules(
	ctx context.Context, m *statev1.SetSchedulesRequest,
) (*statev1.SetSchedulesResponse, error) {
	return &statev1.SetSchedulesResponse{}, s.store.SetSchedules(ctx, store.ScheduleSet{
		Environment: environmentID(m.GetEnvironmentId()), Revision: m.GetRevision(),
		Schedules: wire.Each(m.GetSchedules(), wire.FromSchedule),
	})
}

// AdvanceSchedules implements statev1.StateServiceServer.
func (s *Service) AdvanceSchedules(
	ctx context.Context, m *statev1.AdvanceSchedulesRequest,
) (*statev1.AdvanceSchedulesResponse, error) {
	if err := atMostPage(len(m.GetAdvances())); err != nil {
		return nil, err
	}
	advances := wire.Each(m.GetAdvances(), func(m *statev1.ScheduleAdvance) store.ScheduleAdvance {
		return store.ScheduleAdvance{Schedule: wire.FromSchedule(m.GetSchedule()), Next: wire.FromTime(m.GetNextTime())}
	})
	return &statev1.AdvanceSchedulesResponse{}, s.store.AdvanceSchedules(ctx, advances)
}
