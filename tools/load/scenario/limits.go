package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// limits looks at what a concurrency of 1 costs: runs of many keys, and other runs while a backlog waits.
func limits(s Settings) []Case {
	flood := func(name string, plan app.Plan) Case {
		plan.Steps, plan.Checkpoint = 1, s.Checkpoint
		return Case{Name: "limits, flood, " + name, Run: func(ctx context.Context, rig Rig) (Result, error) {
			return s.flood(ctx, rig, plan, s.LimitsRuns)
		}}
	}
	cases := []Case{
		flood("no limit", app.Plan{}),
		flood("1 at a time of each of "+count(s.LimitsKeys, "key"), app.Plan{Function: app.Keyed, Keys: s.LimitsKeys}),
	}
	for _, waiting := range s.LimitsWaiting {
		cases = append(cases, Case{
			Name: fmt.Sprintf("limits, beside %s", count(waiting, "waiting run")),
			Run: func(ctx context.Context, rig Rig) (Result, error) {
				result, err := s.besideBacklog(ctx, rig, waiting)
				result.Table, result.Column = "other runs while runs of a function wait, of which one may be worked on", count(waiting, "run")
				return result, err
			},
		})
	}
	return cases
}

// besideBacklog starts runs steadily while runs of another function wait for the one that is worked on. Then these have
// their turn, too.
func (s Settings) besideBacklog(ctx context.Context, rig Rig, waiting int) (Result, error) {
	backlog := rig.App.Expect(app.Plan{Function: app.Single, Held: true}, waiting)
	defer backlog.Close()
	begun := time.Now()
	_, err := publish(ctx, rig.App, s.Publishers, s.Batch, waiting, func(n int) app.Event {
		return backlog.Event(n, time.Now())
	})
	if err != nil {
		return Result{}, err
	}
	published := time.Since(begun)
	result, err := s.steady(ctx, rig, app.Plan{Steps: s.SteadySteps, Checkpoint: s.Checkpoint})
	if err != nil {
		return Result{}, err
	}
	backlog.Release()
	begun = time.Now()
	if err := wait(ctx, rig, backlog, app.Ended, waiting, s.Timeout+time.Duration(waiting)*turn); err != nil {
		return Result{}, err
	}
	result.Numbers = slices.Concat([]meter.Number{
		number("backlog: runs published per second", float64(waiting)/published.Seconds()),
		number("backlog: runs worked off per second", float64(waiting)/time.Since(begun).Seconds()),
	}, result.Numbers)
	return result, nil
}

// turn is more than a run takes that is worked on alone.
const turn = 50 * time.Millisecond
