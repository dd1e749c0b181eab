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
	var events []pgsql.EventsRow
	var steps []pgsql.RecordedStepsOfRunsRow
	runIDs := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		runIDs[i] = pgULID(id.ULID)
	}
	p := &pipeline{}
	// Heads first: a step that is recorded meanwhile is then there although its item still seems open, never the reverse.
	collectKeyed(p, &runs, pgsql.Runs, runIDs)
	served.collect(p, runIDs)
	collectEvents(p, &events, runIDs)
	collectKeyed(p, &steps, pgsql.RecordedStepsOfRuns, runIDs)
	if err := p.send(ctx, s.writes); err != nil {
		return nil, fmt.Errorf("load runs: %w", classify(err))
	}
	events, err := missingEvents(ctx, s.writes, runs, events)
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

// collectEvents queues reading the events of runs, as far as they are of the time of the runs: nearly all are.
func collectEvents(p *pipeline, events *[]pgsql.EventsRow, runIDs []pgtype.UUID) {
	first, last := span(runIDs)
	firstEvent, _ := millisecond(first.Bytes)
	_, lastEvent := millisecond(last.Bytes)
	collect(p, events, pgsql.EventsOfRuns, firstEvent, lastEvent, runIDs, first, last)
}

// missingEvents reads the runs' events that are of another time: of a batch, or found again by their key.
func missingEvents(
	ctx context.Context, from *pgxpool.Pool, runs []pgsql.RunsRow, events []pgsql.EventsRow,
) ([]pgsql.EventsRow, error) {
	known := make(map[pgtype.UUID]bool, len(events))
	for _, event := range events {
		known[event.ID] = true
	}
	var missing []pgtype.UUID
	for _, run := range runs {
		for _, id := range run.EventIds {
			if !known[id] {
				known[id], missing = true, append(missing, id)
			}
		}
	}
	if len(missing) == 0 {
		return events, nil
	}
	first, last := span(missing)
	more, err := pgsql.New(from).Events(ctx, missing, first, last)
	if err != nil {
		return nil, fmt.Errorf("read events of runs: %w", classify(err))
	}
	return append(events, more...), nil
}

// catalogRows are the functions of some runs, and their apps.
type catalogRows struct {
	functions []pgsql.Function
	apps      []pgsql.App
}

func (c *catalogRows) collect(p *pipeline, runIDs []pgtype.UUID) {
	collectKeyed(p, &c.functions, pgsql.FunctionsOfRuns, runIDs)
	collectKeyed(p, &c.apps, pgsql.AppsOfRuns, runIDs)
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
	recorded := map[stepwell.RunID]*stepwell.RunState{}
	for _, row := range steps {
		id := stepwell.RunID{ULID: row.RunID.Bytes}
		if recorded[id] == nil {
			recorded[id] = &stepwell.RunState{}
		}
		recorded[id].Record(fromStep(pgsql.StepsOfRunRow(row)))
	}
	states := make(map[stepwell.RunID]stepwell.RunState, len(runs))
	for _, row := range runs {
		run, err := fromRun(row)
		if err != nil {
			return nil, err
		}
		function := functions[run.Function]
		var state stepwell.RunState
		if known := recorded[run.ID]; known != nil {
			state = *known
		}
		state.Run, state.Function, state.App = run, function, apps[function.App]
		for _, id := range run.Events {
			state.Events = append(state.Events, byID[id])
		}
		states[run.ID] = state
	}
	return states, nil
}
