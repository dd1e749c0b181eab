package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// takesTriesMax bounds how often a place is taken from a run that has it: if each time another run was first, those that
// start now are skipped.
const takesTriesMax = 5

// place is what a run of the function takes that the event starts; nil for nothing.
func (f flow) place(event stepwell.Event, vars func() expr.Vars, now time.Time) (*stepwell.Place, error) {
	if f.singleton == nil {
		return nil, nil
	}
	key, err := keyOf(f.singletonKey, vars)
	if err != nil || key.IsFalse {
		return nil, err
	}
	return &stepwell.Place{
		Key: key.Text, Takes: f.singleton.Mode == stepwell.SingletonCancel, Refused: engine.Refusal(event, engine.SingletonHeld, now),
	}, nil
}

// taking are the starts of a request that take their place from others, in order, and the runs that may have them.
type taking struct {
	starts []taker
	places []stepwell.PlaceKey
	// cancelled is what is told of the runs if they are cancelled.
	cancelled map[stepwell.RunID]cancelled
	// heard is what is known of who listens to their ends: if somebody does, the store says so.
	heard engine.Heard
}

// taker is a start, of which function and event are known.
type taker struct {
	start    stepwell.RunStart
	function stepwell.Function
	event    stepwell.Event
}

type cancelled struct {
	run runtelemetry.Run
	end stepwell.Transition
}

// takes are those of the request. When it has been tried often enough, none takes a place any more.
func takes(triggers *index, request decision, try int) taking {
	t := taking{cancelled: map[stepwell.RunID]cancelled{}}
	if try > 0 {
		t.heard = engine.AllHeard()
	}
	take := func(start stepwell.RunStart, event stepwell.Event) {
		if start.Place == nil || !start.Place.Takes {
			return
		}
		if try >= takesTriesMax {
			start.Place.Takes = false
			return
		}
		t.starts = append(t.starts, taker{start, triggers.flows[start.Run.Function].function, event})
		if place := start.PlaceKey(); !slices.Contains(t.places, place) {
			t.places = append(t.places, place)
		}
	}
	for _, in := range request.Events {
		for _, start := range in.Starts {
			take(start, in.Event)
		}
	}
	for i, fire := range request.Fires {
		take(fire.Start, request.firing[i])
	}
	return t
}

// cancels decides the ends of the runs that have places which starts of the request take, and of those that get one by the
// request and lose it to a later start.
func (s *Service) cancels(ctx context.Context, t taking, now time.Time) ([]stepwell.Transition, error) {
	if len(t.starts) == 0 {
		return nil, nil
	}
	var holders []stepwell.RunID
	for places := range slices.Chunk(t.places, store.PageMax) {
		some, err := s.deps.State.Holders(ctx, places)
		if err != nil {
			return nil, fmt.Errorf("find runs of singletons: %w", err)
		}
		holders = append(holders, slices.DeleteFunc(some, func(run stepwell.RunID) bool { return run == stepwell.RunID{} })...)
	}
	var states []stepwell.RunState
	for some := range slices.Chunk(holders, store.PageMax) {
		loaded, err := s.deps.State.LoadRuns(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("load runs of singletons: %w", err)
		}
		for _, l := range loaded {
			if l.Err == nil { // else it is gone
				states = append(states, l.State)
			}
		}
	}
	last := map[stepwell.PlaceKey]int{}
	for i, taker := range t.starts {
		last[taker.start.PlaceKey()] = i
	}
	for i, taker := range t.starts {
		if last[taker.start.PlaceKey()] != i {
			states = append(states, stepwell.RunState{
				Run: taker.start.Run, Function: taker.function, Events: []stepwell.Event{taker.event},
			})
		}
	}
	var ends []stepwell.Transition
	for _, state := range states {
		end := engine.Cancel(state, now, t.heard)
		t.cancelled[state.Run.ID] = cancelled{runtelemetry.RunOf(state), end}
		ends = append(ends, end)
	}
	return ends, nil
}

// tellCancelled tells which runs lost their place.
func (s *Service) tellCancelled(ctx context.Context, t taking, runs []stepwell.RunID) {
	for _, run := range runs {
		s.runs.Committed(ctx, t.cancelled[run].run, t.cancelled[run].end)
	}
}
