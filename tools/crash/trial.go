package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stepwell/stepwell/tools/crash/fleet"
	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/verdict"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

const (
	// burst is how long events are published, and faults begin, in a trial.
	burst = 1800 * time.Millisecond
	// leaseFor is how long an item stays with an executor that says nothing.
	leaseFor = 2 * time.Second
	// settleMax bounds how long runs may take to end when nothing is broken any more.
	settleMax = 60 * time.Second
	// lookEvery is how often it is looked whether they have.
	lookEvery = 150 * time.Millisecond
	// quietLooks is how many looks in a row must find nothing left.
	quietLooks = 2
)

// How events are published.
const (
	// requestEventsMax bounds the events of a request.
	requestEventsMax = 5
	// twiceOneIn is how seldom a request is sent once more, as by a publisher who did not see the answer.
	twiceOneIn = 8
)

// rig is the system and its witness.
type rig struct {
	fleet   *fleet.Fleet
	witness *witness.Witness
	// progress is told how it goes.
	progress io.Writer
}

// result is what came of a trial.
type result struct {
	seed       uint64
	faults     map[string]int
	sent       int
	acked      int
	runs       int
	executions int
	// repeated are the executions beyond the first of each attempt.
	repeated int
	// awaited are the waits that an event ended, timedOut those that took too long.
	awaited    int
	timedOut   int
	took       time.Duration
	violations []verdict.Violation
}

// trial publishes a burst while faults happen, waits until everything has ended, and judges.
func (r *rig) trial(ctx context.Context, seed uint64, o options) (result, error) {
	began := time.Now()
	faults := draw(rand.New(rand.NewPCG(seed, 1)), o.faults, burst)     //nolint:gosec // to be drawn again by the same seed
	requests := compose(rand.New(rand.NewPCG(seed, 2)), seed, o.events) //nolint:gosec // likewise
	fmt.Fprintf(r.progress, "seed %d: %s\n", seed, describe(faults))
	out := result{seed: seed}
	var breaking sync.WaitGroup // waited for below
	breaking.Go(func() { out.faults = inject(ctx, r.fleet, faults) })
	r.publish(ctx, requests)
	breaking.Wait()

	left, err := r.settle(ctx, began)
	if err != nil {
		return out, err
	}
	// What is stored is read before what was seen: the app sees nothing new then.
	stored, err := record.Load(ctx, r.fleet.URL(fleet.Postgres), began)
	if err != nil {
		return out, err
	}
	testimony := r.witness.Testimony()
	var sent []string
	for _, request := range requests {
		for _, event := range request.events {
			sent = append(sent, event.ID)
		}
	}
	out.violations = verdict.Judge(testimony, stored, sent)
	if left != (record.Left{}) {
		out.violations = append(out.violations, verdict.Violation{
			Promise: verdict.Left, Text: fmt.Sprintf("%s after everything had worked for %s", left, settleMax),
		})
	}
	deaths, err := r.fleet.Deaths()
	for _, death := range deaths {
		out.violations = append(out.violations, verdict.Violation{Promise: verdict.Died, Text: death})
	}
	out.count(testimony, stored, sent)
	out.took = time.Since(began)
	return out, err
}

// count sums up what happened.
func (r *result) count(t witness.Testimony, stored record.Record, sent []string) {
	r.sent, r.runs = len(sent), len(stored.Runs)
	for _, key := range sent {
		if t.Sent[key].Acked {
			r.acked++
		}
	}
	for _, run := range stored.Runs {
		r.countWaits(run)
		seen := t.Runs[run.ID]
		if seen == nil {
			continue
		}
		for _, times := range seen.Executions {
			r.executions += times
			r.repeated += times - 1
		}
	}
}

// countWaits tells apart how the waits of a run ended, so that it shows whether both do.
func (r *result) countWaits(run record.Run) {
	for _, f := range witness.Functions() {
		for _, waiting := range f.Steps() {
			for _, step := range run.Steps {
				switch {
				case f.ID != run.Function || waiting.Awaits == "" || step.ID != waiting.ID() || !step.Recorded:
				case step.Event == "":
					r.timedOut++
				default:
					r.awaited++
				}
			}
		}
	}
}

// request is events that are published together at a time.
type request struct {
	at     time.Duration
	events []witness.Event
	twice  bool
}

// compose makes the requests of a trial.
func compose(random *rand.Rand, seed uint64, count int) []request {
	names := witness.Events()
	var requests []request
	for made := 0; made < count; {
		next := request{at: between(random, 0, burst), twice: random.IntN(twiceOneIn) == 0}
		for range min(1+random.IntN(requestEventsMax), count-made) {
			next.events = append(next.events, witness.Event{
				ID: fmt.Sprintf("%d-%d", seed, made), Name: names[random.IntN(len(names))],
				Data: map[string]any{},
			})
			made++
		}
		requests = append(requests, next)
	}
	return requests
}

// publish sends the requests, each at its time, and returns when all are answered or given up.
func (r *rig) publish(ctx context.Context, requests []request) {
	var publishing sync.WaitGroup // waited for below
	for _, next := range requests {
		publishing.Go(func() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(next.at):
			}
			r.witness.Publish(ctx, next.events)
			if next.twice {
				r.witness.Publish(ctx, next.events)
			}
		})
	}
	publishing.Wait()
}

// settle waits until nothing is left to do and every process works again. It returns what is left when that takes too
// long.
func (r *rig) settle(ctx context.Context, began time.Time) (record.Left, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settleMax, errSettle)
	defer cancel()
	if err := r.fleet.Alive(ctx); err != nil {
		return record.Left{}, err
	}
	reader, err := record.Open(ctx, r.fleet.URL(fleet.Postgres), r.fleet.URL(fleet.Redis))
	if err != nil {
		return record.Left{}, err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	for quiet, looks := 0, 0; ; looks++ {
		left, err := reader.Left(ctx)
		switch {
		case errors.Is(context.Cause(ctx), errSettle):
			return left, nil
		case err != nil:
			return left, err
		case left == (record.Left{}) && r.witness.Pending() == 0:
			quiet++
		default:
			quiet = 0
		}
		if quiet == quietLooks {
			return record.Left{}, r.fleet.Ready(ctx)
		}
		if looks%looksPerReport == looksPerReport-1 {
			fmt.Fprintf(r.progress, "  %s: %s\n", time.Since(began).Round(time.Second), left)
		}
		select {
		case <-ctx.Done():
			return left, nil
		case <-time.After(lookEvery):
		}
	}
}

// looksPerReport is how many looks pass before the progress is told.
const looksPerReport = 30

// errSettle is why waiting ended in vain.
var errSettle = errors.New("runs have not ended in time")
