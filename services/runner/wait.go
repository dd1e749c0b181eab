package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// waitsPerPage bounds the waits that are looked at together: their runs are loaded.
const waitsPerPage = 250

// candidate is a wait and the events that may end it, oldest first.
type candidate struct {
	wait   stepwell.Wait
	events []stepwell.Event
}

// decoded are the variables of the arriving events of one page, each made when the first expression asks for it.
type decoded map[stepwell.EventID]map[string]any

func (d decoded) variables(event stepwell.Event) map[string]any {
	known, ok := d[event.ID]
	if !ok {
		known = event.Variables()
		d[event.ID] = known
	}
	return known
}

// matchWaits resumes the runs that wait for the events, and says that the events are routed (I15). One that fails keeps
// no other from it.
func (s *Service) matchWaits(ctx context.Context, events []stepwell.Event) (problems error) {
	if len(events) > 0 {
		inside, span := s.tracer.Start(ctx, spanMatchWaits, trace.SpanKindInternal)
		ctx = inside
		defer func() { span.End(problems) }()
	}
	var ids []stepwell.EventID
	for _, event := range events {
		began := time.Now()
		err := s.matchWaitsOf(ctx, event)
		s.metrics.waitsMatch.Record(ctx, time.Since(began), telemetry.Labels{})
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("event %s: %w", event.ID, err))
			continue
		}
		ids = append(ids, event.ID)
	}
	for page := range slices.Chunk(ids, store.PageMax) {
		if err := s.deps.State.Routed(ctx, page); err != nil {
			return errors.Join(problems, fmt.Errorf("end routing: %w", err))
		}
	}
	return problems
}

func (s *Service) matchWaitsOf(ctx context.Context, event stepwell.Event) error {
	for cursor := ""; ; {
		query := store.WaitQuery{Event: event, Cursor: cursor, Limit: waitsPerPage}
		waits, next, err := s.deps.State.Waits(ctx, query)
		if err != nil {
			return fmt.Errorf("find waits: %w", err)
		}
		candidates := make([]candidate, len(waits))
		for j, w := range waits {
			candidates[j] = candidate{w, []stepwell.Event{event}}
		}
		if _, err := s.resume(ctx, candidates); err != nil {
			return err
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// lookBack resumes the runs whose event came before they began to wait for it.
func (s *Service) lookBack(ctx context.Context) error {
	for {
		backs, err := s.deps.State.LookBacks(ctx, waitsPerPage)
		if err != nil {
			return fmt.Errorf("find waits to look back for: %w", err)
		}
		if len(backs) == 0 {
			return nil
		}
		candidates := make([]candidate, len(backs))
		for i, back := range backs {
			candidates[i] = candidate{back.Wait, back.Events}
		}
		matched, err := s.resume(ctx, candidates)
		if err != nil {
			return err
		}
		var looked []stepwell.Wait
		for _, back := range backs {
			if !matched[back.Wait.Item.ID] {
				looked = append(looked, afterLook(back))
			}
		}
		if err := s.deps.State.LookedBack(ctx, looked); err != nil {
			return fmt.Errorf("end look-backs: %w", err)
		}
	}
}

// afterLook is the wait with what is left to look at: what came after its events, if there may be more.
func afterLook(back store.LookBack) stepwell.Wait {
	w, since := back.Wait, back.Wait.Since
	w.Since = time.Time{}
	if n := len(back.Events); back.More && n > 0 {
		w.Since = back.Events[n-1].ID.Timestamp()
		if !w.Since.After(since) {
			w.Since = since.Add(time.Millisecond) // more events in one millisecond than are looked at
		}
	}
	return w
}

// resume ends each wait by the first of its events that fits, and returns which waits have one. A wait that somebody else
// ended is passed over, and so is one whose event has ended another wait of the run meanwhile: if it is to look back, it
// still is.
func (s *Service) resume(ctx context.Context, candidates []candidate) (map[stepwell.ItemID]bool, error) {
	if len(candidates) == 0 {
		return nil, nil
	}
	runs := make([]stepwell.RunID, len(candidates))
	for i, c := range candidates {
		runs[i] = c.wait.Run
	}
	loaded, err := s.deps.State.LoadRuns(ctx, runs)
	if err != nil {
		return nil, fmt.Errorf("load waiting runs: %w", err)
	}
	now, seen := time.Now(), decoded{}
	var matches []match
	matched := map[stepwell.ItemID]bool{}
	for i, c := range candidates {
		if loaded[i].Err != nil {
			continue // it is gone
		}
		if m, ok := s.match(ctx, loaded[i].State, c, seen, now); ok {
			m.run = runtelemetry.RunOf(loaded[i].State)
			m.run.Caused = m.event
			matches, matched[m.item] = append(matches, m), true
		}
	}
	_, err = s.commit(ctx, now, matches)
	return matched, err
}

// match is what ends a wait, or a run.
type match struct {
	item stepwell.ItemID
	// cancels is the run that is cancelled; nil if one goes on, as resumes says.
	cancels *stepwell.RunState
	resumes stepwell.Transition
	// run is what is known of the run whose wait it is, and event the span of what ends it.
	run   runtelemetry.Run
	event stepwell.Trace
}

func (m match) decide(now time.Time, heard engine.Heard) stepwell.Transition {
	if m.cancels != nil {
		return engine.Cancel(*m.cancels, now, heard)
	}
	return m.resumes
}

// match looks for the first fitting event.
func (s *Service) match(
	ctx context.Context, state stepwell.RunState, c candidate, seen decoded, now time.Time,
) (match, bool) {
	trigger := sync.OnceValue(func() map[string]any { return state.Events[0].Variables() })
	for _, event := range c.events {
		fits, err := s.fits(c.wait, trigger, event, seen, now)
		if err != nil {
			s.deps.Log.DebugContext(ctx, "wait did not match", slog.String("run_id", c.wait.Run.String()),
				slog.String("event_id", event.ID.String()), slog.String("error", err.Error()))
		}
		if !fits {
			continue
		}
		if m, ok := ends(state, c.wait, event, now); ok {
			m.event = event.Trace
			return m, true
		}
	}
	return match{}, false
}

// ends is what a fitting event ends; ok is false if it may not.
func ends(state stepwell.RunState, wait stepwell.Wait, event stepwell.Event, now time.Time) (_ match, ok bool) {
	m := match{item: wait.Item.ID}
	if wait.Kind == stepwell.WaitCancel {
		m.cancels = &state
		return m, engine.Cancels(state, wait, event)
	}
	m.resumes, ok = engine.Resume(state, wait, event, event.AppendJSON(nil), now)
	return m, ok
}

// fits evaluates a wait's expression.
func (s *Service) fits(
	wait stepwell.Wait, trigger func() map[string]any, event stepwell.Event, seen decoded, now time.Time,
) (bool, error) {
	if wait.Expression == "" {
		return true, nil
	}
	program, err := s.expressions.OfWait(wait)
	if err != nil {
		return false, err
	}
	return program.Match(expr.Vars{Event: trigger(), Async: seen.variables(event), Now: now})
}

// endsTriesMax bounds how often the end of a run is decided that was decided of an older state of it.
const endsTriesMax = 5

// commit commits what ends waits, tells the queue, and returns which waits ended.
func (s *Service) commit(
	ctx context.Context, now time.Time, matches []match,
) (map[stepwell.ItemID]bool, error) {
	ended := map[stepwell.ItemID]bool{}
	var heard engine.Heard
	for try := 1; len(matches) > 0; try++ {
		if try > endsTriesMax {
			return ended, fmt.Errorf("end %d runs: they change too fast: %w", len(matches), stepwell.ErrUnavailable)
		}
		stale, err := s.commitOnce(ctx, now, matches, heard, ended)
		if err != nil {
			return nil, err
		}
		if matches, err = s.reload(ctx, stale); err != nil {
			return nil, err
		}
		heard = engine.AllHeard()
	}
	return ended, nil
}

// commitOnce adds to ended which waits ended, and returns what is to be decided again.
func (s *Service) commitOnce(
	ctx context.Context, now time.Time, matches []match, heard engine.Heard, ended map[stepwell.ItemID]bool,
) (stale []match, _ error) {
	transitions := make([]stepwell.Transition, len(matches))
	for i, m := range matches {
		transitions[i] = m.decide(now, heard)
		transitions[i].Trace = telemetry.KeptTraceOf(ctx)
	}
	results, err := s.deps.State.Commit(ctx, transitions)
	if err != nil {
		return nil, fmt.Errorf("end %d waits: %w", len(transitions), err)
	}
	var opened []stepwell.Item
	var dropped []stepwell.ItemID
	for i, committed := range results {
		switch {
		case errors.Is(committed.Err, stepwell.ErrStale):
			stale = append(stale, matches[i])
			continue
		case committed.Err != nil:
			continue // somebody else was first
		}
		ended[matches[i].item] = true
		s.runs.Committed(ctx, matches[i].run, transitions[i])
		opened = append(opened, committed.Opened...)
		dropped = append(dropped, committed.Dropped...)
		if settled := transitions[i].Settles; settled != "" {
			dropped = append(dropped, settled)
		}
		if committed.ForRunner {
			s.nudge()
		}
	}
	s.tellQueue(ctx, now, opened, dropped)
	return stale, nil
}

// reload returns the matches with the runs that they end as they are now.
func (s *Service) reload(ctx context.Context, stale []match) ([]match, error) {
	if len(stale) == 0 {
		return nil, nil
	}
	runs := make([]stepwell.RunID, len(stale))
	for i, m := range stale {
		runs[i] = m.cancels.Run.ID
	}
	loaded, err := s.deps.State.LoadRuns(ctx, runs)
	if err != nil {
		return nil, fmt.Errorf("load runs to be ended: %w", err)
	}
	var fresh []match
	for i, m := range stale {
		if loaded[i].Err == nil { // else it is gone
			m.cancels = &loaded[i].State
			fresh = append(fresh, m)
		}
	}
	return fresh, nil
}
