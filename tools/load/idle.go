package main

import (
	"context"
	"time"
)

// idleWatch is how long the idle server's CPU time is watched.
const idleWatch = 10 * time.Second

// idle measures one run at a time: from event to first call, from step to step, and the CPU time of doing nothing.
func idle(ctx context.Context, s settings, a *app) (report, error) {
	result := report{Scenario: "idle", Server: s.server, Runs: s.count, Steps: s.steps}
	for n := range s.count {
		published := time.Now()
		t, err := a.publish(ctx, n, s.steps)
		if err != nil {
			return result, err
		}
		if err := t.wait(ctx); err != nil {
			return result, err
		}
		result.firstCall = append(result.firstCall, t.arrived[0].Sub(published))
		for i := 1; i < len(t.arrived); i++ {
			result.stepGap = append(result.stepGap, t.arrived[i].Sub(t.answered[i-1]))
		}
		time.Sleep(s.pause)
	}
	if len(s.pids) == 0 {
		return result.summarise(), nil
	}
	before, err := cpuTime(s.pids)
	if err != nil {
		return result, err
	}
	select {
	case <-ctx.Done():
		return result, ctx.Err()
	case <-time.After(idleWatch):
	}
	after, err := cpuTime(s.pids)
	if err != nil {
		return result, err
	}
	share := 100 * (after - before).Seconds() / idleWatch.Seconds()
	result.IdleCPUPercent = &share
	return result.summarise(), nil
}
