package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// flood starts runs faster than the server can end them.
func flood(s Settings) []Case {
	var cases []Case
	for _, steps := range s.FloodSteps {
		for _, mode := range s.modes() {
			cases = append(cases, Case{
				Name: fmt.Sprintf("flood, %s, %s", count(steps, "step"), mode.name),
				Run: func(ctx context.Context, rig Rig) (Result, error) {
					return s.flood(ctx, rig, app.Plan{Steps: steps, Checkpoint: mode.checkpoint}, s.FloodRuns)
				},
			})
		}
	}
	return cases
}

func (s Settings) flood(ctx context.Context, rig Rig, plan app.Plan, runs int) (Result, error) {
	batch := rig.App.Expect(plan, runs)
	defer batch.Close()
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	begun := time.Now()
	took, err := publish(ctx, rig.App, s.Publishers, s.Batch, runs, func(n int) app.Event {
		return batch.Event(n, time.Now())
	})
	if err != nil {
		return Result{}, err
	}
	published := time.Since(begun).Seconds()
	if err := wait(ctx, rig, batch, app.Ended, runs, s.Timeout); err != nil {
		return Result{}, err
	}
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "run", Count: float64(runs)})
	all := summarize(batch.Runs())
	return Result{
		Count: runs, Unit: "runs", Seconds: all.seconds,
		Numbers: slices.Concat([]meter.Number{
			all.throughput(runs), number("events published per second", float64(runs)/published), all.unneeded(),
		}, spent),
		Latencies: slices.Concat(latency("publish", took), all.latencies),
	}, err
}

// warmUpRuns are enough for connections and caches to be there.
const warmUpRuns = 200

// WarmUp has the server do some runs that are not measured.
func (s Settings) WarmUp(ctx context.Context, rig Rig) error {
	batch := rig.App.Expect(app.Plan{Steps: 1, Checkpoint: s.Checkpoint}, warmUpRuns)
	defer batch.Close()
	_, err := publish(ctx, rig.App, s.Publishers, s.Batch, warmUpRuns, func(n int) app.Event {
		return batch.Event(n, time.Now())
	})
	if err != nil {
		return err
	}
	return wait(ctx, rig, batch, app.Ended, warmUpRuns, s.Timeout)
}
