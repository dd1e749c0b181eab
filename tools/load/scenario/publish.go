package scenario

import (
	"context"
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

// wait waits for the runs of a batch and tells how it goes.
func wait(ctx context.Context, rig Rig, batch *app.Batch, phase app.Phase, count int, timeout time.Duration) error {
	told := make(chan struct{})
	stop, cancel := context.WithCancel(ctx)
	go func() { // ended below
		defer close(told)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop.Done():
				return
			case <-tick.C:
				rig.Log.Info("waiting for runs", "come", batch.Count(phase), "of", count)
			}
		}
	}()
	err := batch.Wait(ctx, phase, timeout)
	cancel()
	<-told
	return err
}

// progressEvery is how often a wait says how far it is.
const progressEvery = 5 * time.Second
