package runner

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// route decides about the events that were stored while no runner could. Other runners may route the same ones: the
// store starts each run once.
func (s *Service) route(ctx context.Context) error {
	routed := 0
	defer func() {
		s.metrics.routedLate.Add(ctx, routed, telemetry.Labels{})
		if routed > 0 {
			s.deps.Log.InfoContext(ctx, "routed events that were stored unrouted", slog.Int("event_count", routed))
		}
	}()
	for {
		events, err := s.deps.State.UnroutedEvents(ctx, store.PageMax)
		if err != nil {
			return fmt.Errorf("look for unrouted events: %w", err)
		}
		if len(events) == 0 {
			return nil
		}
		for _, together := range byEnvironment(events) {
			done := s.routingLate(ctx, together)
			ingested, err := s.ingest(ctx, together)
			if err == nil {
				// If this fails, the events stay unrouted: going on at once would go round in circles.
				err = s.matchWaits(ctx, awaited(together, ingested))
			}
			done(err)
			if err != nil {
				return fmt.Errorf("route %d events: %w", len(together), err)
			}
			routed += len(together)
		}
	}
}

// byEnvironment splits events without changing their order.
func byEnvironment(events []stepwell.Event) [][]stepwell.Event {
	var groups [][]stepwell.Event
	at := map[stepwell.EnvironmentID]int{}
	for _, event := range events {
		i, known := at[event.Environment]
		if !known {
			i = len(groups)
			at[event.Environment] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], event)
	}
	return groups
}
