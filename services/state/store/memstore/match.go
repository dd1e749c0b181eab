package memstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// waitName is what waits are found by.
type waitName struct {
	environment stepwell.EnvironmentID
	byEvent     bool
	name        string
}

func waitNameOf(w stepwell.Wait) waitName { return waitName{w.Environment, w.Kind.ByEvent(), w.Name} }

// registered are the waits of a name by their items.
type registered map[stepwell.ItemID]stepwell.Wait

// register takes note of a wait, and tells whether there are events already that may end it.
func (s *Store) register(w stepwell.Wait) (looksBack bool) {
	if len(s.since(w)) == 0 {
		w.Since = time.Time{}
	}
	name := waitNameOf(w)
	if w.Kind == stepwell.WaitSignal {
		for other := range s.waits[name] {
			s.unregister(other) // it was replaced
		}
	}
	if s.waits[name] == nil {
		s.waits[name] = registered{}
	}
	s.waits[name][w.Item.ID] = w
	s.waitNames[w.Item.ID] = name
	return !w.Since.IsZero()
}

// taken tells whether another run waits for the signal.
func (s *Store) taken(w stepwell.Wait) bool {
	for _, other := range s.waits[waitNameOf(w)] {
		if other.Run != w.Run {
			return true
		}
	}
	return false
}

// heard tells whether somebody listens to events of a name.
func (s *Store) heard(environment stepwell.EnvironmentID, name string) bool {
	return len(s.waits[waitName{environment, true, name}]) > 0 || s.catalog(environment).listens(name)
}

// unregister ends the wait of an item, if it is one of a wait.
func (s *Store) unregister(id stepwell.ItemID) {
	name, waiting := s.waitNames[id]
	if !waiting {
		return
	}
	delete(s.waitNames, id)
	if delete(s.waits[name], id); len(s.waits[name]) == 0 {
		delete(s.waits, name)
	}
}

// awaited tells whether there are waits of the event's name.
func (s *Store) awaited(event stepwell.Event) bool {
	return slices.ContainsFunc(stepwell.EventNames(event.Name), func(name string) bool {
		return len(s.waits[waitName{event.Environment, true, name}]) > 0
	})
}

// since are the events that a wait has to look at, oldest first.
func (s *Store) since(w stepwell.Wait) []stepwell.Event {
	if w.Since.IsZero() {
		return nil
	}
	var events []stepwell.Event
	for _, id := range slices.Backward(s.eventIDs) {
		event := s.events[id].event
		if id.Timestamp().Before(w.Since.Truncate(time.Millisecond)) {
			break
		}
		if event.Environment == w.Environment && slices.Contains(stepwell.EventNames(event.Name), w.Name) {
			events = append(events, event)
		}
	}
	slices.Reverse(events)
	return events[:min(len(events), store.LookBackMax)]
}

// Waits implements store.Matcher.
func (s *Store) Waits(_ context.Context, query store.WaitQuery) ([]stepwell.Wait, string, error) {
	variables := query.Event.Variables()
	s.mu.Lock()
	defer s.mu.Unlock()
	var waits []stepwell.Wait
	for _, name := range stepwell.EventNames(query.Event.Name) {
		for id, w := range s.waits[waitName{query.Event.Environment, true, name}] {
			if string(id) > query.Cursor && bytes.Equal(w.KeyHash, stepwell.KeyHash(w.Shape, variables)) {
				waits = append(waits, w)
			}
		}
	}
	slices.SortFunc(waits, func(a, b stepwell.Wait) int { return strings.Compare(string(a.Item.ID), string(b.Item.ID)) })
	if len(waits) <= query.Limit {
		return waits, "", nil
	}
	return waits[:query.Limit], string(waits[query.Limit-1].Item.ID), nil
}

// SignalWait implements store.Matcher.
func (s *Store) SignalWait(
	_ context.Context, environment stepwell.EnvironmentID, signal string,
) (stepwell.Wait, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.waits[waitName{environment, false, signal}] {
		return w, nil
	}
	return stepwell.Wait{}, fmt.Errorf("wait for signal %q: %w", signal, stepwell.ErrNotFound)
}

// Routed implements store.Matcher.
func (s *Store) Routed(_ context.Context, events []stepwell.EventID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range events {
		if record, known := s.events[id]; known && !record.routed {
			s.route(record)
			s.idle(record)
		}
	}
	return nil
}

// LookBacks implements store.Matcher.
func (s *Store) LookBacks(_ context.Context, limit int) ([]store.LookBack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var backs []store.LookBack
	for _, waits := range s.waits {
		for _, w := range waits {
			if !w.Since.IsZero() {
				events := s.since(w)
				backs = append(backs, store.LookBack{Wait: w, Events: events, More: len(events) == store.LookBackMax})
			}
		}
	}
	slices.SortFunc(backs, func(a, b store.LookBack) int {
		return strings.Compare(string(a.Wait.Item.ID), string(b.Wait.Item.ID))
	})
	return backs[:min(limit, len(backs))], nil
}

// LookedBack implements store.Matcher.
func (s *Store) LookedBack(_ context.Context, waits []stepwell.Wait) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, looked := range waits {
		if name, waiting := s.waitNames[looked.Item.ID]; waiting {
			w := s.waits[name][looked.Item.ID]
			w.Since = looked.Since
			s.waits[name][looked.Item.ID] = w
		}
	}
	return nil
}
