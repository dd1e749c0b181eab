package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// settle does the work of one item: load, decide, commit, enqueue, acknowledge. It returns the lease of the item that
// follows if it is to stay on the run and there is one.
func (v *visit) settle(ctx context.Context, lease queue.Lease, stay bool) *queue.Lease {
	s := v.service
	holding, letGo := s.hold(ctx, lease)
	defer letGo()
	log := s.deps.Log.With(slog.String("item_id", string(lease.Item.ID)), slog.Int("generation", lease.Generation))

	transition, err := v.decide(holding, lease)
	if err == nil {
		var committed store.Committed
		committed, err = s.commit(holding, transition)
		if err == nil {
			v.advance(transition, committed)
			return s.acknowledge(ctx, lease, committed, stay)
		}
	}
	var outage *outageError
	switch {
	case errors.Is(err, stepwell.ErrConflict), errors.Is(err, stepwell.ErrNotFound):
		// Somebody else settled it, or the run has ended: nobody needs the item any more.
		log.DebugContext(ctx, "item is settled already", slog.String("reason", err.Error()))
		return s.acknowledge(ctx, lease, store.Committed{}, false)
	case errors.Is(context.Cause(holding), stepwell.ErrLeaseLost):
		log.WarnContext(ctx, "lease lost, another executor goes on")
	case errors.As(err, &outage):
		log.DebugContext(ctx, "item waits for its app", slog.Time("due_at", outage.tryAt))
		s.release(ctx, lease, outage.tryAt)
	case stepwell.Retryable(err), ctx.Err() != nil:
		log.WarnContext(ctx, "item handed back", slog.String("error", err.Error()))
		s.release(ctx, lease, time.Now().Add(handBackDelay))
	default:
		// Not ours to mend: the lease expires, which counts, so that a poisonous item ends among the dead.
		log.ErrorContext(ctx, "item cannot be worked on", slog.String("error", err.Error()))
	}
	return nil
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
	now := time.Now()
	acked, err := s.deps.Queue.Ack(context.WithoutCancel(ctx), queue.AckRequest{
		Now: now, Lease: lease, Next: stepwell.Unparked(committed.Opened), Hold: stay, HoldUntil: now.Add(s.config.LeaseFor),
	})
	if err == nil && len(committed.Dropped) > 0 {
		err = s.deps.Queue.Remove(context.WithoutCancel(ctx), committed.Dropped)
	}
	if err != nil {
		s.deps.Log.WarnContext(ctx, "queue was not told of a settled item",
			slog.String("item_id", string(lease.Item.ID)), slog.String("error", err.Error()))
	}
	return acked.Held
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
