package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// waits has more and more runs wait, each for an event of its own, and resumes some of them.
func waits(s Settings) []Case {
	crowds := map[*app.App]*crowd{}
	var cases []Case
	for _, size := range s.WaitsRuns {
		cases = append(cases, Case{
			Name: "waits, " + count(size, "waiting run"),
			Run: func(ctx context.Context, rig Rig) (Result, error) {
				if crowds[rig.App] == nil {
					crowds[rig.App] = &crowd{}
				}
				result, err := s.waits(ctx, rig, crowds[rig.App], size)
				result.Table, result.Column = "waits", count(size, "run")
				return result, err
			},
		})
	}
	return cases
}

// crowd is the runs of an app that wait, in all cases together: a case has those wait that are missing.
type crowd struct {
	waiting []waiter
}

type waiter struct {
	batch *app.Batch
	run   int
}

func (w waiter) seen() app.Run { return w.batch.Run(w.run) }

func (s Settings) waits(ctx context.Context, rig Rig, all *crowd, size int) (Result, error) {
	gathered, err := s.gather(ctx, rig, all, size-len(all.waiting))
	if err != nil {
		return Result{}, err
	}
	rig.Log.Info("watching the server while its runs wait", "runs", size, "for", s.Watch)
	nothing, err := s.watch(ctx, rig)
	if err != nil {
		return Result{}, err
	}
	result, err := s.resume(ctx, rig, all)
	if err != nil {
		return Result{}, err
	}
	// How much memory there is was read more than once; the last one counts.
	var numbers []meter.Number
	for _, n := range slices.Concat(gathered, nothing) {
		if !slices.ContainsFunc(result.Numbers, func(later meter.Number) bool { return later.Name == n.Name }) {
			numbers = append(numbers, n)
		}
	}
	result.Numbers = append(numbers, result.Numbers...)
	return result, nil
}

// underWayMax is how many runs are on their way to wait at a time, so that the queue does not grow.
const underWayMax = 5000

// gather has some more runs wait. What that takes is not told of those that only replace what an earlier round resumed.
func (s Settings) gather(ctx context.Context, rig Rig, all *crowd, runs int) ([]meter.Number, error) {
	if runs <= 0 {
		return nil, nil
	}
	batch := rig.App.Expect(app.Plan{WaitFor: s.WaitsFor}, runs) // never closed: later cases resume its runs
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	stop := tell(ctx, rig, batch, app.Asleep, runs)
	_, err = publish(ctx, rig.App, s.Publishers, s.Batch, runs, func(n int) app.Event {
		for n-batch.Count(app.Asleep) > underWayMax && pause(ctx, time.Millisecond) == nil {
		}
		return batch.Event(n, time.Now())
	})
	stop()
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, rig, batch, app.Asleep, runs, s.Timeout); err != nil {
		return nil, err
	}
	seconds := time.Since(begun).Seconds()
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "new wait", Count: float64(runs)})
	for run := range runs {
		all.waiting = append(all.waiting, waiter{batch, run})
	}
	if runs <= s.WaitsEvents {
		return nil, err
	}
	return append([]meter.Number{
		number("new waits", float64(runs)), number("new waits per second", float64(runs)/seconds),
	}, spent...), err
}

// resume publishes the events of some of the runs, in no order, and looks at when these go on.
func (s Settings) resume(ctx context.Context, rig Rig, all *crowd) (Result, error) {
	events := min(s.WaitsEvents, len(all.waiting))
	swap := func(i, j int) { all.waiting[i], all.waiting[j] = all.waiting[j], all.waiting[i] }
	rand.Shuffle(len(all.waiting), swap) //nolint:gosec // it keeps no secret
	var chosen []waiter
	chosen, all.waiting = all.waiting[:events], all.waiting[events:]
	// What an event takes for which nothing waits is the measure for what waiting adds.
	unawaited, err := publishEvenly(ctx, rig.App, s.WaitsRate, events, func(n int, _ time.Time) app.Event {
		return app.Nothing(n)
	})
	if err != nil {
		return Result{}, err
	}
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	due := make([]time.Time, events)
	begun := time.Now()
	took, err := publishEvenly(ctx, rig.App, s.WaitsRate, events, func(n int, at time.Time) app.Event {
		due[n] = at
		return chosen[n].batch.Resuming(chosen[n].run)
	})
	if err != nil {
		return Result{}, err
	}
	seconds := time.Since(begun).Seconds()
	for _, w := range chosen {
		if err := awaitEnd(ctx, w, s.Timeout); err != nil {
			return Result{}, err
		}
	}
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "event", Count: float64(events)})
	var whole, rest []time.Duration
	unneeded := 0
	for n, w := range chosen {
		run := w.seen()
		after := run.Resumed.Sub(due[n])
		whole, rest = append(whole, after), append(rest, max(0, after-took[n]))
		unneeded += run.Calls - callsOfWait
	}
	for _, w := range all.waiting {
		unneeded += w.seen().Calls - 1 // it has no event
	}
	return Result{
		Count: events, Unit: "events", Seconds: seconds,
		Numbers: slices.Concat([]meter.Number{
			number("runs resumed", float64(len(whole))), number("calls that were not needed", float64(unneeded)),
		}, spent),
		Latencies: slices.Concat(
			latency("publish, unawaited", unawaited), latency("publish", took), latency("200 to resumed call", rest), latency("event to resumed call", whole)),
	}, err
}

// callsOfWait are the calls of a run that waits: the one that asks for the wait, and the one after it.
const callsOfWait = 2

// awaitEnd waits for the end of a run that was resumed.
func awaitEnd(ctx context.Context, w waiter, timeout time.Duration) error {
	for begun := time.Now(); w.seen().Ended.IsZero(); {
		if time.Since(begun) > timeout {
			return fmt.Errorf("run %s did not end within %s after the event for which it waits: see the server's log",
				w.seen().ID, timeout)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
