package runner

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// buffersPerPage bounds the buffers that are fired together.
const buffersPerPage = 200

// fireBuffers starts the runs of debounces and batches, each at its time, until it is time for the next pass (I19). Several
// runners may do so at once: the run of a buffer starts once.
func (s *Service) fireBuffers(ctx context.Context) error {
	return s.buffers.keep(ctx, time.Now().Add(s.config.CronEvery), func(ctx context.Context, now time.Time) (bool, time.Time, error) {
		due, next, err := s.deps.State.DueBuffers(ctx, now, buffersPerPage)
		if err != nil {
			return false, time.Time{}, fmt.Errorf("look for due debounces and batches: %w", err)
		}
		for _, together := range buffersByEnvironment(due) {
			if _, err := s.decide(ctx, together[0].Run.Environment, func(known *index, now time.Time) decision {
				return s.fires(ctx, known, together, now)
			}); err != nil {
				return false, time.Time{}, fmt.Errorf("start %d debounced or batched runs: %w", len(together), err)
			}
		}
		return len(due) > 0, next, nil
	})
}

// buffersByEnvironment are the buffers of each environment.
func buffersByEnvironment(due []store.DueBuffer) map[stepwell.EnvironmentID][]store.DueBuffer {
	together := map[stepwell.EnvironmentID][]store.DueBuffer{}
	for _, buffer := range due {
		of := buffer.Run.Environment
		together[of] = append(together[of], buffer)
	}
	return together
}

// fires are what buffers start, by their functions as they are now.
func (s *Service) fires(ctx context.Context, known *index, due []store.DueBuffer, now time.Time) decision {
	var fires decision
	for _, buffer := range due {
		fires.firing = append(fires.firing, buffer.Event)
		fires.Fires = append(fires.Fires, store.Fire{Start: s.firedBy(ctx, known, buffer, now), KeyHash: buffer.KeyHash})
	}
	return fires
}

// firedBy is what a buffer starts.
func (s *Service) firedBy(ctx context.Context, known *index, due store.DueBuffer, now time.Time) stepwell.RunStart {
	controls, active := known.flows[due.Run.Function]
	about := slog.Group("", slog.String("function_id", due.Run.Function.String()), slog.String("run_id", due.Run.ID.String()))
	if !active || due.Event.ID.IsZero() { // an event that waits is not deleted, unless by somebody else
		s.deps.Log.WarnContext(ctx, "a function is gone for which events waited", about)
		return engine.Abandon(due.Buffer, due.Event, now)
	}
	start := engine.Fire(controls.function, due.Buffer, due.Event, now)
	if controls.function.Hold.Skip() != stepwell.SkipNone {
		return engine.Skip(start, controls.function.Hold, due.Event, now)
	}
	variables := sync.OnceValue(due.Event.Variables)
	vars := func() expr.Vars { return expr.Vars{Event: variables(), Now: now} }
	controls.bufferedBy(&start, due.Batch, vars)
	controls.order(&start, due.Event, vars, now)
	s.prepare(ctx, variables, start.Waits)
	return start
}
