package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Run implements store.Reader.
func (s *Store) Run(
	_ context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, err := s.runIn(environment, id)
	if err != nil {
		return stepwell.Run{}, err
	}
	return copyRun(record.run), nil
}

// RunHistory implements store.Reader.
func (s *Store) RunHistory(
	_ context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.RunHistory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, err := s.runIn(environment, id)
	if err != nil {
		return stepwell.RunHistory{}, err
	}
	history := stepwell.RunHistory{
		Run:      copyRun(record.run),
		Events:   s.eventsOf(record.run),
		Steps:    slices.Clone(record.steps),
		Attempts: slices.Clone(record.attempts),
	}
	history.Function, history.App = s.catalog(environment).function(record.run.Function)
	return history, nil
}

func (s *Store) runIn(environment stepwell.EnvironmentID, id stepwell.RunID) (*runRecord, error) {
	record, known := s.runs[id]
	if !known || record.run.Environment != environment {
		return nil, fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
	}
	return record, nil
}

// Runs implements store.Reader.
func (s *Store) Runs(_ context.Context, query store.RunQuery) ([]stepwell.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.runIDs
	if query.Event != (stepwell.EventID{}) {
		ids = nil
		if event, known := s.events[query.Event]; known {
			ids = slices.SortedFunc(slices.Values(event.runs), compareRunIDs)
		}
	}
	var runs []stepwell.Run
	for _, id := range slices.Backward(ids) {
		if len(runs) == query.Limit {
			break
		}
		if record, kept := s.runs[id]; kept && selects(query, record.run) {
			runs = append(runs, copyRun(record.run))
		}
	}
	return runs, nil
}

func selects(query store.RunQuery, run stepwell.Run) bool {
	return run.Environment == query.Environment &&
		(query.Function == stepwell.FunctionID{} || run.Function == query.Function) &&
		(len(query.Statuses) == 0 || slices.Contains(query.Statuses, run.Status)) &&
		(query.Before == stepwell.RunID{} || compareRunIDs(run.ID, query.Before) < 0)
}

// Event implements store.Reader.
func (s *Store) Event(
	_ context.Context, environment stepwell.EnvironmentID, id stepwell.EventID,
) (stepwell.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, known := s.events[id]
	if !known || record.event.Environment != environment {
		return stepwell.Event{}, fmt.Errorf("event %s: %w", id, stepwell.ErrNotFound)
	}
	return record.event, nil
}

// Events implements store.Reader.
func (s *Store) Events(_ context.Context, query store.EventQuery) ([]stepwell.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []stepwell.Event
	for _, id := range slices.Backward(s.eventIDs) {
		if len(events) == query.Limit {
			break
		}
		event := s.events[id].event
		if event.Environment == query.Environment &&
			(query.Name == "" || event.Name == query.Name) &&
			(query.Before == stepwell.EventID{} || compareEventIDs(id, query.Before) < 0) {
			events = append(events, event)
		}
	}
	return events, nil
}
