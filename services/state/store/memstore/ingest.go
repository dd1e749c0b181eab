package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Ingest implements store.Ingester.
func (s *Store) Ingest(_ context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]store.Ingested, len(requests))
	for i, request := range requests {
		results[i] = s.ingest(request)
	}
	s.evict()
	return results, nil
}

func (s *Store) ingest(request store.Ingest) store.Ingested {
	if !request.Unrouted && request.Revision < s.catalog(request.Environment).revision {
		return store.Ingested{Err: fmt.Errorf("decided by revision %d: %w", request.Revision, stepwell.ErrStale)}
	}
	if live := len(s.runs) - len(s.evictable.runs) + len(s.buffers); live >= s.config.LiveRunsMax {
		return store.Ingested{Err: fmt.Errorf("%d runs are live, the most this store holds: %w",
			live, stepwell.ErrUnavailable)}
	}
	if s.outdated(request) {
		return store.Ingested{Err: fmt.Errorf("decided of other runs that had places: %w", stepwell.ErrStale)}
	}
	s.forgetStarts(request)
	var result store.Ingested
	for _, in := range request.Events {
		result.Runs = append(result.Runs, s.ingestEvent(request, in, &result))
	}
	for _, fire := range request.Fires {
		result.Fired = append(result.Fired, s.fire(request, fire, &result))
	}
	return result
}

func (s *Store) ingestEvent(request store.Ingest, in store.IngestEvent, result *store.Ingested) []store.StartedRun {
	if request.Unrouted {
		s.store(in.Event)
		return nil
	}
	record, known := s.events[in.Event.ID]
	if !known {
		record = s.add(in.Event)
	}
	first := !record.routed
	switch {
	case first && s.awaited(in.Event):
		if !known {
			s.unrouted = append(s.unrouted, in.Event.ID)
		}
		result.Awaited = append(result.Awaited, in.Event.ID)
	case first:
		s.route(record)
	}
	runs := make([]store.StartedRun, len(in.Starts))
	transitions := slices.Clone(in.Transitions)
	for i, start := range in.Starts {
		var lost *bufferRecord
		runs[i], lost = s.startRun(request, start, first, result)
		if lost != nil {
			if t, waiting := lost.Displace(request.Now); waiting {
				transitions = append(transitions, t)
			}
		}
		if t, refused := store.Refusal(start, runs[i], request.Now); refused {
			transitions = append(transitions, t)
		}
		if !first {
			continue
		}
		s.list(record, runs[i])
		if runs[i].Started() {
			s.opened(start, result)
		}
	}
	if first {
		for _, t := range transitions {
			_ = s.apply(t, result) // one that conflicts is dropped: somebody was first
		}
		if record.routed {
			s.idle(record)
		}
	}
	return runs
}

// list has an event list the run that a start of it led to, unless it does since it was routed before.
func (s *Store) list(record *eventRecord, led store.StartedRun) {
	if slices.Contains(record.runs, led.ID) {
		return
	}
	if waiting := s.buffers[led.ID]; waiting != nil {
		waiting.events = append(waiting.events, record.event.ID)
	} else if run, kept := s.runs[led.ID]; kept {
		run.events = append(run.events, record.event.ID)
		if led.Skip != stepwell.SkipNone {
			s.ended(run)
		}
	} else {
		return
	}
	record.runs = append(record.runs, led.ID)
}

// opened takes note of all that a new run comes with.
func (s *Store) opened(start stepwell.RunStart, result *store.Ingested) {
	run := s.runs[start.Run.ID]
	result.Opened = append(result.Opened, run.run.Progress.Open...)
	if !start.Deadline.IsZero() {
		s.deadlines[start.Run.ID] = start.Deadline
	}
	for _, w := range start.Waits {
		run.cancelledBy = append(run.cancelledBy, w.Item.ID)
		result.ForRunner = s.register(w) || result.ForRunner
	}
}

// apply applies what changes in another run.
func (s *Store) apply(t stepwell.Transition, result *store.Ingested) error {
	committed := s.commit(t)
	if committed.Err != nil {
		return committed.Err
	}
	result.Add(t, committed)
	return nil
}

// add keeps a new event.
func (s *Store) add(event stepwell.Event) *eventRecord {
	record := &eventRecord{event: event}
	s.events[event.ID] = record
	s.eventIDs = insertID(s.eventIDs, event.ID, compareEventIDs)
	s.evictable.bytes += record.bytes()
	return record
}

// store keeps an event for a runner to route, unless it is known.
func (s *Store) store(event stepwell.Event) {
	if _, known := s.events[event.ID]; !known {
		s.add(event)
		s.unrouted = append(s.unrouted, event.ID)
	}
}

// route says that all that the event does was decided.
func (s *Store) route(record *eventRecord) {
	record.routed = true
	s.unrouted = slices.DeleteFunc(s.unrouted, func(id stepwell.EventID) bool { return id == record.event.ID })
}

// startRun starts the run, or has it wait, unless its key was used within the dedupe window (I3) or its event may not start
// anything. lost is the buffer of which no run will start because of that.
func (s *Store) startRun(
	request store.Ingest, in stepwell.RunStart, allowed bool, result *store.Ingested,
) (led store.StartedRun, lost *bufferRecord) {
	keys := []startKey{{in.Run.Function, false, in.Key}}
	if in.Once != "" {
		keys = append(keys, startKey{in.Run.Function, true, in.Once})
	}
	var before *start
	for _, key := range keys {
		used, known := s.starts[key]
		switch {
		case known && before == nil:
			before = &used
		case !known && allowed:
			s.starts[key] = start{run: in.Run.ID, at: request.Now}
			s.startKeys = append(s.startKeys, key)
		}
	}
	if before != nil {
		return store.StartedRun{ID: before.run, Existed: true}, nil
	}
	if _, kept := s.runs[in.Run.ID]; kept {
		return store.StartedRun{ID: in.Run.ID, Existed: true}, nil
	}
	if !allowed {
		return store.StartedRun{Existed: true}, nil
	}
	skip := in.Run.Skip
	if skip == stepwell.SkipNone && !s.rates.take(in, in.Run.CreatedAt) {
		skip = stepwell.SkipRateLimited
	}
	if skip == stepwell.SkipNone && in.Buffering != nil {
		led, lost = s.buffer(in, result)
		for _, key := range keys {
			s.starts[key] = start{run: led.ID, at: request.Now}
		}
		return led, lost
	}
	_, led = s.begin(request, in, skip, result)
	return led, nil
}

// begin keeps the run of a start, which takes its place, or is skipped.
func (s *Store) begin(
	request store.Ingest, in stepwell.RunStart, skip stepwell.SkipReason, result *store.Ingested,
) (*runRecord, store.StartedRun) {
	run := in.Run
	if skip == stepwell.SkipNone {
		if run.Existing = s.takePlace(request, in, result); run.Existing != (stepwell.RunID{}) {
			skip = stepwell.SkipSingleton
		}
	}
	if skip != stepwell.SkipNone {
		run = run.Skipped(skip)
	}
	record := s.keep(run)
	if skip == stepwell.SkipNone && in.Place != nil {
		record.place = new(in.PlaceKey())
	}
	return record, store.StartedRun{ID: run.ID, Skip: skip}
}

// keep keeps a new run.
func (s *Store) keep(run stepwell.Run) *runRecord {
	record := &runRecord{run: copyRun(run), stepAt: map[stepwell.StepID]int{}}
	s.runs[run.ID] = record
	s.runIDs = insertID(s.runIDs, run.ID, compareRunIDs)
	return record
}

// forgetStarts drops the dedupe keys that are older than the window, and the oldest beyond the bound.
func (s *Store) forgetStarts(request store.Ingest) {
	excess := len(s.startKeys) - startKeysPerRun*s.config.RunsMax
	n := 0
	for _, key := range s.startKeys {
		if n >= excess && request.Now.Sub(s.starts[key].at) < stepwell.EventDedupeWindow {
			break
		}
		delete(s.starts, key)
		n++
	}
	s.startKeys = slices.Delete(s.startKeys, 0, n)
}

func compareEventIDs(a, b stepwell.EventID) int { return a.Compare(b.ULID) }

func compareRunIDs(a, b stepwell.RunID) int { return a.Compare(b.ULID) }

// insertID keeps ids sorted; most ids are new and go to the end.
func insertID[ID any](ids []ID, id ID, compare func(a, b ID) int) []ID {
	i, _ := slices.BinarySearchFunc(ids, id, compare)
	return slices.Insert(ids, i, id)
}

func removeID[ID any](ids []ID, id ID, compare func(a, b ID) int) []ID {
	i, found := slices.BinarySearchFunc(ids, id, compare)
	if !found {
		return ids
	}
	return slices.Delete(ids, i, i+1)
}
