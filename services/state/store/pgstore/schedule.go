package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// DueSchedules implements store.Scheduler.
func (s *Store) DueSchedules(ctx context.Context, query store.ScheduleQuery) (store.DueSchedules, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var due []pgsql.Schedule
	var outdated []pgtype.UUID
	p := &pipeline{}
	collect(p, &due, pgsql.DueSchedules, pgTime(query.Until), int32(query.Limit))
	collectValues(p, &outdated, pgsql.OutdatedCatalogs, int32(query.Limit))
	if err := p.send(ctx, s.writes); err != nil {
		return store.DueSchedules{}, fmt.Errorf("find due schedules: %w", classify(err))
	}
	return store.DueSchedules{
		Schedules: convertRows(due, fromSchedule),
		Outdated: convertRows(outdated, func(id pgtype.UUID) stepwell.EnvironmentID {
			return stepwell.EnvironmentID{UUID: id.Bytes}
		}),
	}, nil
}

func fromSchedule(row pgsql.Schedule) stepwell.Schedule {
	return stepwell.Schedule{
		Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
		Function:    stepwell.FunctionID{UUID: row.FunctionID.Bytes}, Cron: row.Cron, NextAt: fromTime(row.NextAt),
	}
}

// SetSchedules implements store.Scheduler. The lock of the catalog's row keeps syncs out meanwhile.
func (s *Store) SetSchedules(ctx context.Context, set store.ScheduleSet) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	environment := pgUUID(set.Environment.UUID)
	put := pgsql.InsertSchedulesParams{EnvironmentID: environment}
	for _, schedule := range set.Schedules {
		put.FunctionIds = append(put.FunctionIds, pgUUID(schedule.Function.UUID))
		put.Crons = append(put.Crons, schedule.Cron)
		put.NextAt = append(put.NextAt, pgTime(schedule.NextAt))
	}
	err := s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := begin().send(ctx, conn); err != nil {
			return err
		}
		revision, err := pgsql.New(conn).LockCatalog(ctx, environment)
		if err != nil {
			return err
		}
		if set.Revision < revision {
			return fmt.Errorf("schedules of revision %d: %w", set.Revision, stepwell.ErrStale)
		}
		p := &pipeline{}
		q := pgsql.New(p)
		if err := q.DeleteSchedules(ctx, environment, put.FunctionIds, put.Crons); err != nil {
			return err
		}
		if err := q.InsertSchedules(ctx, put); err != nil {
			return err
		}
		if err := q.MarkScheduled(ctx, set.Revision, environment); err != nil {
			return err
		}
		p.commit()
		return p.send(ctx, conn)
	})
	if err != nil {
		return fmt.Errorf("set %d schedules: %w", len(set.Schedules), err)
	}
	return nil
}

// AdvanceSchedules implements store.Scheduler.
func (s *Store) AdvanceSchedules(ctx context.Context, advances []store.ScheduleAdvance) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var move pgsql.AdvanceSchedulesParams
	var end pgsql.EndSchedulesParams
	for _, advance := range advances {
		schedule := advance.Schedule
		environment, function := pgUUID(schedule.Environment.UUID), pgUUID(schedule.Function.UUID)
		if advance.Next.IsZero() {
			end.EnvironmentIds, end.FunctionIds = append(end.EnvironmentIds, environment), append(end.FunctionIds, function)
			end.Crons, end.DoneAt = append(end.Crons, schedule.Cron), append(end.DoneAt, pgTime(schedule.NextAt))
			continue
		}
		move.EnvironmentIds, move.FunctionIds = append(move.EnvironmentIds, environment), append(move.FunctionIds, function)
		move.Crons, move.DoneAt = append(move.Crons, schedule.Cron), append(move.DoneAt, pgTime(schedule.NextAt))
		move.NextAt = append(move.NextAt, pgTime(advance.Next))
	}
	p := &pipeline{}
	q := pgsql.New(p)
	if len(move.Crons) > 0 {
		if err := q.AdvanceSchedules(ctx, move); err != nil {
			return err
		}
	}
	if len(end.Crons) > 0 {
		if err := q.EndSchedules(ctx, end); err != nil {
			return err
		}
	}
	if err := p.send(ctx, s.writes); err != nil {
		return fmt.Errorf("advance %d schedules: %w", len(advances), classify(err))
	}
	return nil
}
