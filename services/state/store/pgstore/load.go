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

// LoadRuns implements store.Committer.
func (s *Store) LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var runs []pgsql.RunsRow
	var served catalogRows
	var steps []pgsql.RecordedStepsOfRunsRow
	runIDs := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		runIDs[i] = pgULID(id.ULID)
	}
	p := &pipeline{}
	// Heads first: a step that is recorded meanwhile is then there although its item still seems open, never the reverse.
	collect(p, &runs, pgsql.Runs, runIDs)
	served.collect(p, runIDs)
	collect(p, &steps, pgsql.RecordedStepsOfRuns, runIDs)
	if err := p.send(ctx, s.writes); err != nil {
		return nil, fmt.Errorf("load runs: %w", classify(err))
	}
	events, err := eventsOf(ctx, s.writes, runs)
	if err != nil {
		return nil, err
	}
	states, err := assemble(runs, served, events, steps)
	if err != nil {
		return nil, err
	}
	loaded := make([]store.Loaded, len(ids))
	for i, id := range ids {
		state, known := states[id]
		if !known {
			loaded[i].Err = fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
		}
		loaded[i].State = state
	}
	return loaded, nil
}

// eventsOf reads the runs' events. It is a round trip of its own because Postgres looks only into the days of the ids
// that it is given, but into all days for those that it finds itself.
func eventsOf(ctx context.Context, from *pgxpool.Pool, runs []pgsql.RunsRow) ([]pgsql.EventsRow, error) {
	var ids []pgtype.UUID
	for _, run := range runs {
		ids = append(ids, run.EventIds...)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	events, err := pgsql.New(from).Events(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read events of runs: %w", classify(err))
	}
	return events, nil
}

// catalogRows are the functions of some runs, and their apps.
type catalogRows struct {
	functions []pgsql.Function
	apps      []pgsql.App
}

func (c *catalogRows) collect(p *pipeline, runIDs []pgtype.UUID) {
	collect(p, &c.functions, pgsql.FunctionsOfRuns, runIDs)
	collect(p, &c.apps, pgsql.AppsOfRuns, runIDs)
}

func assemble(
	runs []pgsql.RunsRow, served catalogRows, events []pgsql.EventsRow, steps []pgsql.RecordedStepsOfRunsRow,
) (map[stepwell.RunID]stepwell.RunState, error) {
	byID := map[stepwell.EventID]stepwell.Event{}
	for _, row := range events {
		event := fromEvent(pgsql.GetEventRow(row))
		byID[event.ID] = event
	}
	apps := map[stepwell.AppID]stepwell.App{}
	for _, row := range served.apps {
		app := fromApp(row)
		apps[app.ID] = app
	}
	functions := map[stepwell.FunctionID]stepwell.Function{}
	for _, row := range served.functions {
		function, err := fromFunction(row)
		if err != nil {
			return nil, err
		}
		functions[function.ID] = function
	}
	stepsOf := map[stepwell.RunID][]stepwell.Step{}
	for _, row := range steps {
		run := stepwell.RunID{ULID: row.RunID.Bytes}
		stepsOf[run] = append(stepsOf[run], fromStep(pgsql.StepsOfRunRow(row)))
	}
	states := make(map[stepwell.RunID]stepwell.RunState, len(runs))
	for _, row := range runs {
		run, err := fromRun(row)
		if err != nil {
			return nil, err
		}
		function := functions[run.Function]
		state := stepwell.RunState{Run: run, Function: function, App: apps[function.App], Steps: stepsOf[run.ID]}
		for _, id := range run.Events {
			state.Events = append(state.Events, byID[id])
		}
		states[run.ID] = state
	}
	return states, nil
}
