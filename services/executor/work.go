package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// settle does the work of one item: load, decide, commit, enqueue, acknowledge. It returns the lease of the item that
// follows if it is to stay on the run and there is one.
func (v *visit) settle(ctx context.Context, lease queue.Lease, stay bool) *queue.Lease {
	s := v.service
	holding, letGo := s.hold(ctx, lease)
	defer letGo()
	holding, work := v.begin(holding, lease)
	ctx = work.In(ctx)
	log := s.deps.Log.With(slog.String("item_id", string(lease.Item.ID)), slog.Int("generation", lease.Generation))

	decided, err := v.decide(holding, lease)
	defer func() { work.End(err) }()
	if err == nil {
		var committed store.Committed
		committed, err = s.commitDecision(holding, &decided)
		if err == nil {
			v.settled(ctx, decided, committed)
			v.advance(decided.transition, committed)
			return s.acknowledge(ctx, lease, committed, stay)
		}
	}
	v.called(ctx, runtelemetry.RequestDropped)
	var outage *outageError
	result := itemFailed
	defer func() { s.metrics.items.Add(ctx, 1, s.results[result]) }()
	switch {
	case errors.Is(err, stepwell.ErrConflict), errors.Is(err, stepwell.ErrNotFound):
		// Somebody else settled it, or the run has ended: nobody needs the item any more.
		result = itemSettledBefore
		log.DebugContext(ctx, "item is settled already", slog.String("reason", err.Error()))
		return s.acknowledge(ctx, lease, store.Committed{}, false)
	case errors.Is(context.Cause(holding), stepwell.ErrLeaseLost), errors.Is(err, stepwell.ErrLeaseLost):
		result = itemLost
		log.WarnContext(ctx, "lease lost, another executor goes on")
	case errors.As(err, &outage):
		result = itemWaits
		log.DebugContext(ctx, "item waits for its app", slog.Time("due_at", outage.tryAt))
		s.release(ctx, lease, outage.tryAt)
	case stepwell.Retryable(err), ctx.Err() != nil:
		result = itemHandedBack
		log.WarnContext(ctx, "item handed back", slog.String("error", err.Error()))
		s.release(ctx, lease, time.Now().Add(handBackDelay))
	default:
		// Not ours to mend: the lease expires, which counts, so that a poisonous item ends among the dead.
		log.ErrorContext(ctx, "item cannot be worked on", slog.String("error", err.Error()))
	}
	return nil
}

// decisionsMax bounds how often is decided about one call: once more because somebody listens or the run deferred a
// function meanwhile, and because a signal is taken.
const decisionsMax = 5

// commitDecision commits, deciding again if the store knows better.
func (s *Service) commitDecision(ctx context.Context, d *decision) (committed store.Committed, err error) {
	ctx, span := s.tracer.Start(ctx, "executor.Commit", trace.SpanKindInternal)
	defer func() { span.End(err) }()
	for range decisionsMax {
		d.transition.Trace = telemetry.KeptTraceOf(ctx)
		if committed, err = s.commit(ctx, d.transition); err == nil {
			break
		}
		var ok bool
		if *d, ok = s.again(ctx, *d, err); !ok {
			break
		}
	}
	return committed, err
}

// commit commits, trying again as long as the lease holds: the app's answer exists only here.
func (s *Service) commit(ctx context.Context, t stepwell.Transition) (store.Committed, error) {
	wait := commitWaitMin
	for {
		results, err := s.deps.State.Commit(ctx, []stepwell.Transition{t})
		if err == nil {
			return results[0], results[0].Err
		}
		if !stepwell.Retryable(err) || ctx.Err() != nil {
			return store.Committed{}, fmt.Errorf("commit: %w", err)
		}
		pause(ctx, wait)
		wait = min(2*wait, commitWaitMax)
	}
}

// The waits between attempts to commit.
const (
	commitWaitMin = 20 * time.Millisecond
	commitWaitMax = time.Second
)

// acknowledge tells the queue that the item is settled and what was opened. What it cannot tell is found in the store.
func (s *Service) acknowledge(
	ctx context.Context, lease queue.Lease, committed store.Committed, stay bool,
) *queue.Lease {
	if committed.ForRunner {
		s.nudge()
	}
	now := time.Now()
	ctx, span := s.tracer.Start(context.WithoutCancel(ctx), "executor.Acknowledge", trace.SpanKindProducer)
	own, others := ofRun(lease.Item.Run, stepwell.Unparked(committed.Opened))
	acked, err := s.deps.Queue.Ack(ctx, queue.AckRequest{
		Now: now, Lease: lease, Next: own, Hold: stay, HoldUntil: now.Add(s.config.LeaseFor),
	})
	if len(others) > 0 {
		err = errors.Join(err, s.deps.Queue.Enqueue(ctx, now, others))
	}
	if err == nil && len(committed.Dropped) > 0 {
		err = s.deps.Queue.Remove(ctx, committed.Dropped)
	}
	span.End(err)
	if err != nil {
		s.deps.Log.WarnContext(ctx, "queue was not told of a settled item",
			slog.String("item_id", string(lease.Item.ID)), slog.String("error", err.Error()))
	}
	return acked.Held
}

// ofRun splits items into those of a run and those of others, which go on because it ended.
func ofRun(run stepwell.RunID, items []stepwell.Item) (own, others []stepwell.Item) {
	for _, item := range items {
		if item.Run == run {
			own = append(own, item)
		} else {
			others = append(others, item)
		}
	}
	return own, others
}

// nudge tells a runner that the store holds something for it. Nudges that come while it is told are one.
func (s *Service) nudge() {
	select {
	case s.nudges <- struct{}{}:
	default:
	}
}

// nudgeTimeout bounds telling a runner; it finds out by itself in a few seconds.
const nudgeTimeout = 2 * time.Second

// tellRunner tells a runner, again and again, until the context ends.
func (s *Service) tellRunner(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.nudges:
		}
		bounded, cancel := context.WithTimeout(ctx, nudgeTimeout)
		if err := s.deps.Runner.Nudge(bounded); err != nil && ctx.Err() == nil {
			s.deps.Log.DebugContext(ctx, "runner not told, it looks by itself", slog.String("error", err.Error()))
		}
		cancel()
	}
}

// handBackDelay keeps an item that cannot be worked on now from going round in circles.
const handBackDelay = time.Second

// release gives the lease back unworked.
func (s *Service) release(ctx context.Context, lease queue.Lease, dueAt time.Time) {
	err := s.deps.Queue.Release(context.WithoutCancel(ctx), lease, time.Now(), dueAt)
	if err != nil {
		s.deps.Log.WarnContext(ctx, "lease not handed back, it will expire",
			slog.String("item_id", string(lease.Item.ID)), slog.String("error", err.Error()))
	}
}

// hold keeps the lease alive. The context it returns ends when the lease is lost, with that as its cause. The caller
// calls letGo when it is done.
func (s *Service) hold(ctx context.Context, lease queue.Lease) (_ context.Context, letGo func()) {
	holding, lose := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() { // letGo waits for it
		defer close(stopped)
		s.extend(holding, lease, lose)
	}()
	return holding, func() {
		lose(nil)
		<-stopped
	}
}

// extend prolongs the lease at a third of its time, until the context ends or the lease is lost.
func (s *Service) extend(ctx context.Context, lease queue.Lease, lose context.CancelCauseFunc) {
	ticker := time.NewTicker(s.config.LeaseFor / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			lost, err := s.deps.Queue.Extend(ctx, []queue.Lease{lease}, now, now.Add(s.config.LeaseFor))
			switch {
			case len(lost) > 0:
				lose(stepwell.ErrLeaseLost)
				return
			case err != nil && ctx.Err() == nil:
				s.deps.Log.WarnContext(ctx, "lease not extended",
					slog.String("item_id", string(lease.Item.ID)), slog.String("error", err.Error()))
			}
		}
	}
}
