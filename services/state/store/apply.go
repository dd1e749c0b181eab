package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Applied is what applying a transition changed, for the driver to write.
type Applied struct {
	// Records are the steps that got their result now, in order.
	Records []stepwell.Step
	// Opens are the steps that the run waits for now.
	Opens []stepwell.Opening
	// Opened are all items that were opened: of Opens, the retry, the next discovery.
	Opened []stepwell.Item
	// Dropped are the items that were closed besides the settled one.
	Dropped []stepwell.ItemID
	// Emits are events to be stored unrouted.
	Emits []stepwell.Event
	// Begins is what a throttle counts; nil if the transition is not the first of a run that has one.
	Begins *stepwell.ThrottleStart
}

// Known is what a driver knows that a run does not tell. What is nil is not.
type Known struct {
	// Recorded tells whether a step of the run has its result.
	Recorded func(stepwell.StepID) bool
	// Spent tells whether an event has ended a wait of the run.
	Spent func(stepwell.EventID) bool
	// Heard tells whether somebody in the environment listens to events of a name: a function has a trigger of the name,
	// or a run waits for it.
	Heard func(environment stepwell.EnvironmentID, name string) bool
	// Taken tells whether another run waits for a signal.
	Taken func(stepwell.Wait) bool
}

// Apply applies a transition to a run: the mechanical part of a commit, the same for every driver. The run is changed only
// if there is no error. Outcomes:
//
//   - stepwell.ErrNotFound: the run is of another environment than the caller's (I24).
//   - stepwell.ErrConflict: the run has ended, or Settles is not open, or was claimed by a later lease (I5, I11, I12).
//   - stepwell.ErrConflict also: the event that ends a wait has ended another one of the run (I15).
//   - stepwell.ErrStale: somebody listens to an event that the end did not make (End.Unheard).
//   - stepwell.ErrStale also: a function was deferred that the end does not know of (End.DeferCount).
//   - stepwell.ErrTaken: another run waits for a signal that this one wants to wait for.
//   - stepwell.ErrTooLarge: a checkpoint (Keep) would take the run beyond its bounds. Who settles an item sees that
//     coming and fails the run; a checkpoint cannot.
//   - Otherwise the settled item is closed (unless Keep), results are recorded where there was none (I10), new steps
//     and the retry are opened, and the run is ended or has something open (I7).
//
// The next discovery: there is at most one open at a time, so parallel steps that end together go on once (I13). One is
// opened when the run would wait for nothing else, or when a step of a race ended; if one is open already and may not
// have seen what was recorded, another follows when it is settled. The end of a step does not wait for those that take
// part in a race: their own ends will ask.
func Apply(run *stepwell.Run, known Known, t stepwell.Transition) (Applied, error) {
	settled, err := admit(*run, t)
	if err != nil {
		return Applied{}, err
	}
	if err := unheard(*run, known, t); err != nil {
		return Applied{}, err
	}
	if err := undeferred(*run, t); err != nil {
		return Applied{}, err
	}
	if err := unspent(*run, known, t); err != nil {
		return Applied{}, err
	}
	changed := *run
	a := application{run: &changed, known: known, open: slices.Clone(run.Progress.Open), at: t.At, fromOutside: t.Attempt == nil && !t.Keep}
	if err := a.apply(settled, t); err != nil {
		return Applied{}, err
	}
	*run = changed
	return a.Applied, nil
}

// apply does what Apply says to a copy of the run.
func (a *application) apply(settled stepwell.Item, t stepwell.Transition) error {
	run := a.run
	if settled.ID != "" {
		a.settle(settled, t)
	}
	if settled.Throttled() && t.Attempt != nil && !t.Keep {
		begins := stepwell.NewThrottleStart(settled.Function, settled.Run, settled.Limits, t.Attempt.StartedAt)
		a.Begins = &begins
	}
	for _, step := range t.Records {
		a.record(step)
	}
	if err := a.bounded(t); err != nil {
		return err
	}
	if t.RequestVersion != 0 && run.Progress.RequestVersion == stepwell.RequestVersionUnknown {
		run.Progress.RequestVersion = t.RequestVersion
	}
	if t.Attempt != nil && run.StartedAt.IsZero() {
		run.StartedAt = t.Attempt.StartedAt
	}
	if t.End != nil {
		a.end(t)
		return nil
	}
	if t.Retry != nil {
		a.openItem(*t.Retry)
	}
	for _, opening := range t.Opens {
		if err := a.openStep(opening); err != nil {
			return err
		}
	}
	a.discover(settled, t)
	run.Progress.Open = a.open
	if len(a.open) == 0 {
		panic(fmt.Sprintf("I7: run %s has nothing open after a transition", run.ID))
	}
	return nil
}

// admit says whether the transition may be applied, and returns the item it settles.
func admit(run stepwell.Run, t stepwell.Transition) (stepwell.Item, error) {
	if t.Environment != (stepwell.EnvironmentID{}) && t.Environment != run.Environment {
		return stepwell.Item{}, fmt.Errorf("run %s: %w", t.Run, stepwell.ErrNotFound)
	}
	if run.Status.Ended() {
		return stepwell.Item{}, fmt.Errorf("run %s has ended: %w", run.ID, stepwell.ErrConflict)
	}
	if t.Settles == "" {
		return stepwell.Item{}, nil
	}
	item, open := run.Progress.OpenItem(t.Settles)
	if !open {
		return stepwell.Item{}, fmt.Errorf("item %s is not open: %w", t.Settles, stepwell.ErrConflict)
	}
	if t.Generation != 0 && t.Generation < item.Generation {
		return stepwell.Item{}, fmt.Errorf("item %s was claimed by lease %d: %w",
			t.Settles, item.Generation, stepwell.ErrConflict)
	}
	return item, nil
}

// unheard refuses an end that does not tell those who listen.
func unheard(run stepwell.Run, known Known, t stepwell.Transition) error {
	if t.End == nil || known.Heard == nil {
		return nil
	}
	for _, name := range t.End.Unheard {
		if known.Heard(run.Environment, name) {
			return fmt.Errorf("run %s: somebody listens to %s: %w", run.ID, name, stepwell.ErrStale)
		}
	}
	return nil
}

// undeferred refuses an end that does not know of all functions that are to run then.
func undeferred(run stepwell.Run, t stepwell.Transition) error {
	if t.End == nil || t.End.DeferCount == run.Progress.DeferCount {
		return nil
	}
	return fmt.Errorf("run %s has %d records of deferred functions, its end was decided by %d: %w",
		run.ID, run.Progress.DeferCount, t.End.DeferCount, stepwell.ErrStale)
}

// unspent refuses to end a wait by an event that ended another wait of the run: whoever decided may not have known.
func unspent(run stepwell.Run, known Known, t stepwell.Transition) error {
	for _, step := range t.Records {
		if step.Event != (stepwell.EventID{}) && known.Spent != nil && known.Spent(step.Event) {
			return fmt.Errorf("run %s: event %s ended another wait: %w", run.ID, step.Event, stepwell.ErrConflict)
		}
	}
	return nil
}

// Claim makes generation the latest lease of an open item of the run, which has started then if began says so. Errors: stepwell.ErrConflict if the run has ended,
// the item is not open, or a later lease claimed it (I12).
func Claim(run *stepwell.Run, id stepwell.ItemID, generation int, began time.Time) error {
	if run.Status.Ended() {
		return fmt.Errorf("run %s has ended: %w", run.ID, stepwell.ErrConflict)
	}
	i := slices.IndexFunc(run.Progress.Open, func(o stepwell.Item) bool { return o.ID == id })
	if i < 0 {
		return fmt.Errorf("item %s is not open: %w", id, stepwell.ErrConflict)
	}
	if claimed := run.Progress.Open[i].Generation; generation < claimed {
		return fmt.Errorf("item %s was claimed by lease %d: %w", id, claimed, stepwell.ErrConflict)
	}
	run.Progress.Open[i].Generation = generation
	if run.StartedAt.IsZero() {
		run.StartedAt = began
	}
	return nil
}

// Unpark marks an open item of the run as queued. It reports whether that changed anything.
func Unpark(run *stepwell.Run, id stepwell.ItemID) bool {
	i := slices.IndexFunc(run.Progress.Open, func(o stepwell.Item) bool { return o.ID == id && o.Parked })
	if i < 0 {
		return false
	}
	run.Progress.Open[i].Parked = false
	return true
}

// application is one transition being applied.
type application struct {
	Applied

	run   *stepwell.Run
	known Known
	open  []stepwell.Item
	at    time.Time
	// fromOutside says that the results are not an app's answer, whose bounds the caller has checked.
	fromOutside bool
}

// outsideBytesFree is what a result from outside may take although the run is at its bound: the null of a sleep.
const outsideBytesFree = 256

// recorded tells whether a step had its result before the transition.
func (a *application) recorded(id stepwell.StepID) bool {
	return a.known.Recorded != nil && a.known.Recorded(id)
}

func (a *application) settle(item stepwell.Item, t stepwell.Transition) {
	i := slices.IndexFunc(a.open, func(o stepwell.Item) bool { return o.ID == item.ID })
	if t.Keep {
		a.open[i].Forgiven, a.open[i].UnreachedSince = item.Attempt, time.Time{}
		return
	}
	a.open = slices.Delete(a.open, i, i+1)
}

func (a *application) record(step stepwell.Step) {
	known := func(s stepwell.Step) bool { return s.ID == step.ID }
	if a.recorded(step.ID) || slices.ContainsFunc(a.Records, known) {
		return
	}
	progress := &a.run.Progress
	if step.Kind.Defers() {
		if kept, ok := progress.Defer(step); ok {
			a.Records = append(a.Records, kept)
		}
		return
	}
	if n := len(step.Result.JSON); a.fromOutside && n > outsideBytesFree && progress.StateBytes+n > stepwell.StateBytesMax {
		step.Status = stepwell.StepFailed
		step.Result = stepwell.Result{Kind: stepwell.ResultError, JSON: stepwell.Failure{
			Name: "state_too_large",
			Message: fmt.Sprintf("What the step waited for takes %d bytes, with which the run would have more than %d, the most that are allowed",
				n, stepwell.StateBytesMax),
		}.JSON()}
	}
	progress.StepCount++
	progress.StateBytes += len(step.Result.JSON)
	step.Order = progress.StepCount
	a.Records = append(a.Records, step)
	a.open = slices.DeleteFunc(a.open, func(o stepwell.Item) bool {
		drop := o.Kind != stepwell.ItemDiscovery && o.Step == step.ID
		if drop {
			a.Dropped = append(a.Dropped, o.ID)
		}
		return drop
	})
}

// bounded refuses a checkpoint that takes the run beyond its bounds.
func (a *application) bounded(t stepwell.Transition) error {
	progress := a.run.Progress
	switch {
	case !t.Keep:
		return nil
	case progress.StepCount > stepwell.StepsMax:
		return stepwell.TooLargef("the run has more than %d steps, the most that are allowed", stepwell.StepsMax)
	case progress.StateBytes > stepwell.StateBytesMax:
		return stepwell.TooLargef("the results of the run's steps take %d bytes, at most %d are allowed",
			progress.StateBytes, stepwell.StateBytesMax)
	}
	return nil
}

func (a *application) end(t stepwell.Transition) {
	for _, item := range a.open {
		a.Dropped = append(a.Dropped, item.ID)
	}
	a.run.Status, a.run.Output, a.run.EndedAt = t.End.Status, t.End.Output, t.At
	a.run.Progress.Open, a.run.Progress.Rediscover = nil, false
	a.run.Progress.DeferCount, a.run.Progress.DeferBytes = 0, 0
	for _, event := range t.End.Emits {
		if a.known.Heard == nil || a.known.Heard(a.run.Environment, event.Name) {
			a.Emits = append(a.Emits, event)
		}
	}
}

func (a *application) openStep(opening stepwell.Opening) error {
	id := opening.Step.ID
	isOpen := func(o stepwell.Item) bool { return o.Kind != stepwell.ItemDiscovery && o.Step == id }
	isRecorded := func(s stepwell.Step) bool { return s.ID == id }
	if a.recorded(id) || slices.ContainsFunc(a.Records, isRecorded) || slices.ContainsFunc(a.open, isOpen) {
		return nil
	}
	if w := opening.Wait; w != nil && w.Kind == stepwell.WaitSignal && !w.Replaces && a.known.Taken != nil && a.known.Taken(*w) {
		return fmt.Errorf("run %s: signal %q: %w", w.Run, w.Name, stepwell.ErrTaken)
	}
	a.Opens = append(a.Opens, opening)
	a.openItem(opening.Item)
	if opening.Emits != nil {
		a.Emits = append(a.Emits, *opening.Emits)
	}
	return nil
}

func (a *application) openItem(item stepwell.Item) {
	item = item.OpenedAt(a.at)
	a.open = append(a.open, item)
	a.Opened = append(a.Opened, item)
}

func (a *application) discover(settled stepwell.Item, t stepwell.Transition) {
	progress := &a.run.Progress
	wanted := len(a.open) == 0
	if settled.ID != "" && settled.Kind != stepwell.ItemDiscovery && !t.Keep && t.Retry == nil {
		wanted = wanted || settled.Race || !slices.ContainsFunc(a.open, func(o stepwell.Item) bool { return !o.Race })
	}
	if settled.ID != "" && settled.Kind == stepwell.ItemDiscovery && !t.Keep && t.Retry == nil {
		wanted = wanted || progress.Rediscover
		progress.Rediscover = false
	}
	if !wanted {
		return
	}
	if slices.ContainsFunc(a.open, func(o stepwell.Item) bool { return o.Kind == stepwell.ItemDiscovery }) {
		progress.Rediscover = true
		return
	}
	progress.DiscoveryCount++
	a.openItem(stepwell.NewDiscovery(*a.run, progress.DiscoveryCount, t.At))
}

// Refusal is what ends in the run that invoked a function, if that was started before, or is skipped.
func Refusal(start stepwell.RunStart, led StartedRun, now time.Time) (stepwell.Transition, bool) {
	refused := start.Refused
	if led.Skip == stepwell.SkipSingleton {
		refused = start.Place.Refused
	}
	if refused == nil || led.Started() || led.Buffered || led.ID == start.Run.ID && led.Existed {
		return stepwell.Transition{}, false
	}
	return refused.Transition(start.Run.Environment, now), true
}

// Unaware tells whether somebody listens to an event that one of the cancels of a request does not make (End.Unheard).
func Unaware(cancels []stepwell.Transition, heard func(stepwell.EnvironmentID, string) bool) bool {
	return slices.ContainsFunc(cancels, func(t stepwell.Transition) bool {
		return slices.ContainsFunc(t.End.Unheard, func(name string) bool { return heard(t.Environment, name) })
	})
}

// CancelOf finds among the cancels of a request the one of the run that has a place. ok is false if there is none that was
// decided of the run as it is.
func CancelOf(run stepwell.Run, cancels []stepwell.Transition) (t stepwell.Transition, ok bool) {
	for _, t := range cancels {
		if t.Run == run.ID && undeferred(run, t) == nil {
			return t, true
		}
	}
	return stepwell.Transition{}, false
}

// FirstBuffers are the first of buffers, as many as DueBuffers returns.
func FirstBuffers(buffers []stepwell.Buffer, limit int) []stepwell.Buffer {
	bytes := 0
	for i, buffer := range buffers {
		bytes += buffer.Bytes
		if i == limit || i > 0 && bytes > PageBytesMax {
			return buffers[:i]
		}
	}
	return buffers
}
