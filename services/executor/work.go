package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// work settles the leased item and, for a while, what follows of the same run. ctx ends when the service is to stop,
// working when it cannot wait any longer.
func (s *Service) work(ctx, working context.Context, lease queue.Lease) {
	began := time.Now()
	for calls := 1; ; calls++ {
		stay := ctx.Err() == nil && calls < s.config.StayCallsMax && time.Since(began) < s.config.StayFor
		held := s.settle(working, lease, stay)
		if held == nil {
			return
		}
		lease = *held
	}
}

// settle does the work of one item: load, decide, commit, enqueue, acknowledge. It returns the lease of the item that
// follows if it is to stay on the run and there is one.
func (s *Service) settle(ctx context.Context, lease queue.Lease, stay bool) *queue.Lease {
	holding, letGo := s.hold(ctx, lease)
	defer letGo()
	log := s.deps.Log.With(slog.String("item_id", string(lease.Item.ID)), slog.Int("generation", lease.Generation))

	transition, err := s.decide(holding, lease)
	if err == nil {
		var committed store.Committed
		committed, err = s.commit(holding, transition)
		if err == nil {
			return s.acknowledge(ctx, lease, committed, stay)
		}
	}
	switch {
	case errors.Is(err, stepwell.ErrConflict), errors.Is(err, stepwell.ErrNotFound):
		// Somebody else settled it, or the run has ended: nobody needs the item any more.
		log.DebugContext(ctx, "item is settled already", slog.String("reason", err.Error()))
		return s.acknowledge(ctx, lease, store.Committed{}, false)
	case errors.Is(context.Cause(holding), stepwell.ErrLeaseLost):
		log.WarnContext(ctx, "lease lost, another executor goes on")
	case stepwell.Retryable(err), ctx.Err() != nil:
		log.WarnContext(ctx, "item handed back", slog.String("error", err.Error()))
		s.handBack(ctx, lease)
	default:
		// Not ours to mend: the lease expires, which counts, so that a poisonous item ends among the dead.
		log.ErrorContext(ctx, "item cannot be worked on", slog.String("error", err.Error()))
	}
	return nil
}

// decide does what the item asks for and returns what that changes.
func (s *Service) decide(ctx context.Context, lease queue.Lease) (stepwell.Transition, error) {
	item := lease.Item
	if lease.Generation > 1 {
		// Whoever held it before must not settle it any more.
		if err := s.deps.State.Claim(ctx, item.ID, lease.Generation); err != nil {
			return stepwell.Transition{}, fmt.Errorf("claim item: %w", err)
		}
	}
	if item.Kind == stepwell.ItemSleep || item.Kind == stepwell.ItemTimeout {
		return engine.Wake(item, lease.Generation, time.Now()), nil
	}
	state, item, err := s.load(ctx, item.ID)
	if err != nil {
		return stepwell.Transition{}, err
	}
	call := engine.Call{
		State: state, Item: item, Generation: lease.Generation, StartedAt: time.Now(),
		Backoff: engine.Backoff{First: s.config.RetryInterval}, Jitter: s.deps.Random(),
	}
	call.Outcome = s.apps.call(ctx, state, item, lease.Generation)
	if ctx.Err() != nil {
		return stepwell.Transition{}, fmt.Errorf("call given up: %w", context.Cause(ctx))
	}
	call.EndedAt = time.Now()
	if item.Attempt > 0 {
		// A checkpoint during the call may have forgiven the attempts so far.
		if call.State, call.Item, err = s.load(ctx, item.ID); err != nil {
			return stepwell.Transition{}, err
		}
	}
	return engine.Settle(call), nil
}

// load returns the run and the item as the run has it. stepwell.ErrConflict means that the item is not open.
func (s *Service) load(ctx context.Context, id stepwell.ItemID) (stepwell.RunState, stepwell.Item, error) {
	state, err := store.LoadRun(ctx, s.deps.State, id.Run())
	if err != nil {
		return stepwell.RunState{}, stepwell.Item{}, fmt.Errorf("load run: %w", err)
	}
	item, open := state.Run.Progress.OpenItem(id)
	if !open {
		return stepwell.RunState{}, stepwell.Item{}, fmt.Errorf("item is not open: %w", stepwell.ErrConflict)
	}
	return state, item, nil
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

func (s *Service) handBack(ctx context.Context, lease queue.Lease) {
	now := time.Now()
	err := s.deps.Queue.Release(context.WithoutCancel(ctx), lease, now, now.Add(handBackDelay))
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
