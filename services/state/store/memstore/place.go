package memstore

import (
	"context"
	"slices"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Holders implements store.Matcher.
func (s *Store) Holders(_ context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	holders := make([]stepwell.RunID, len(places))
	for i, place := range places {
		holders[i] = s.places[place]
	}
	return holders, nil
}

// outdated tells whether another run has a place than those that the request cancels, or a cancel tells too little.
func (s *Store) outdated(request store.Ingest) bool {
	return store.Unaware(request.Cancels, s.heard) || slices.ContainsFunc(request.AllStarts(), func(start stepwell.RunStart) bool {
		if start.Place == nil || !start.Place.Takes {
			return false
		}
		holder, held := s.places[start.PlaceKey()]
		if !held {
			return false
		}
		_, current := store.CancelOf(s.runs[holder].run, request.Cancels)
		return !current
	})
}

// takePlace has a run that starts take its place, if it has one. It returns the run that keeps it.
func (s *Store) takePlace(request store.Ingest, start stepwell.RunStart, result *store.Ingested) stepwell.RunID {
	if start.Place == nil {
		return stepwell.RunID{}
	}
	place := start.PlaceKey()
	holder, held := s.places[place]
	if held && (!start.Place.Takes || !s.cancel(holder, request.Cancels, result)) {
		return holder
	}
	s.places[place] = start.Run.ID
	return stepwell.RunID{}
}

// cancel ends a run that has a place, and reports whether it did.
func (s *Store) cancel(holder stepwell.RunID, cancels []stepwell.Transition, result *store.Ingested) bool {
	t, ok := store.CancelOf(s.runs[holder].run, cancels)
	if !ok || s.apply(t, result) != nil {
		return false
	}
	result.Cancelled = append(result.Cancelled, holder)
	return true
}
