package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// visit is a worker's time on one run: it settles an item and, for a while, what follows of the same run. It keeps the
// run as the last commit left it, so that the next call needs no load.
type visit struct {
	service *Service
	began   time.Time
	// state is what a load would have returned right after the last commit, as far as calls and decisions look at it
	// (names and times of steps are not filled in). nil if it is not known.
	state *stepwell.RunState
	// loadedAt is when state came from the store; function and app are as they were then.
	loadedAt time.Time
	// calling is the function of a call of which is not told yet how it ended; nil if there is none.
	calling *stepwell.Function
	// leasedAt is when the item was leased; zero once that is told.
	leasedAt time.Time
}

// work settles the leased item and, for a while, what follows of the same run. ctx ends when the service is to stop,
// working when it cannot wait any longer.
func (s *Service) work(ctx, working context.Context, lease queue.Lease, leasedAt time.Time) {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	v := &visit{service: s, began: time.Now(), leasedAt: leasedAt}
	for calls := 1; ; calls++ {
		stay := ctx.Err() == nil && calls < s.config.StayCallsMax && time.Since(v.began) < s.config.StayFor
		held := v.settle(working, lease, stay)
		if held == nil {
			return
		}
		lease = *held
	}
}

// load returns the run and the item as the run has it. stepwell.ErrConflict means that the item is not open.
func (v *visit) load(ctx context.Context, id stepwell.ItemID) (stepwell.RunState, stepwell.Item, error) {
	if v.state != nil && time.Since(v.loadedAt) <= v.service.config.StayFor {
		if item, open := v.state.Run.Progress.OpenItem(id); open {
			return *v.state, item, nil
		}
	}
	return v.reload(ctx, id)
}

// reload is load from the store, whatever is known.
func (v *visit) reload(ctx context.Context, id stepwell.ItemID) (stepwell.RunState, stepwell.Item, error) {
	v.state = nil
	state, err := store.LoadRun(ctx, v.service.deps.State, id.Run())
	if err != nil {
		return stepwell.RunState{}, stepwell.Item{}, fmt.Errorf("load run: %w", err)
	}
	v.state, v.loadedAt = &state, time.Now()
	if v.service.deps.Telemetry.On() {
		v.service.recent.learn(state)
	}
	item, open := state.Run.Progress.OpenItem(id)
	if !open {
		return stepwell.RunState{}, stepwell.Item{}, fmt.Errorf("item is not open: %w", stepwell.ErrConflict)
	}
	return state, item, nil
}

// settled tells what was committed.
func (v *visit) settled(ctx context.Context, d decision, committed store.Committed) {
	s := v.service
	s.metrics.items.Add(ctx, 1, s.results[itemSettled])
	s.runs.Queued(ctx, committed.Opened)
	if d.call == nil { // a sleep or a wait is over
		if v.state != nil {
			s.runs.Committed(ctx, runtelemetry.RunOf(*v.state), d.transition)
		}
		return
	}
	s.runs.Committed(ctx, runtelemetry.RunOf(d.call.State), d.transition)
	v.called(ctx, runtelemetry.RequestStatus(d.transition.Attempt.Status.String()))
}

// called tells how a call ended, if there was one.
func (v *visit) called(ctx context.Context, status runtelemetry.RequestStatus) {
	if v.calling != nil {
		v.service.runs.Called(ctx, *v.calling, status)
		v.calling = nil
	}
}

// advance does to the state what the commit did to the run, by the same rules. If nobody recorded a step since it was
// loaded, the result is what a load would return: recorded steps never change (I10), so as many before the commit are
// the same ones, and what the transition records is what the store recorded. (Were the counts after it compared, a step
// that a checkpoint had recorded first would go unnoticed, and with it that its result is another.) What may still
// differ are items of others: a parallel step's next attempt. It counts the same, and whether an item is open is for the
// store to say.
func (v *visit) advance(t stepwell.Transition, committed store.Committed) {
	state := v.state
	v.state = nil
	if state == nil || committed.PriorStepCount != len(state.Steps) {
		return
	}
	applied, err := store.Apply(&state.Run, store.Known{Recorded: state.Recorded}, t)
	if err != nil {
		return // an item of others is where it was not expected
	}
	for _, step := range applied.Records {
		state.Record(step)
	}
	v.state = state
}
