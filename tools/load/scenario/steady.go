package scenario

import (
	"context"
	"fmt"
	"slices"

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
	took, err := publishEvenly(ctx, rig.App, s.SteadyRate, runs, batch.Event)
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
