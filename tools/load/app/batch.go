package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Function is one of the functions of the app. They do the same, but for their limits.
type Function string

// The functions.
const (
	// Unlimited has no limits.
	Unlimited Function = "run"
	// Keyed works on one run of each key at a time.
	Keyed Function = "keyed"
	// Single works on one run at a time.
	Single Function = "single"
)

// Plan is what each run of a batch does: its steps one after the other, then its sleeps all at once or its wait.
type Plan struct {
	// Function is Unlimited if it is empty.
	Function Function
	// Keys is among how many keys of Keyed the runs are divided.
	Keys int
	// Held has calls not be answered before Release.
	Held  bool
	Steps int
	// Checkpoint reports steps while the call goes on, as the JavaScript SDK does by default. Otherwise each step is the
	// answer to a call of its own.
	Checkpoint bool
	Sleeps     int
	SleepFor   time.Duration
	// WaitFor, if it is not 0, is how long the run waits for the event that resumes it. Such a run has no sleeps.
	WaitFor time.Duration
}

// Run is what the app saw of a run. A time is zero until it happened.
type Run struct {
	ID string
	// DueAt is when its event was to be published.
	DueAt      time.Time
	FirstCall  time.Time
	LastAnswer time.Time
	// Asleep is when the sleeps, or the wait, were asked for.
	Asleep time.Time
	// Resumed is when the first call after that came.
	Resumed time.Time
	// Ended is when the app gave the run's result.
	Ended time.Time
	// Gaps are the times from the end of a step to the moment at which the next one could begin.
	Gaps []time.Duration
	// Calls, and those among them that were not a first attempt or came after the end.
	Calls    int
	Repeated int
}

// Batch is runs with the same plan.
type Batch struct {
	app  *App
	plan Plan
	name string

	// released is closed when calls are answered.
	released chan struct{}
	release  sync.Once

	mu      sync.Mutex
	runs    []Run
	counts  [phases]int
	reached [phases]chan struct{}
}

// Phase is how far a run has come.
type Phase int

// The phases that may be waited for.
const (
	// Asleep is when all sleeps of the run, or its wait, were asked for.
	Asleep Phase = iota
	// Ended is when the run's result was given.
	Ended
	phases
)

// Expect makes the app ready for the runs of a batch. Close must be called in the end.
func (a *App) Expect(plan Plan, count int) *Batch {
	b := &Batch{
		app: a, plan: plan, runs: make([]Run, count),
		name: a.instance + "-" + strconv.FormatInt(a.batchCount.Add(1), 10), released: make(chan struct{}),
	}
	if !plan.Held {
		b.Release()
	}
	for phase := range b.reached {
		b.reached[phase] = make(chan struct{})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.batches[b.name] = b
	a.problem = nil
	return b
}

// Release has calls answered, those that are held too.
func (b *Batch) Release() { b.release.Do(func() { close(b.released) }) }

// Close forgets the batch. Calls of its runs that still come get the run's end as their answer.
func (b *Batch) Close() {
	b.Release()
	b.app.mu.Lock()
	defer b.app.mu.Unlock()
	delete(b.app.batches, b.name)
}

// eventData tells the app what a call is about.
type eventData struct {
	Batch      string `json:"batch"`
	Checkpoint bool   `json:"checkpoint"`
	// ID is what the event that resumes the run has too.
	ID      string `json:"id"`
	Run     int    `json:"run"`
	Key     int    `json:"key"`
	SleepMS int64  `json:"sleep_ms"`
	Sleeps  int    `json:"sleeps"`
	Steps   int    `json:"steps"`
	WaitMS  int64  `json:"wait_ms"`
}

// Event is the event that starts run n, which was to be published at due.
func (b *Batch) Event(n int, due time.Time) Event {
	b.mu.Lock()
	b.runs[n].DueAt = due
	b.mu.Unlock()
	return Event{Name: b.app.event(cmp.Or(b.plan.Function, Unlimited)), TS: time.Now().UnixMilli(), Data: eventData{
		Batch: b.name, ID: b.id(n), Run: n, Key: n % max(b.plan.Keys, 1), Steps: b.plan.Steps, Checkpoint: b.plan.Checkpoint,
		Sleeps: b.plan.Sleeps, SleepMS: b.plan.SleepFor.Milliseconds(), WaitMS: b.plan.WaitFor.Milliseconds(),
	}}
}

// Resuming is the event for which run n waits.
func (b *Batch) Resuming(n int) Event {
	return Event{Name: b.app.eventResume(), TS: time.Now().UnixMilli(), Data: map[string]string{"id": b.id(n)}}
}

// id tells run n from all others.
func (b *Batch) id(n int) string { return b.name + "-" + strconv.Itoa(n) }

// Runs are the runs as far as they have come.
func (b *Batch) Runs() []Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := make([]Run, len(b.runs))
	copy(runs, b.runs)
	return runs
}

// Run is run n as far as it has come. Its gaps are not to be changed.
func (b *Batch) Run(n int) Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs[n]
}

// Count is how many runs have come so far.
func (b *Batch) Count(phase Phase) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[phase]
}

// Wait waits until all runs have come so far. If they do not within the time, the error says what is missing.
func (b *Batch) Wait(ctx context.Context, phase Phase, timeout time.Duration) error {
	select {
	case <-b.reached[phase]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(timeout):
		return b.missing(phase, timeout)
	}
}

// missing says which runs have not come so far.
func (b *Batch) missing(phase Phase, timeout time.Duration) error {
	b.app.mu.Lock()
	problem := b.app.problem
	b.app.mu.Unlock()
	if problem == nil {
		problem = errors.New("the app saw nothing wrong: see the server's log")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	uncalled, first := 0, -1
	for n, run := range b.runs {
		if run.Calls == 0 {
			uncalled++
		}
		if first < 0 && ((phase == Ended && run.Ended.IsZero()) || (phase == Asleep && run.Asleep.IsZero())) {
			first = n
		}
	}
	if first < 0 {
		return nil // it came just now
	}
	left := len(b.runs) - b.counts[phase]
	run := b.runs[first]
	example := fmt.Sprintf("number %d was never called", first)
	if run.Calls > 0 {
		example = fmt.Sprintf("number %d, %s, got %d calls", first, run.ID, run.Calls)
	}
	return fmt.Errorf("%d of %d runs did not %s within %s: %d were never called, %d were called and then left; "+
		"the first, %s; %w", left, len(b.runs), [phases]string{"fall asleep", "end"}[phase], timeout, uncalled,
		left-uncalled, example, problem)
}

// advance counts a run that has come so far. b.mu is held.
func (b *Batch) advance(phase Phase) {
	b.counts[phase]++
	if b.counts[phase] == len(b.runs) {
		close(b.reached[phase])
	}
}
