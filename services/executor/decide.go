package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// decide does what the item asks for and returns what that changes. An outageError means that its app cannot be called
// now.
func (v *visit) decide(ctx context.Context, lease queue.Lease) (decision, error) {
	if lease.Item.Kind.Wakes() {
		err := v.service.claim(ctx, lease, time.Time{})
		return decision{transition: engine.Wake(lease.Item, lease.Generation, time.Now())}, err
	}
	state, item, err := v.load(ctx, lease.Item.ID)
	if err != nil {
		return decision{}, err
	}
	now := time.Now()
	if over, _ := engine.Timeout(state.Run, state.Function.FlowControl, now); over {
		return decision{transition: engine.Cancel(state, now, v.service.heard.in(state.Run.Environment)), cancels: &state}, nil
	}
	call, err := v.call(ctx, lease, state, item, now)
	if err != nil {
		return decision{}, err
	}
	call.Heard = v.service.heard.in(call.State.Run.Environment)
	return decision{transition: engine.Settle(*call), call: call}, nil
}

// decision is what a call, or the end of a sleep, changes.
type decision struct {
	transition stepwell.Transition
	// call is what was decided about; nil for the end of a sleep or a wait.
	call *engine.Call
	// cancels is the run that is cancelled without a call, since it takes too long.
	cancels *stepwell.RunState
}

// again decides once more, knowing why the store refused. ok is false if that would not help.
func (s *Service) again(ctx context.Context, d decision, refusal error) (_ decision, ok bool) {
	switch {
	case d.cancels != nil && errors.Is(refusal, stepwell.ErrStale):
		s.heard.learn(d.cancels.Run.Environment)
		state, err := store.LoadRun(ctx, s.deps.State, d.cancels.Run.ID)
		if err != nil {
			return d, false
		}
		return decision{transition: engine.Cancel(state, time.Now(), engine.AllHeard()), cancels: &state}, true
	case d.call == nil:
		return d, false
	case errors.Is(refusal, stepwell.ErrStale):
		s.heard.learn(d.call.State.Run.Environment)
		d.call.Heard = engine.AllHeard()
		state, err := store.LoadRun(ctx, s.deps.State, d.call.State.Run.ID) // it may have deferred a function meanwhile
		if err != nil {
			return d, false
		}
		d.call.State = state
	case errors.Is(refusal, stepwell.ErrTaken):
		d.call.SignalTaken = true
	default:
		return d, false
	}
	return decision{transition: engine.Settle(*d.call), call: d.call}, true
}

// call calls the app for the item of a run that was loaded, and returns what there is to decide about.
func (v *visit) call(
	ctx context.Context, lease queue.Lease, state stepwell.RunState, item stepwell.Item, now time.Time,
) (_ *engine.Call, err error) {
	s, id := v.service, lease.Item.ID
	origin := originOf(state.Function.URL)
	outage, admitted := s.circuits.admit(origin, now)
	if !admitted {
		return s.miss(state, outage.missedBy(item), lease.Generation, outage)
	}
	var began time.Time
	if engine.HasTimeouts(state.Function.FlowControl) && state.Run.StartedAt.IsZero() {
		began = now
	}
	if lease.Generation > 1 || !began.IsZero() {
		if err := s.claim(ctx, lease, began); err != nil {
			return nil, err
		}
		// What an earlier holder's app reported is complete only now.
		if state, item, err = v.reload(ctx, id); err != nil {
			return nil, err
		}
	}
	call := s.newCall(state, item, lease.Generation)
	if call.StartedAt.After(lease.ExpiresAt) {
		// This process stood still. Another may work on the item by now, and its limits count that one only.
		return nil, fmt.Errorf("begin a call: %w", stepwell.ErrLeaseLost)
	}
	s.began(ctx, state, item, call.StartedAt)
	v.calling = &state.Function
	call.Outcome = s.apps.call(ctx, state, item, lease.Generation)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("call given up: %w", context.Cause(ctx))
	}
	call.EndedAt = time.Now()
	switch {
	case call.Outcome.Unreached != nil:
		s.metrics.unreached.Add(ctx, 1, telemetry.Labels{})
		s.circuits.failed(ctx, origin, call.Outcome.Unreached.Message, call.StartedAt, call.EndedAt)
	case call.Outcome.HTTPStatus != 0:
		s.circuits.answered(ctx, origin)
	}
	call.Outcome.Ops = s.fetches.resolve(ctx, call.Outcome.Ops)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("requests of steps given up: %w", context.Cause(ctx))
	}
	call.EndedAt = time.Now()
	if item.Attempt > 0 {
		// A checkpoint during the call may have forgiven the attempts so far.
		if call.State, call.Item, err = v.reload(ctx, id); err != nil {
			return nil, err
		}
	}
	call.Item = outage.missedBy(call.Item)
	s.prepareWaits(call.State, call.Outcome.Ops)
	return call, nil
}

func (s *Service) newCall(state stepwell.RunState, item stepwell.Item, generation int) *engine.Call {
	return &engine.Call{
		State: state, Item: item, Generation: generation, StartedAt: time.Now(),
		Backoff: engine.Backoff{First: s.config.RetryInterval}, Jitter: s.deps.Random(),
		SystemRetryFor: s.config.SystemRetryFor,
	}
}

// claim claims the item for any lease but its first: whoever held it before must not settle it any more. If the run's first
// call begins and it matters when, so does the first.
func (s *Service) claim(ctx context.Context, lease queue.Lease, began time.Time) error {
	if lease.Generation == 1 && began.IsZero() {
		return nil
	}
	if err := s.deps.State.Claim(ctx, lease.Item.ID, lease.Generation, began); err != nil {
		return fmt.Errorf("claim item: %w", err)
	}
	return nil
}

// outageError is why an item is given back until its app may be called again.
type outageError struct{ outage }

func (e *outageError) Error() string {
	return fmt.Sprintf("the app has not answered since %s: %s", e.since.UTC().Format(time.RFC3339), e.reason)
}

// missedBy is the item as one whose calls reach no app, if there is an outage: since that began, or since the item was
// due in it.
func (o outage) missedBy(item stepwell.Item) stepwell.Item {
	if item.UnreachedSince.IsZero() && !o.since.IsZero() {
		item.UnreachedSince = o.since
		if item.DueAt.After(o.since) {
			item.UnreachedSince = item.DueAt
		}
	}
	return item
}

// miss is what comes of an item whose app is not called, because others found out that it does not answer. The item
// waits, as long as one may whose own calls failed; then it fails like them, without a call.
func (s *Service) miss(
	state stepwell.RunState, item stepwell.Item, generation int, missed outage,
) (*engine.Call, error) {
	call := s.newCall(state, item, generation)
	if call.StartedAt.Sub(item.UnreachedSince) < call.SystemRetryFor {
		return nil, &outageError{missed}
	}
	call.EndedAt = call.StartedAt
	failure := unreachable("The app was not called since others failed. %s", missed.reason)
	call.Outcome.Unreached = &failure
	return call, nil
}
