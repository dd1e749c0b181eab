package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// Run implements store.Reader.
func (s *Store) Run(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ReadTimeout)
	defer cancel()
	run := pgULID(id.ULID)
	rows, err := pgsql.New(s.reads).Runs(ctx, []pgtype.UUID{run}, run, run)
	if err != nil {
		return stepwell.Run{}, fmt.Errorf("read run: %w", classify(err))
	}
	if len(rows) == 0 || rows[0].EnvironmentID != pgUUID(environment.UUID) {
		return stepwell.Run{}, fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
	}
	return fromRun(rows[0])
}

// RunHistory implements store.Reader.
func (s *Store) RunHistory(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.RunHistory, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ReadTimeout)
	defer cancel()
	run := pgULID(id.ULID)
	var runs []pgsql.RunsRow
	var served catalogRows
	var events []pgsql.EventsRow
	var steps []pgsql.StepsOfRunRow
	var attempts []pgsql.Attempt
	p := &pipeline{}
	collectKeyed(p, &runs, pgsql.Runs, []pgtype.UUID{run})
	served.collect(p, []pgtype.UUID{run})
	collectEvents(p, &events, []pgtype.UUID{run})
	collect(p, &steps, pgsql.StepsOfRun, run)
	collect(p, &attempts, pgsql.AttemptsOfRun, run)
	if err := p.send(ctx, s.reads); err != nil {
		return stepwell.RunHistory{}, fmt.Errorf("read run: %w", classify(err))
	}
	events, err := missingEvents(ctx, s.reads, runs, events)
	if err != nil {
		return stepwell.RunHistory{}, err
	}
	states, err := assemble(runs, served, events, nil)
	if err != nil {
		return stepwell.RunHistory{}, err
	}
	state, known := states[id]
	if !known || state.Run.Environment != environment {
		return stepwell.RunHistory{}, fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
	}
	history := stepwell.RunHistory{Run: state.Run, Function: state.Function, App: state.App, Events: state.Events}
	for _, row := range steps {
		history.Steps = append(history.Steps, fromStep(row))
	}
	for _, row := range attempts {
		history.Attempts = append(history.Attempts, fromAttempt(row))
	}
	return history, nil
}

// Runs implements store.Reader.
func (s *Store) Runs(ctx context.Context, query store.RunQuery) ([]stepwell.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ReadTimeout)
	defer cancel()
	rows, err := s.listRuns(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", classify(err))
	}
	runs := make([]stepwell.Run, len(rows))
	for i, row := range rows {
		if runs[i], err = fromRun(row); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

func (s *Store) listRuns(ctx context.Context, query store.RunQuery) ([]pgsql.RunsRow, error) {
	q := pgsql.New(s.reads)
	before := last()
	if !query.Before.IsZero() {
		before = pgULID(query.Before.ULID)
	}
	statuses := make([]int16, len(query.Statuses))
	for i, status := range query.Statuses {
		statuses[i] = int16(status)
	}
	if !query.Event.IsZero() {
		return s.runsOfEvent(ctx, query)
	}
	if query.Function != (stepwell.FunctionID{}) {
		rows, err := q.ListRunsOfFunction(ctx, pgsql.ListRunsOfFunctionParams{
			EnvironmentID: pgUUID(query.Environment.UUID), FunctionID: pgUUID(query.Function.UUID), Before: before,
			ByStatus: len(statuses) > 0, Statuses: statuses, Most: int32(query.Limit),
		})
		return convertRows(rows, func(row pgsql.ListRunsOfFunctionRow) pgsql.RunsRow { return pgsql.RunsRow(row) }), err
	}
	rows, err := q.ListRuns(ctx, pgsql.ListRunsParams{
		EnvironmentID: pgUUID(query.Environment.UUID), Before: before,
		ByStatus: len(statuses) > 0, Statuses: statuses, Most: int32(query.Limit),
	})
	return convertRows(rows, func(row pgsql.ListRunsRow) pgsql.RunsRow { return pgsql.RunsRow(row) }), err
}

func convertRows[From, To any](rows []From, convert func(From) To) []To {
	converted := make([]To, len(rows))
	for i, row := range rows {
		converted[i] = convert(row)
	}
	return converted
}

// runsOfEvent are the few runs of one event, newest first.
func (s *Store) runsOfEvent(ctx context.Context, query store.RunQuery) ([]pgsql.RunsRow, error) {
	q := pgsql.New(s.reads)
	first, end := millisecond(query.Event.ULID)
	ids, err := q.RunsOfEvent(ctx, first, end, pgULID(query.Event.ULID))
	if err != nil {
		return nil, err
	}
	first, end = span(ids)
	rows, err := q.Runs(ctx, ids, first, end)
	if err != nil {
		return nil, err
	}
	return selectRuns(rows, query), nil
}

// Event implements store.Reader.
func (s *Store) Event(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.EventID,
) (stepwell.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ReadTimeout)
	defer cancel()
	row, err := pgsql.New(s.reads).GetEvent(ctx, pgULID(id.ULID), pgUUID(environment.UUID))
	if errors.Is(err, pgx.ErrNoRows) {
		return stepwell.Event{}, fmt.Errorf("event %s: %w", id, stepwell.ErrNotFound)
	}
	if err != nil {
		return stepwell.Event{}, fmt.Errorf("read event: %w", classify(err))
	}
	return fromEvent(row), nil
}

// Events implements store.Reader.
func (s *Store) Events(ctx context.Context, query store.EventQuery) ([]stepwell.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ReadTimeout)
	defer cancel()
	q, before := pgsql.New(s.reads), last()
	if !query.Before.IsZero() {
		before = pgULID(query.Before.ULID)
	}
	environment := pgUUID(query.Environment.UUID)
	if query.Name == "" {
		rows, err := q.ListEvents(ctx, environment, before, int32(query.Limit))
		if err != nil {
			return nil, fmt.Errorf("list events: %w", classify(err))
		}
		return convertRows(rows, func(row pgsql.ListEventsRow) stepwell.Event { return fromEvent(pgsql.GetEventRow(row)) }), nil
	}
	rows, err := q.ListEventsByName(ctx, pgsql.ListEventsByNameParams{
		EnvironmentID: environment, Name: query.Name, Before: before, Most: int32(query.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", classify(err))
	}
	return convertRows(rows, func(row pgsql.ListEventsByNameRow) stepwell.Event {
		return fromEvent(pgsql.GetEventRow(row))
	}), nil
}

// selectRuns is what a query selects of a few runs, newest first.
func selectRuns(rows []pgsql.RunsRow, query store.RunQuery) []pgsql.RunsRow {
	rows = slices.DeleteFunc(rows, func(row pgsql.RunsRow) bool {
		r := row
		return r.EnvironmentID != pgUUID(query.Environment.UUID) ||
			(query.Function != stepwell.FunctionID{} && r.FunctionID != pgUUID(query.Function.UUID)) ||
			(len(query.Statuses) > 0 && !slices.Contains(query.Statuses, stepwell.RunStatus(r.Status))) ||
			(!query.Before.IsZero() && bytes.Compare(r.ID.Bytes[:], query.Before.ULID[:]) >= 0)
	})
	slices.SortFunc(rows, func(a, b pgsql.RunsRow) int { return bytes.Compare(b.ID.Bytes[:], a.ID.Bytes[:]) })
	return rows[:min(len(rows), query.Limit)]
}
