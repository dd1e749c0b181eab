package stateclient

import (
	"context"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// DueSchedules implements store.Scheduler.
func (c *Client) DueSchedules(ctx context.Context, query store.ScheduleQuery) (store.DueSchedules, error) {
	m, err := c.state.ListDueSchedules(ctx, &statev1.ListDueSchedulesRequest{
		Until: wire.Time(query.Until), PageSize: int32(query.Limit),
	})
	if err != nil {
		return store.DueSchedules{}, err
	}
	return store.DueSchedules{
		Schedules: wire.Each(m.GetSchedules(), wire.FromSchedule),
		Outdated: wire.Each(m.GetOutdatedEnvironmentIds(), func(id []byte) stepwell.EnvironmentID {
			return stepwell.EnvironmentID{UUID: wire.FromUUID(id)}
		}),
	}, nil
}

// SetSchedules implements store.Scheduler.
func (c *Client) SetSchedules(ctx context.Context, set store.ScheduleSet) error {
	_, err := c.state.SetSchedules(ctx, &statev1.SetSchedulesRequest{
		EnvironmentId: wire.UUID(set.Environment.UUID), Revision: set.Revision,
		Schedules: wire.Each(set.Schedules, wire.Schedule),
	})
	return err
}

// AdvanceSchedules implements store.Scheduler.
func (c *Client) AdvanceSchedules(ctx context.Context, advances []store.ScheduleAdvance) error {
	_, err := c.state.AdvanceSchedules(ctx, &statev1.AdvanceSchedulesRequest{
		Advances: wire.Each(advances, func(a store.ScheduleAdvance) *statev1.ScheduleAdvance {
			return &statev1.ScheduleAdvance{Schedule: wire.Schedule(a.Schedule), NextTime: wire.Time(a.Next)}
		}),
	})
	return err
}
