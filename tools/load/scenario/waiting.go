package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// waiting has many runs sleep for long, and looks at what that costs.
func waiting(s Settings) []Case {
	return []Case{{
		Name: fmt.Sprintf("waiting, %s", count(s.WaitingRuns, "sleeping run")),
		Run:  s.waiting,
	}}
}

func (s Settings) waiting(ctx context.Context, rig Rig) (Result, error) {
	plan := app.Plan{Sleeps: 1, SleepFor: s.WaitingFor, Checkpoint: s.Checkpoint}
	batch := rig.App.Expect(plan, s.WaitingRuns)
	defer batch.Close()
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	begun := time.Now()
	_, err = publish(ctx, rig.App, s.Publishers, s.Batch, s.WaitingRuns, func(n int) app.Event {
		return batch.Event(n, time.Now())
	})
	if err != nil {
		return Result{}, err
	}
	if err := wait(ctx, rig, batch, app.Asleep, s.WaitingRuns, s.Timeout); err != nil {
		return Result{}, err
	}
	seconds := time.Since(begun).Seconds()
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "run", Count: float64(s.WaitingRuns)})
	if err != nil {
		return Result{}, err
	}
	rig.Log.Info("watching the server while its runs sleep", "runs", s.WaitingRuns, "for", s.Watch)
	nothing, err := s.watch(ctx, rig)
	if err != nil {
		return Result{}, err
	}
	s.cancel(ctx, rig, batch.Runs())
	// How much memory there is was read twice; the later one counts.
	spent = slices.DeleteFunc(spent, func(n meter.Number) bool {
		return slices.ContainsFunc(nothing, func(later meter.Number) bool { return later.Name == n.Name })
	})
	return Result{
		Count: s.WaitingRuns, Unit: "runs", Seconds: seconds,
		Numbers: slices.Concat([]meter.Number{
			number("runs put to sleep per second", float64(s.WaitingRuns)/seconds),
		}, spent, nothing),
	}, nil
}

// cancel ends runs that nobody waits for. A server that cannot has them until they wake.
func (s Settings) cancel(ctx context.Context, rig Rig, runs []app.Run) {
	for n, run := range runs {
		if err := rig.App.Cancel(ctx, run.ID); err != nil {
			rig.Log.Warn("runs could not be cancelled and sleep on", "left", len(runs)-n, "for", s.WaitingFor, "error", err)
			return
		}
	}
}
