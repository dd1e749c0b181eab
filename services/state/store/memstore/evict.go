package memstore

import "github.com/stepwell/stepwell/services/internal/stepwell"

// evictable is what may be dropped when there is too much, oldest first.
type evictable struct {
	// runs have ended, events have no kept run.
	runs   []stepwell.RunID
	events []stepwell.EventID
	// bytes is the payload of ended runs and of all events.
	bytes int
}

// evict drops the oldest of what may be dropped, until all bounds hold or nothing is left to drop.
func (s *Store) evict() {
	e := &s.evictable
	for {
		over := e.bytes > s.config.BytesMax
		switch {
		case len(e.events) > s.config.RunsMax, over && len(e.events) > 0 && !s.runIsOldest():
			s.evictEvent(e.events[0])
			e.events = e.events[1:]
		case len(e.runs) > s.config.RunsMax, over && len(e.runs) > 0:
			s.evictRun(e.runs[0])
			e.runs = e.runs[1:]
		default:
			return
		}
	}
}

// runIsOldest tells whether the first evictable run is older than the first evictable event.
func (s *Store) runIsOldest() bool {
	e := s.evictable
	return len(e.runs) > 0 && e.runs[0].Time() < e.events[0].Time()
}

func (s *Store) evictEvent(id stepwell.EventID) {
	s.evictable.bytes -= s.events[id].bytes()
	delete(s.events, id)
	s.eventIDs = removeID(s.eventIDs, id, compareEventIDs)
}

func (s *Store) evictRun(id stepwell.RunID) {
	record := s.runs[id]
	s.evictable.bytes -= record.bytes()
	delete(s.runs, id)
	s.runIDs = removeID(s.runIDs, id, compareRunIDs)
	for _, event := range record.events {
		s.idle(s.events[event])
	}
}

// ended makes a run evictable.
func (s *Store) ended(record *runRecord) {
	s.evictable.runs = append(s.evictable.runs, record.run.ID)
	s.evictable.bytes += record.bytes()
}

// idle makes an event evictable if none of its runs is kept, or to be started.
func (s *Store) idle(record *eventRecord) {
	for _, run := range record.runs {
		if _, kept := s.runs[run]; kept || s.buffers[run] != nil {
			return
		}
	}
	s.evictable.events = append(s.evictable.events, record.event.ID)
}
