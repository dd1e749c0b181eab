package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// Commit implements store.Committer. The batch is one transaction; if Postgres refuses it, halves are tried, so that
// what it refuses fails alone.
func (s *Store) Commit(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	results := make([]store.Committed, len(transitions))
	err := bisect(len(transitions), func(from, to int) error {
		err := s.commit(ctx, transitions[from:to], results[from:to])
		if err != nil && to-from == 1 && !stepwell.Retryable(err) {
			results[from] = store.Committed{Err: err}
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("commit %d transitions: %w", len(transitions), err)
	}
	return results, nil
}

// bisect does the work for all of n, and by halves if that fails for a reason that lies in some of it.
func bisect(n int, work func(from, to int) error) error {
	var try func(from, to int) error
	try = func(from, to int) error {
		err := work(from, to)
		if err == nil || to-from == 1 || stepwell.Retryable(err) || errors.Is(err, context.Canceled) {
			return err
		}
		middle := (from + to) / 2
		return errors.Join(try(from, middle), try(middle, to))
	}
	if n == 0 {
		return nil
	}
	return try(0, n)
}

func (s *Store) commit(ctx context.Context, transitions []stepwell.Transition, results []store.Committed) error {
	return s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		p := begin()
		if err := lockWaitNames(ctx, p, transitions); err != nil {
			return err
		}
		heads, err := lockHeads(ctx, conn, p, transitions)
		if err != nil {
			return err
		}
		for i, t := range transitions {
			results[i] = heads.apply(t)
		}
		p = &pipeline{}
		if err := heads.write(ctx, p); err != nil {
			return err
		}
		p.commit()
		if err := p.send(ctx, conn); err != nil {
			return err
		}
		if slices.Contains(heads.changes.waits.looksBack, true) {
			for i := range results { // it does no harm that a runner looks for nothing
				results[i].ForRunner = results[i].ForRunner || len(transitions[i].Opens) > 0
			}
		}
		return nil
	})
}

// heads are the runs of a batch of transitions, locked, and what applying the transitions changes.
type heads struct {
	runs map[stepwell.RunID]*head
	// order is that of locking, so that what is written is in order too.
	order    []stepwell.RunID
	recorded map[stepKey]bool
	spent    map[spentKey]bool
	listeners
	changes changes
}

// head is one locked run.
type head struct {
	run stepwell.Run
	// missing is why there is no head: the run has ended, or is unknown.
	missing error
	changed bool
	// timed says that it has a deadline, and place is the hash of the key of its place, if it has one.
	timed bool
	place []byte
}

type stepKey struct {
	run  stepwell.RunID
	step stepwell.StepID
}

// spentKey is an event that ended a wait of a run.
type spentKey struct {
	run   stepwell.RunID
	event stepwell.EventID
}

// lockHeads locks the runs of the transitions and loads what applying them needs. The pipeline is sent with it.
func lockHeads(
	ctx context.Context, conn sender, p *pipeline, transitions []stepwell.Transition,
) (*heads, error) {
	h := &heads{runs: map[stepwell.RunID]*head{}, recorded: map[stepKey]bool{}, spent: map[spentKey]bool{}}
	var runIDs, stepRuns, eventRuns, events []pgtype.UUID
	var steps []string
	for _, t := range withResumed(transitions) {
		if h.runs[t.Run] == nil {
			h.runs[t.Run] = &head{}
			runIDs = append(runIDs, pgULID(t.Run.ULID))
		}
		for _, step := range t.Records {
			stepRuns, steps = append(stepRuns, pgULID(t.Run.ULID)), append(steps, string(step.ID))
			if step.Event != (stepwell.EventID{}) {
				eventRuns, events = append(eventRuns, pgULID(t.Run.ULID)), append(events, pgULID(step.Event.ULID))
			}
		}
		for _, opening := range t.Opens {
			stepRuns, steps = append(stepRuns, pgULID(t.Run.ULID)), append(steps, string(opening.Step.ID))
		}
	}
	var locked []pgsql.LockHeadsRow
	var recorded []pgsql.RecordedStepsRow
	collect(p, &locked, pgsql.LockHeads, runIDs)
	if len(steps) > 0 {
		collect(p, &recorded, pgsql.RecordedSteps, stepRuns, steps)
	}
	var spent []pgsql.SpentEventsRow
	if len(events) > 0 {
		first, last := span(eventRuns)
		collect(p, &spent, pgsql.SpentEvents, eventRuns, first, last, events)
	}
	h.ask(p, transitions)
	if err := p.send(ctx, conn); err != nil {
		return nil, fmt.Errorf("lock runs: %w", err)
	}
	h.learn()
	for _, row := range locked {
		run, err := fromHead(row)
		if err != nil {
			return nil, err
		}
		*h.runs[run.ID] = head{run: run, timed: row.Timed.Bool, place: row.Place}
		h.order = append(h.order, run.ID)
	}
	for _, row := range recorded {
		h.recorded[stepKey{stepwell.RunID{ULID: row.RunID.Bytes}, stepwell.StepID(row.StepID)}] = true
	}
	for _, row := range spent {
		h.spent[spentKey{stepwell.RunID{ULID: row.RunID.Bytes}, stepwell.EventID{ULID: row.EventID.Bytes}}] = true
	}
	return h, h.explainMissing(ctx, conn)
}

// withResumed are the transitions and those of the runs that their ends resume.
func withResumed(transitions []stepwell.Transition) []stepwell.Transition {
	all := slices.Clip(transitions)
	for _, t := range transitions {
		if t.End != nil {
			for _, resume := range t.End.Resumes {
				all = append(all, resume.Transition(t.Environment, t.At))
			}
		}
	}
	return all
}

// explainMissing finds out of runs without a head whether they have ended or are unknown.
func (h *heads) explainMissing(ctx context.Context, conn sender) error {
	var missing []pgtype.UUID
	for id, head := range h.runs {
		if head.run.ID != id {
			head.missing = fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
			missing = append(missing, pgULID(id.ULID))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var known []pgsql.KnownRunsRow
	p := &pipeline{}
	collectKeyed(p, &known, pgsql.KnownRuns, missing)
	if err := p.send(ctx, conn); err != nil {
		return fmt.Errorf("look for runs: %w", err)
	}
	for _, row := range known {
		// Apply says what that means for the transition.
		h.runs[stepwell.RunID{ULID: row.ID.Bytes}].missing = nil
		h.runs[stepwell.RunID{ULID: row.ID.Bytes}].run = stepwell.Run{
			ID: stepwell.RunID{ULID: row.ID.Bytes}, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
			Status: stepwell.RunStatus(row.Status),
		}
	}
	return nil
}

// apply applies a transition to its run.
func (h *heads) apply(t stepwell.Transition) store.Committed {
	head := h.runs[t.Run]
	if head.missing != nil {
		return store.Committed{Err: head.missing}
	}
	prior := head.run.Progress.StepCount
	applied, err := store.Apply(&head.run, store.Known{
		Recorded: func(id stepwell.StepID) bool { return h.recorded[stepKey{t.Run, id}] },
		Spent:    func(id stepwell.EventID) bool { return h.spent[spentKey{t.Run, id}] },
		Heard:    h.isHeard,
		Taken:    h.taken,
	}, t)
	if err != nil {
		return store.Committed{Err: err}
	}
	head.changed = true
	for _, step := range applied.Records {
		h.recorded[stepKey{t.Run, step.ID}] = true
		h.spent[spentKey{t.Run, step.Event}] = step.Event != (stepwell.EventID{})
	}
	h.note(applied.Opens)
	h.changes.add(t, applied)
	committed := store.Committed{
		Opened: applied.Opened, Dropped: applied.Dropped, PriorStepCount: prior, ForRunner: len(applied.Emits) > 0,
	}
	if t.End != nil {
		h.resume(t, &committed)
	}
	return committed
}

// resume resumes the runs that wait for one that ended. Those that have gone on are passed over.
func (h *heads) resume(t stepwell.Transition, committed *store.Committed) {
	for _, resume := range t.End.Resumes {
		resumed := h.apply(resume.Transition(t.Environment, t.At))
		if resumed.Err != nil {
			continue
		}
		committed.Opened = append(committed.Opened, resumed.Opened...)
		committed.Dropped = append(append(committed.Dropped, resume.Item), resumed.Dropped...)
	}
}

// write queues all that changed.
func (h *heads) write(ctx context.Context, p *pipeline) error {
	var live []stepwell.Run
	var ended []*head
	for _, id := range h.order {
		switch head := h.runs[id]; {
		case !head.changed:
		case head.run.Status.Ended():
			ended = append(ended, head)
		default:
			live = append(live, head.run)
		}
	}
	q := pgsql.New(p)
	if err := updateHeads(ctx, q, live); err != nil {
		return err
	}
	if err := endRuns(ctx, q, ended); err != nil {
		return err
	}
	return h.changes.write(ctx, p)
}

// Claim implements store.Committer.
func (s *Store) Claim(ctx context.Context, id stepwell.ItemID, generation int, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	err := s.change(ctx, []stepwell.ItemID{id}, func(head *head) error {
		if head.missing != nil {
			return head.missing
		}
		head.changed = true
		return store.Claim(&head.run, id, generation, began)
	})
	if err != nil {
		return fmt.Errorf("claim item %s: %w", id, err)
	}
	return nil
}

// Unpark implements store.Backlog.
func (s *Store) Unpark(ctx context.Context, items []stepwell.ItemID) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	ofRun := map[stepwell.RunID][]stepwell.ItemID{}
	for _, id := range items {
		ofRun[id.Run()] = append(ofRun[id.Run()], id)
	}
	err := s.change(ctx, items, func(head *head) error {
		for _, id := range ofRun[head.run.ID] {
			head.changed = store.Unpark(&head.run, id) || head.changed
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("unpark %d items: %w", len(items), err)
	}
	return nil
}

// change changes the runs of items, in one transaction.
func (s *Store) change(ctx context.Context, items []stepwell.ItemID, change func(*head) error) error {
	locks := make([]stepwell.Transition, len(items))
	for i, id := range items {
		locks[i].Run = id.Run()
	}
	return s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		heads, err := lockHeads(ctx, conn, begin(), locks)
		if err != nil {
			return err
		}
		for _, head := range heads.runs {
			if err := change(head); err != nil {
				return err
			}
		}
		p := &pipeline{}
		if err := heads.write(ctx, p); err != nil {
			return err
		}
		p.commit()
		return p.send(ctx, conn)
	})
}
