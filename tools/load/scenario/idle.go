package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// idle measures a server that has nothing else to do than one run, and then nothing at all.
func idle(s Settings) []Case {
	var cases []Case
	for _, mode := range s.modes() {
		cases = append(cases, Case{
			Name: fmt.Sprintf("idle, one run at a time, %s, %s", count(s.IdleSteps, "step"), mode.name),
			Run: func(ctx context.Context, rig Rig) (Result, error) {
				return s.oneByOne(ctx, rig, app.Plan{Steps: s.IdleSteps, Checkpoint: mode.checkpoint})
			},
		})
	}
	return append(cases, Case{Name: "idle, nothing at all", Run: s.nothing})
}

func (s Settings) oneByOne(ctx context.Context, rig Rig, plan app.Plan) (Result, error) {
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	var runs []app.Run
	var took []time.Duration
	for range s.IdleRuns {
		run, published, err := s.one(ctx, rig, plan)
		if err != nil {
			return Result{}, err
		}
		runs, took = append(runs, run), append(took, published)
		if err := pause(ctx, s.IdlePause); err != nil {
			return Result{}, err
		}
	}
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "run", Count: float64(s.IdleRuns)})
	all := summarize(runs)
	return Result{
		Count: s.IdleRuns, Unit: "runs", Seconds: all.seconds,
		Numbers:   slices.Concat([]meter.Number{all.unneeded()}, spent),
		Latencies: slices.Concat(latency("publish", took), all.latencies),
	}, err
}

// one does one run.
func (s Settings) one(ctx context.Context, rig Rig, plan app.Plan) (app.Run, time.Duration, error) {
	batch := rig.App.Expect(plan, 1)
	defer batch.Close()
	begun := time.Now()
	if err := rig.App.Publish(ctx, []app.Event{batch.Event(0, begun)}); err != nil {
		return app.Run{}, 0, err
	}
	took := time.Since(begun)
	if err := batch.Wait(ctx, app.Ended, s.Timeout); err != nil {
		return app.Run{}, 0, err
	}
	return batch.Runs()[0], took, nil
}

// nothing watches a server that nobody asks for anything.
func (s Settings) nothing(ctx context.Context, rig Rig) (Result, error) {
	spent, err := s.watch(ctx, rig)
	return Result{Count: int(s.Watch.Seconds()), Unit: "seconds", Seconds: s.Watch.Seconds(), Numbers: spent}, err
}

// watch is what the server spends in a second without work.
func (s Settings) watch(ctx context.Context, rig Rig) ([]meter.Number, error) {
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, s.Watch); err != nil {
		return nil, err
	}
	return rig.Meter.End(ctx, before, meter.Work{Unit: "second", Count: s.Watch.Seconds(), Idle: true})
}

func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}
