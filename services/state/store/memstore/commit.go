package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Commit implements store.Committer.
func (s *Store) Commit(_ context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]store.Committed, len(transitions))
	for i, t := range transitions {
		results[i] = s.commit(t)
	}
	s.evict()
	return results, nil
}

func (s *Store) commit(t stepwell.Transition) store.Committed {
	record, known := s.runs[t.Run]
	if !known {
		return store.Committed{Err: fmt.Errorf("run %s: %w", t.Run, stepwell.ErrNotFound)}
	}
	run := copyRun(record.run)
	applied, err := store.Apply(&run, store.Known{
		Recorded: record.isRecorded, Spent: record.spent, Heard: s.heard, Taken: s.taken,
	}, t)
	if err != nil {
		return store.Committed{Err: err}
	}
	committed := store.Committed{
		Opened: applied.Opened, Dropped: applied.Dropped, PriorStepCount: record.run.Progress.StepCount,
	}
	record.run = run
	for _, opening := range applied.Opens {
		record.put(opening.Step)
		if opening.Wait != nil {
			committed.ForRunner = s.register(*opening.Wait) || committed.ForRunner
		}
	}
	for _, event := range applied.Emits {
		s.store(event)
		committed.ForRunner = true
	}
	for _, step := range applied.Records {
		record.put(step)
		record.recorded = append(record.recorded, record.stepAt[step.ID])
	}
	s.keepStart(applied.Begins)
	s.unregister(t.Settles)
	for _, id := range applied.Dropped {
		s.unregister(id)
	}
	if t.Attempt != nil {
		record.attempts = append(record.attempts, *t.Attempt)
	}
	if run.Status.Ended() {
		delete(s.deadlines, run.ID)
		if record.place != nil {
			delete(s.places, *record.place)
		}
		for _, id := range record.cancelledBy {
			s.unregister(id)
		}
		s.ended(record)
		for _, resume := range t.End.Resumes {
			resumed := s.commit(resume.Transition(run.Environment, t.At))
			if resumed.Err != nil {
				continue // it has gone on
			}
			committed.Opened = append(committed.Opened, resumed.Opened...)
			committed.Dropped = append(append(committed.Dropped, resume.Item), resumed.Dropped...)
		}
	}
	return committed
}

// put adds the step, or replaces the open one by what it became.
func (r *runRecord) put(step stepwell.Step) {
	i, known := r.stepAt[step.ID]
	if !known {
		r.stepAt[step.ID] = len(r.steps)
		r.steps = append(r.steps, step)
		return
	}
	open := r.steps[i]
	step.Name, step.Kind, step.OpenedAt, step.DueAt = open.Name, open.Kind, open.OpenedAt, open.DueAt
	if !open.StartedAt.IsZero() {
		step.StartedAt = open.StartedAt
	}
	r.steps[i] = step
}

// Claim implements store.Committer.
func (s *Store) Claim(_ context.Context, id stepwell.ItemID, generation int, began time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, known := s.runs[id.Run()]
	if !known {
		return fmt.Errorf("run of item %s: %w", id, stepwell.ErrNotFound)
	}
	return store.Claim(&record.run, id, generation, began)
}

// LoadRuns implements store.Committer.
func (s *Store) LoadRuns(_ context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	loaded := make([]store.Loaded, len(ids))
	for i, id := range ids {
		if record, known := s.runs[id]; known {
			loaded[i].State = s.state(record)
		} else {
			loaded[i].Err = fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
		}
	}
	return loaded, nil
}

func (s *Store) state(record *runRecord) stepwell.RunState {
	state := stepwell.RunState{Run: copyRun(record.run), Events: s.eventsOf(record.run)}
	state.Function, state.App = s.catalog(record.run.Environment).function(record.run.Function)
	state.Steps = make([]stepwell.Step, 0, len(record.recorded))
	for _, at := range record.recorded {
		state.Record(record.steps[at])
	}
	return state
}

func (s *Store) eventsOf(run stepwell.Run) []stepwell.Event {
	events := make([]stepwell.Event, len(run.Events))
	for i, id := range run.Events {
		events[i] = s.events[id].event
	}
	return events
}
