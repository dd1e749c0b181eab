package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/stepwell/stepwell/tools/crash/fleet"
	"github.com/stepwell/stepwell/tools/crash/record"
)

// verb is what is done to a member.
type verb string

// The verbs.
const (
	kill   verb = "kill"
	stop   verb = "stop"
	freeze verb = "freeze"
	flush  verb = "flush"
)

// fault is something that goes wrong at a time.
type fault struct {
	at     time.Duration
	verb   verb
	kind   fleet.Kind
	number int
	lasts  time.Duration
}

func (f fault) name() string { return string(f.verb) + " " + string(f.kind) }

func (f fault) String() string {
	return fmt.Sprintf("at %s %s %d for %s", f.at.Round(time.Millisecond), f.name(), f.number,
		f.lasts.Round(time.Millisecond))
}

// cards are the faults that a trial draws from, as from a deck: all before any comes again. What is most likely to show
// a defect is there twice.
func cards() []fault {
	return []fault{
		{verb: kill, kind: fleet.EventAPI},
		{verb: kill, kind: fleet.Runner},
		{verb: kill, kind: fleet.State},
		{verb: kill, kind: fleet.Executor},
		{verb: kill, kind: fleet.Executor},
		{verb: freeze, kind: fleet.EventAPI},
		{verb: freeze, kind: fleet.Runner},
		{verb: freeze, kind: fleet.State},
		{verb: freeze, kind: fleet.Executor},
		{verb: freeze, kind: fleet.Executor},
		{verb: stop, kind: fleet.EventAPI},
		{verb: stop, kind: fleet.Runner},
		{verb: stop, kind: fleet.State},
		{verb: stop, kind: fleet.Executor},
		{verb: freeze, kind: fleet.Redis},
		{verb: flush, kind: fleet.Redis},
		{verb: kill, kind: fleet.Redis},
		{verb: kill, kind: fleet.Postgres},
	}
}

// How long things stay broken. A frozen executor is so for longer than its leases last.
const (
	downMin, downMax     = 20 * time.Millisecond, 700 * time.Millisecond
	frozenMin, frozenMax = 200 * time.Millisecond, 1500 * time.Millisecond
	beyondLease          = 900 * time.Millisecond
)

// togetherOneIn is how seldom a fault happens at the same time as the one before.
const togetherOneIn = 4

// draw makes the faults of a trial, of which the random numbers decide everything.
func draw(random *rand.Rand, count int, during time.Duration) []fault {
	var deck, faults []fault
	for len(faults) < count {
		if len(deck) == 0 {
			deck = cards()
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := deck[0]
		deck = deck[1:]
		f.at, f.number = between(random, 0, during), random.IntN(fleet.Count(f.kind))
		if len(faults) > 0 && random.IntN(togetherOneIn) == 0 {
			f.at = faults[len(faults)-1].at
		}
		switch {
		case f.verb == kill, f.verb == stop:
			f.lasts = between(random, downMin, downMax)
		case f.verb == freeze && f.kind == fleet.Executor:
			f.lasts = leaseFor + between(random, 0, beyondLease)
		case f.verb == freeze:
			f.lasts = between(random, frozenMin, frozenMax)
		}
		faults = append(faults, f)
	}
	return faults
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// inject lets the faults happen, and returns when all are over. It counts by name those that hit something.
func inject(ctx context.Context, f *fleet.Fleet, faults []fault) map[string]int {
	counts := map[string]int{}
	var mu sync.Mutex
	var happening sync.WaitGroup // waited for below
	for _, next := range faults {
		happening.Go(func() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(next.at):
			}
			if next.happen(ctx, f) {
				mu.Lock()
				counts[next.name()]++
				mu.Unlock()
			}
		})
	}
	happening.Wait()
	return counts
}

// happen returns when the fault is over, but a killed member is started again by itself.
func (f fault) happen(ctx context.Context, all *fleet.Fleet) bool {
	member := all.Members(f.kind)[f.number]
	switch f.verb {
	case kill:
		return member.Kill(f.lasts)
	case stop:
		return member.Stop(f.lasts)
	case freeze:
		return member.Freeze(ctx, f.lasts)
	case flush:
		return record.Flush(ctx, all.URL(f.kind)) == nil // it is down, which is worse
	}
	return false
}

// describe lists faults in the order in which they happen.
func describe(faults []fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "; ")
}
