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

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// staleMax bounds how often a decision is made again because the catalog, or who has a place, changed meanwhile.
const staleMax = 10

// Publish implements runnerv1.RunnerServiceServer.
func (s *Service) Publish(ctx context.Context, m *runnerv1.PublishRequest) (*runnerv1.PublishResponse, error) {
	events := wire.Each(m.GetEvents(), wire.FromEvent)
	if len(events) == 0 {
		return &runnerv1.PublishResponse{}, nil
	}
	if n := len(events); n > stepwell.EventsPerRequestMax {
		return nil, stepwell.TooLargef("%d events in one request, at most %d are allowed", n, stepwell.EventsPerRequestMax)
	}
	for _, event := range events {
		if event.Environment != events[0].Environment {
			return nil, stepwell.Invalidf("the events belong to different environments")
		}
	}
	if err := s.admit(ctx, events); err != nil {
		return nil, err
	}
	traced(ctx, events)
	if _, err := s.publish(ctx, events); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return &runnerv1.PublishResponse{}, nil
}

// publish stores the events and what they start, and looks at the waits for them. What it cannot look at now is looked at
// when unrouted events are routed. The first event also starts what is given, first of all.
func (s *Service) publish(
	ctx context.Context, events []stepwell.Event, given ...stepwell.RunStart,
) (_ store.Ingested, err error) {
	ctx, span := s.routing(ctx, events)
	defer func() { span.End(err) }()
	began := time.Now()
	ingested, err := s.ingest(ctx, events, given...)
	s.metrics.route.Record(ctx, time.Since(began), telemetry.Labels{})
	if err != nil {
		return store.Ingested{}, err
	}
	if err := s.matchWaits(ctx, awaited(events, ingested)); err != nil {
		s.deps.Log.WarnContext(ctx, "waits not looked at, trying again", slog.Int("event_count", len(ingested.Awaited)),
			slog.String("error", err.Error()))
	}
	return ingested, nil
}

// awaited are those of the events for which there may be waits.
func awaited(events []stepwell.Event, ingested store.Ingested) []stepwell.Event {
	var those []stepwell.Event
	for _, event := range events {
		if slices.Contains(ingested.Awaited, event.ID) {
			those = append(those, event)
		}
	}
	return those
}

// ingest decides what events start, stores it, and queues what is due.
func (s *Service) ingest(
	ctx context.Context, events []stepwell.Event, given ...stepwell.RunStart,
) (store.Ingested, error) {
	return s.decide(ctx, events[0].Environment, func(known *index, now time.Time) decision {
		var request store.Ingest
		for i, event := range events {
			in := store.IngestEvent{Event: event, Transitions: unanswered(known, event, now)}
			// What the events of a request start is worked on in their order: one microsecond after the other.
			in.Starts = s.starts(ctx, known, event, now.Add(time.Duration(i+1-len(events))*time.Microsecond))
			request.Events = append(request.Events, in)
		}
		request.Events[0].Starts = slices.Concat(given, request.Events[0].Starts)
		return decision{Ingest: request}
	})
}

// decision is what is to be stored.
type decision struct {
	store.Ingest

	// firing are the first events of its Fires.
	firing []stepwell.Event
}

// decide stores what is decided by the functions of an environment, again if what it was decided by turned out to be older,
// and queues what is due.
func (s *Service) decide(
	ctx context.Context, environment stepwell.EnvironmentID, by func(known *index, now time.Time) decision,
) (store.Ingested, error) {
	known, err := s.index(ctx, environment)
	if err != nil {
		return store.Ingested{}, err
	}
	for try := range staleMax {
		now := time.Now()
		request := by(known, now)
		request.Environment, request.Revision, request.Now = environment, known.revision, now
		request.Trace = telemetry.KeptTraceOf(ctx)
		taking := takes(known, request, try)
		if request.Cancels, err = s.cancels(ctx, taking, now); err != nil {
			return store.Ingested{}, err
		}
		results, err := s.deps.State.Ingest(ctx, []store.Ingest{request.Ingest})
		if err != nil {
			return store.Ingested{}, err
		}
		switch err := results[0].Err; {
		case errors.Is(err, stepwell.ErrStale):
			if known, err = s.refresh(ctx, environment, known); err != nil {
				return store.Ingested{}, err
			}
		case err != nil:
			return store.Ingested{}, err
		default:
			s.started(ctx, request.Ingest, results[0])
			s.tellCancelled(ctx, taking, results[0].Cancelled)
			s.expect(request.Ingest, results[0])
			s.tellQueue(ctx, now, results[0].Opened, results[0].Dropped)
			if results[0].ForRunner {
				s.nudge()
			}
			return results[0], nil
		}
	}
	return store.Ingested{}, fmt.Errorf("functions changed %d times meanwhile: %w", staleMax, stepwell.ErrUnavailable)
}

// started tells which runs were started, and which were not.
func (s *Service) started(ctx context.Context, request store.Ingest, ingested store.Ingested) {
	starts := request.AllStarts()
	for i, led := range append(slices.Concat(ingested.Runs...), ingested.Fired...) {
		if i >= len(starts) {
			return
		}
		function := starts[i].Run.Function
		if led.Displaces {
			s.runs.Skipped(ctx, function)
		}
		switch {
		case led.Skip != stepwell.SkipNone:
			s.runs.Skipped(ctx, function)
		case led.Started():
			s.runs.Scheduled(ctx, function)
		}
	}
}

// starts are the runs that the event starts.
func (s *Service) starts(
	ctx context.Context, triggers *index, event stepwell.Event, now time.Time,
) (starts []stepwell.RunStart) {
	functions, problems := triggers.match(event, now)
	for _, problem := range problems {
		s.deps.Log.DebugContext(ctx, "trigger did not match", slog.String("event_id", event.ID.String()),
			slog.String("error", problem.Error()))
	}
	variables := sync.OnceValue(event.Variables)
	vars := func() expr.Vars { return expr.Vars{Event: variables(), Now: now} }
	for _, function := range functions {
		start := engine.Start(function, event, now)
		if function.Hold.Skip() != stepwell.SkipNone {
			starts = append(starts, engine.Skip(start, function.Hold, event, now))
			continue
		}
		controls := triggers.flows[function.ID]
		if err := controls.control(&start, event, vars, now); err != nil {
			starts = append(starts, engine.SkipInvalid(start, err, event, now))
			continue
		}
		if start.Buffering == nil {
			controls.order(&start, event, vars, now)
			s.prepare(ctx, variables, start.Waits)
		}
		starts = append(starts, start)
	}
	return starts
}

// prepare finds out by what events find the waits of a run that the event starts.
func (s *Service) prepare(ctx context.Context, trigger func() map[string]any, waits []stepwell.Wait) {
	for i := range waits {
		if err := s.expressions.Index(&waits[i], trigger); err != nil { // it was compiled when the function was synced
			s.deps.Log.ErrorContext(ctx, "condition cannot be compiled", slog.String("run_id", waits[i].Run.String()),
				slog.String("error", err.Error()))
		}
	}
}

// unanswered is what changes in the run that invoked a function which does not exist.
func unanswered(triggers *index, event stepwell.Event, now time.Time) []stepwell.Transition {
	slug, invokes := engine.Invokes(event)
	if _, found := triggers.bySlug[slug]; !invokes || found {
		return nil
	}
	if t, waiting := engine.NotFound(event, now); waiting {
		return []stepwell.Transition{t}
	}
	return nil
}

// enqueueTimeout bounds how long a publisher waits for a queue that does not answer.
const enqueueTimeout = time.Second

// tellQueue puts what was opened into the queue and takes out what nobody needs any more. All of it is stored: a queue
// that does not answer is no failure, the items are found in the store again.
func (s *Service) tellQueue(
	ctx context.Context, now time.Time, opened []stepwell.Item, dropped []stepwell.ItemID,
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	s.runs.Queued(ctx, opened)
	err := s.enqueueOpened(ctx, now, stepwell.Unparked(opened))
	if err != nil {
		s.deps.Log.WarnContext(ctx, "items not queued, they wait in the store",
			slog.Int("item_count", len(opened)), slog.String("error", err.Error()))
	}
	if len(dropped) == 0 {
		return
	}
	if err := s.deps.Queue.Remove(ctx, dropped); err != nil {
		s.deps.Log.DebugContext(ctx, "settled items stay in the queue until they are due", slog.String("error", err.Error()))
	}
}

// enqueueOpened is enqueue with a span.
func (s *Service) enqueueOpened(ctx context.Context, now time.Time, items []stepwell.Item) error {
	if len(items) == 0 {
		return nil
	}
	ctx, span := s.tracer.Start(ctx, spanEnqueue, trace.SpanKindProducer)
	err := s.enqueue(ctx, now, items)
	span.End(err)
	return err
}

// enqueue puts items into the queue, as many at a time as it takes.
func (s *Service) enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error {
	for batch := range slices.Chunk(items, queue.ItemsMax) {
		if err := s.deps.Queue.Enqueue(ctx, now, batch); err != nil {
			return err
		}
	}
	return nil
}
