package runner

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// countDepthsEvery is how soon it is noticed that too much of a function waits, or no longer does.
const countDepthsEvery = time.Second

// depths are the functions of which items wait in the queue, as of some instant. They never change.
type depths struct {
	all []depth
	// full are those of which too much waits.
	full map[stepwell.FunctionID]depth
}

// depth is how many items of a function wait.
type depth struct {
	function stepwell.Function
	items    int
}

// countDepths counts what waits of each function that the runner knows. While the queue does not answer, nothing is full.
func (s *Service) countDepths(ctx context.Context) error {
	if len(s.depths.Load().full) > 0 {
		s.refreshAll(ctx) // refused events do not show that functions changed, as others do
	}
	functions := map[stepwell.FunctionID]stepwell.Function{}
	for _, known := range s.known() {
		for id, flow := range known.flows {
			functions[id] = flow.function
		}
	}
	counted, err := s.deps.Queue.Depths(ctx, time.Now(), slices.Collect(maps.Keys(functions)))
	fresh := &depths{full: map[stepwell.FunctionID]depth{}}
	for id, items := range counted {
		d := depth{function: functions[id], items: items}
		fresh.all = append(fresh.all, d)
		if s.config.QueueDepthMax > 0 && items >= s.config.QueueDepthMax {
			fresh.full[id] = d
		}
	}
	before := s.depths.Swap(fresh)
	if err != nil {
		return fmt.Errorf("count the items of functions: %w", err)
	}
	for id, d := range fresh.full {
		if _, was := before.full[id]; !was {
			s.deps.Log.WarnContext(ctx, "events that start the function are refused, too much of it waits",
				slog.String("function_id", d.function.Slug), slog.Int("item_count", d.items))
		}
	}
	for id, d := range before.full {
		if _, is := fresh.full[id]; !is {
			s.deps.Log.InfoContext(ctx, "events that start the function are taken again",
				slog.String("function_id", d.function.Slug), slog.Int("item_count", counted[id]))
		}
	}
	return nil
}

// known are the indexes of all environments.
func (s *Service) known() map[stepwell.EnvironmentID]*index {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.indexes)
}

// refreshAll loads the functions of all environments if they changed. What cannot be loaded is as it was.
func (s *Service) refreshAll(ctx context.Context) {
	for environment, known := range s.known() {
		if _, err := s.refresh(ctx, environment, known); err != nil {
			s.deps.Log.DebugContext(ctx, "functions not looked at again", slog.String("error", err.Error()))
		}
	}
}

// admit refuses events if too much waits of a function that one of them would start.
func (s *Service) admit(ctx context.Context, events []stepwell.Event) error {
	full := s.depths.Load().full
	if len(full) == 0 {
		return nil
	}
	known, err := s.index(ctx, events[0].Environment)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, event := range events {
		functions, _ := known.match(event, now) // what does not match is told where the event is routed
		for _, function := range functions {
			d, is := full[function.ID]
			if !is || function.Hold.Skip() != stepwell.SkipNone {
				continue
			}
			s.metrics.refused.Add(ctx, len(events), s.runs.LabelsOf(function))
			return stepwell.Fullf("%d items of the function %q wait in the queue, at most %d may: send the event %q again later",
				d.items, function.Slug, s.config.QueueDepthMax, event.Name)
		}
	}
	return nil
}

// tellDepths tells how many items of each function wait. The runner that keeps the queue filled does.
func (g *queueGauges) tellDepths(_ context.Context, observe telemetry.Observe) {
	if !g.service.keeps.Load() {
		return
	}
	items := map[string]int{}
	for _, d := range g.service.depths.Load().all {
		items[g.functions.Of(d.function.Slug)] += d.items
	}
	for name, n := range items {
		observe(float64(n), telemetry.Label("fn", name))
	}
}
