package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// sleeps has runs sleep many times at once.
func sleeps(s Settings) []Case {
	return []Case{s.sleepsCase(1), s.sleepsCase(s.SleepsRuns)}
}

func (s Settings) sleepsCase(runs int) Case {
	return Case{
		Name: fmt.Sprintf("sleeps, %s of %s", count(runs, "run"), count(s.SleepsCount, "parallel sleep")),
		Run:  func(ctx context.Context, rig Rig) (Result, error) { return s.sleeps(ctx, rig, runs) },
	}
}

func (s Settings) sleeps(ctx context.Context, rig Rig, runs int) (Result, error) {
	plan := app.Plan{Sleeps: s.SleepsCount, SleepFor: s.SleepsFor, Checkpoint: s.Checkpoint}
	batch := rig.App.Expect(plan, runs)
	defer batch.Close()
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	_, err = publish(ctx, rig.App, s.Publishers, s.Batch, runs, func(n int) app.Event {
		return batch.Event(n, time.Now())
	})
	if err != nil {
		return Result{}, err
	}
	if err := wait(ctx, rig, batch, app.Ended, runs, s.SleepsFor+s.Timeout); err != nil {
		return Result{}, err
	}
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "sleep", Count: float64(runs * s.SleepsCount)})
	ended := batch.Runs()
	all := summarize(ended)
	var late []time.Duration
	calls := 0
	for _, run := range ended {
		late = append(late, run.Ended.Sub(run.Asleep)-s.SleepsFor)
		calls += run.Calls
	}
	return Result{
		Count: runs, Unit: "runs", Seconds: all.seconds,
		Numbers: slices.Concat([]meter.Number{
			all.throughput(runs), number("calls per run", float64(calls)/float64(runs)), all.unneeded(),
		}, spent),
		Latencies: slices.Concat(all.latencies, latency("end after the sleeps", late)),
	}, err
}
