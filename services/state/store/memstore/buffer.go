package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// bufferRecord is a buffer, with the events that list its run.
type bufferRecord struct {
	*stepwell.Buffer

	events []stepwell.EventID
}

// bufferKey is what a buffer is found by.
type bufferKey struct {
	function stepwell.FunctionID
	hash     string
}

// buffer has the event of a start wait in a buffer. lost is the buffer of which no run will start because of that; its run
// is recorded as skipped.
func (s *Store) buffer(start stepwell.RunStart, result *store.Ingested) (led store.StartedRun, lost *bufferRecord) {
	key := bufferKey{start.Run.Function, string(start.Buffering.KeyHash)}
	latest := &bufferRecord{}
	if known := s.openBuffers[key]; known != nil {
		latest = known
	}
	put := latest.Put(start)
	result.Expect(put.FiresAt)
	if put.Into != latest.Buffer {
		record := &bufferRecord{Buffer: put.Into}
		s.buffers[put.Into.Run.ID], s.openBuffers[key] = record, record
	}
	switch put.Lost {
	case nil:
		return store.StartedRun{ID: put.Into.Run.ID, Buffered: true}, nil
	case latest.Buffer:
		delete(s.buffers, put.Lost.Run.ID)
		missed := s.keep(put.Lost.Missed())
		missed.events = latest.events
		s.ended(missed)
		return store.StartedRun{ID: put.Into.Run.ID, Buffered: true, Displaces: true}, latest
	}
	s.keep(put.Lost.Missed())
	return store.StartedRun{ID: put.Lost.Run.ID, Skip: stepwell.SkipDebounced}, &bufferRecord{Buffer: put.Lost}
}

// fire starts the run of a buffer, unless that has changed.
func (s *Store) fire(request store.Ingest, fire store.Fire, result *store.Ingested) store.StartedRun {
	run := fire.Start.Run
	from := s.buffers[run.ID]
	if _, fired := s.runs[run.ID]; fired {
		return store.StartedRun{ID: run.ID, Existed: true}
	}
	if from == nil || len(from.Run.Events) != len(run.Events) {
		return store.StartedRun{Existed: true}
	}
	delete(s.buffers, run.ID)
	if key := (bufferKey{run.Function, string(from.KeyHash)}); s.openBuffers[key] == from {
		delete(s.openBuffers, key)
	}
	record, led := s.begin(request, fire.Start, run.Skip, result)
	record.events = from.events
	if led.Started() {
		s.opened(fire.Start, result)
	} else {
		s.ended(record)
	}
	if t, refused := store.Refusal(fire.Start, led, request.Now); refused {
		_ = s.apply(t, result) // one that conflicts is dropped: somebody was first
	}
	return led
}

// DueBuffers implements store.Backlog.
func (s *Store) DueBuffers(_ context.Context, now time.Time, limit int) (due []store.DueBuffer, next time.Time, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var buffers []stepwell.Buffer
	for _, record := range s.buffers {
		switch at := record.FireAt; {
		case !at.After(now):
			buffers = append(buffers, *record.Buffer)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	slices.SortFunc(buffers, func(a, b stepwell.Buffer) int {
		return cmp.Or(a.FireAt.Compare(b.FireAt), compareRunIDs(a.Run.ID, b.Run.ID))
	})
	for _, buffer := range store.FirstBuffers(buffers, limit) {
		due = append(due, store.DueBuffer{Buffer: buffer, Event: s.events[buffer.Run.Events[0]].event})
	}
	if len(due) > 0 {
		next = time.Time{}
	}
	return due, next, nil
}
