package scenario

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
)

// publish publishes count events as fast as the publishers can, batch of them a request, and returns how long each
// request took. The first failure ends it.
func publish(
	ctx context.Context, a *app.App, publishers, batch, count int, event func(n int) app.Event,
) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var mu sync.Mutex
	var took []time.Duration
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for first := range work {
				begun := time.Now()
				events := make([]app.Event, 0, batch)
				for n := first; n < min(first+batch, count); n++ {
					events = append(events, event(n))
				}
				if err := a.Publish(ctx, events); err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(begun))
				mu.Unlock()
			}
		})
	}
	for first := 0; first < count && ctx.Err() == nil; first += batch {
		select {
		case work <- first:
		case <-ctx.Done():
		}
	}
	close(work)
	publishing.Wait()
	return took, context.Cause(ctx)
}

// publishEvenly publishes count events, rate of them a second, each when it is due, even if earlier ones still wait for
// their answer. Each is late by what it waited, since that is what a user would see. It returns how long after that each
// one had its answer.
func publishEvenly(
	ctx context.Context, a *app.App, rate, count int, event func(n int, due time.Time) app.Event,
) (took []time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took = make([]time.Duration, count)
	begun := time.Now()
	interval := time.Second / time.Duration(rate)
	var publishing sync.WaitGroup
	for n := range count {
		due := begun.Add(time.Duration(n) * interval)
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due)):
			publishing.Go(func() {
				if err := a.Publish(ctx, []app.Event{event(n, due)}); err != nil {
					cancel(err)
				}
				took[n] = time.Since(due)
			})
		}
	}
	publishing.Wait()
	return took, context.Cause(ctx)
}

// wait waits for the runs of a batch and tells how it goes.
func wait(ctx context.Context, rig Rig, batch *app.Batch, phase app.Phase, count int, timeout time.Duration) error {
	defer tell(ctx, rig, batch, phase, count)()
	return batch.Wait(ctx, phase, timeout)
}

// tell tells from time to time how many of the runs have come so far, until the function that it returns is called.
func tell(ctx context.Context, rig Rig, batch *app.Batch, phase app.Phase, count int) (stop func()) {
	told := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	begun := time.Now()
	go func() { // ended by stop, which waits
		defer close(told)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				come := batch.Count(phase)
				rig.Log.Info("waiting for runs", "come", come, "of", count, "per_second",
					math.Round(float64(come)/time.Since(begun).Seconds()))
			}
		}
	}()
	return func() {
		cancel()
		<-told
	}
}

// progressEvery is how often a wait says how far it is.
const progressEvery = 5 * time.Second
