package scenario

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// steady starts some runs a second, whether or not the server keeps up.
func steady(s Settings) []Case {
	var cases []Case
	for _, mode := range s.modes() {
		cases = append(cases, Case{
			Name: fmt.Sprintf("steady, %d runs/s, %s, %s", s.SteadyRate, count(s.SteadySteps, "step"), mode.name),
			Run: func(ctx context.Context, rig Rig) (Result, error) {
				return s.steady(ctx, rig, app.Plan{Steps: s.SteadySteps, Checkpoint: mode.checkpoint})
			},
		})
	}
	return cases
}

func (s Settings) steady(ctx context.Context, rig Rig, plan app.Plan) (Result, error) {
	runs := max(1, int(s.SteadyFor.Seconds()*float64(s.SteadyRate)))
	batch := rig.App.Expect(plan, runs)
	defer batch.Close()
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	took, err := s.publishEvenly(ctx, rig, batch, runs)
	if err != nil {
		return Result{}, err
	}
	if err := wait(ctx, rig, batch, app.Ended, runs, s.Timeout); err != nil {
		return Result{}, err
	}
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "run", Count: float64(runs)})
	all := summarize(batch.Runs())
	return Result{
		Count: runs, Unit: "runs", Seconds: all.seconds,
		Numbers:   slices.Concat([]meter.Number{all.unneeded()}, spent),
		Latencies: slices.Concat(latency("publish", took), all.latencies),
	}, err
}

// publishEvenly publishes each event when it is due, even if earlier ones still wait for their answer. Each is late by
// what it waited, since that is what a user would see.
func (s Settings) publishEvenly(
	ctx context.Context, rig Rig, batch *app.Batch, runs int,
) (took []time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took = make([]time.Duration, runs)
	begun := time.Now()
	interval := time.Second / time.Duration(s.SteadyRate)
	var publishing sync.WaitGroup
	for n := range runs {
		due := begun.Add(time.Duration(n) * interval)
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due)):
			publishing.Go(func() {
				if err := rig.App.Publish(ctx, []app.Event{batch.Event(n, due)}); err != nil {
					cancel(err)
				}
				took[n] = time.Since(due)
			})
		}
	}
	publishing.Wait()
	return took, context.Cause(ctx)
}
