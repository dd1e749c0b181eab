package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// requestVersionCoalesced is the first protocol version by which parallel steps go on together: the app is asked again
// when all have ended, not after each.
const requestVersionCoalesced = 2

// Call is one finished call to an app, and all that deciding about it needs.
type Call struct {
	// State is the run as it was loaded for the call, with Item open.
	State      stepwell.RunState
	Item       stepwell.Item
	Generation int
	Outcome    stepwell.Outcome
	StartedAt  time.Time
	EndedAt    time.Time
	Backoff    Backoff
	// SystemRetryFor is how long calls that reach no app do not count as attempts.
	SystemRetryFor time.Duration
	// Jitter is a random number in [0, 1).
	Jitter float64
	// Heard says of which of the server's own events about runs it is known that somebody listens to them.
	Heard Heard
	// SignalTaken says that another run waits for a signal that the answer wants to wait for.
	SignalTaken bool
}

// Settle is what a call changes.
func Settle(c Call) stepwell.Transition {
	d := decision{Call: c, out: stepwell.Transition{
		Run: c.State.Run.ID, Settles: c.Item.ID, Generation: c.Generation, At: c.EndedAt,
		RequestVersion: c.Outcome.RequestVersion,
		Attempt: &stepwell.Attempt{
			Item: c.Item.ID, Step: c.Item.Step, Number: c.Item.CountedAttempt(),
			StartedAt: c.StartedAt, EndedAt: c.EndedAt, HTTPStatus: c.Outcome.HTTPStatus,
		},
	}}
	for _, op := range c.Outcome.Ops {
		d.deferral(op) // first, since others may end the run
	}
	for _, op := range c.Outcome.Ops {
		d.apply(op)
	}
	switch {
	case d.out.End != nil || d.out.Retry != nil:
	case c.Outcome.Unreached != nil:
		d.unreached(*c.Outcome.Unreached)
	case c.Outcome.Failure != nil:
		d.bodyFailed(c.Outcome.Failure)
	case c.Outcome.Finished:
		d.finish(c.Outcome.Output)
	case d.leftUndone():
		d.bodyFailed(stepwell.Failure{
			Name:    "step_not_run",
			Message: fmt.Sprintf("The app was asked to run step %s and answered without its result", c.Item.Step),
		}.JSON())
	}
	d.bound()
	return d.out
}

// decision is a transition in the making.
type decision struct {
	Call
	out stepwell.Transition
}

func (d *decision) apply(op stepwell.Op) {
	switch op.Code {
	case stepwell.OpNone, stepwell.OpDiscoveryRequest, stepwell.OpDeferAdd, stepwell.OpDeferAbort:
		// The next discovery follows by itself, and what is deferred was seen to.
	case stepwell.OpStepRun:
		d.record(op, stepwell.StepCompleted, stepwell.Result{Kind: stepwell.ResultData, JSON: op.Data})
	case stepwell.OpStepError:
		d.stepFailed(op, d.Outcome.NoRetry)
	case stepwell.OpStepFailed:
		d.stepFailed(op, true)
	case stepwell.OpStepPlanned:
		d.open(op, stepwell.StepRun, stepwell.ItemStep, d.EndedAt)
	case stepwell.OpSleep:
		d.open(op, stepwell.StepSleep, stepwell.ItemSleep, op.DueAt)
	case stepwell.OpWaitForEvent:
		d.waitForEvent(op)
	case stepwell.OpWaitForSignal:
		d.waitForSignal(op)
	case stepwell.OpInvoke:
		d.invoke(op)
	case stepwell.OpRunComplete:
		d.finish(op.Data)
	case stepwell.OpFetch, stepwell.OpUnsupported:
		// A fetch that is left over is one that the caller did not know how to make.
		d.fail(unsupported(op).JSON())
	}
}

// record adds a step's result.
func (d *decision) record(op stepwell.Op, status stepwell.StepStatus, result stepwell.Result) {
	step := stepwell.Step{
		ID: op.Step, Name: op.Name, Kind: op.Kind, Status: status, Result: result,
		OpenedAt: d.StartedAt, StartedAt: op.StartedAt, EndedAt: op.EndedAt,
	}
	if step.StartedAt.IsZero() {
		step.StartedAt, step.EndedAt = d.StartedAt, d.EndedAt
	}
	d.out.Records = append(d.out.Records, step)
	if d.out.Attempt != nil && len(d.out.Attempt.Error) == 0 { // an error among several operations is what it tells of
		d.out.Attempt.Step, d.out.Attempt.StepName = op.Step, op.Name
	}
}

// stepFailed tries the step again if that is allowed, else records its error, which the app's code may catch.
func (d *decision) stepFailed(op stepwell.Op, final bool) {
	if !final && d.mayRetry() {
		if op.RetryAt.After(d.Outcome.RetryAt) {
			d.Outcome.RetryAt = op.RetryAt
		}
		d.out.Attempt.Step, d.out.Attempt.StepName, d.out.Attempt.Error = op.Step, op.Name, op.Failure
		d.retry()
		return
	}
	d.record(op, stepwell.StepFailed, stepwell.Result{Kind: stepwell.ResultError, JSON: op.Failure})
	if d.out.Retry == nil { // else the attempt is about what is tried again
		d.out.Attempt.Step, d.out.Attempt.StepName, d.out.Attempt.Error = op.Step, op.Name, op.Failure
		d.out.Attempt.Status = stepwell.AttemptFailed
	}
}

// bodyFailed tries the call again if that is allowed, else fails the run.
func (d *decision) bodyFailed(failure json.RawMessage) {
	d.out.Attempt.Error = failure
	if !d.Outcome.NoRetry && d.mayRetry() {
		d.retry()
		return
	}
	d.fail(failure)
}

// unreached tries the call again without counting the attempt, until that has gone on for too long.
func (d *decision) unreached(failure stepwell.Failure) {
	since := d.unreachedSince()
	if d.EndedAt.Sub(since) >= d.SystemRetryFor {
		if since.Before(d.EndedAt) {
			failure.Message += " (unreachable since " + since.UTC().Format(time.RFC3339) + ")"
		}
		d.bodyFailed(failure.JSON())
		return
	}
	dueAt := d.EndedAt.Add(systemDelay(d.EndedAt.Sub(since), d.Jitter))
	if d.Outcome.RetryAt.After(dueAt) {
		dueAt = d.Outcome.RetryAt
	}
	d.out.Attempt.Error = failure.JSON()
	d.again(dueAt)
	d.out.Retry.Forgiven++
}

// unreachedSince is since when the item's calls reach no app; zero if this one did.
func (d *decision) unreachedSince() time.Time {
	switch {
	case d.Outcome.Unreached == nil:
		return time.Time{}
	case d.Item.UnreachedSince.IsZero():
		return d.EndedAt
	}
	return d.Item.UnreachedSince
}

func (d *decision) mayRetry() bool {
	return d.Item.CountedAttempt()+1 < d.State.Function.AttemptsMax()
}

func (d *decision) retry() {
	dueAt := d.Outcome.RetryAt
	if dueAt.IsZero() {
		dueAt = d.EndedAt.Add(d.Backoff.Delay(d.Item.CountedAttempt(), d.Jitter))
	}
	d.again(dueAt)
}

// again opens the item's next attempt.
func (d *decision) again(dueAt time.Time) {
	next := d.Item.Next(dueAt)
	next.UnreachedSince = d.unreachedSince()
	d.out.Retry = &next
	d.out.Attempt.Status, d.out.Attempt.NextAt = stepwell.AttemptRetried, dueAt
}

// open opens a step, and returns it for more to be said about it; nil if it cannot be opened.
func (d *decision) open(
	op stepwell.Op, kind stepwell.StepKind, itemKind stepwell.ItemKind, dueAt time.Time,
) *stepwell.Opening {
	if op.Step == d.Item.Step {
		// It is what this call was asked to run: planning it once more would go round for ever.
		return nil
	}
	item := stepwell.NewStepItem(d.State.Run, itemKind, op.Step, dueAt)
	item.Race = op.Race || d.requestVersion() < requestVersionCoalesced
	step := stepwell.Step{ID: op.Step, Name: op.Name, Kind: kind, OpenedAt: d.EndedAt}
	if kind != stepwell.StepRun {
		step.StartedAt, step.DueAt = d.EndedAt, dueAt
	}
	d.out.Opens = append(d.out.Opens, stepwell.Opening{Step: step, Item: item})
	return &d.out.Opens[len(d.out.Opens)-1]
}

// requestVersion is the run's protocol version: what it has, else what this answer says.
func (d *decision) requestVersion() int {
	if known := d.State.Run.Progress.RequestVersion; known != stepwell.RequestVersionUnknown {
		return known
	}
	return d.Outcome.RequestVersion
}

// finish ends the run, unless the answer also said what fails it.
func (d *decision) finish(output json.RawMessage) {
	if d.out.End != nil {
		return
	}
	d.end(stepwell.RunCompleted, output)
}

// fail ends the run, whatever else the answer said.
func (d *decision) fail(failure json.RawMessage) {
	d.out.Attempt.Status, d.out.Attempt.Error = stepwell.AttemptFailed, failure
	d.out.Attempt.NextAt, d.out.Retry = time.Time{}, nil
	d.end(stepwell.RunFailed, failure)
}

func (d *decision) end(status stepwell.RunStatus, output json.RawMessage) {
	d.out.Environment = d.State.Run.Environment
	d.out.End = end(d.State, d.out.Records, status, output, d.EndedAt, d.Heard)
}

// leftUndone tells whether the call was to run a step and says nothing of it.
func (d *decision) leftUndone() bool {
	if d.Item.Kind != stepwell.ItemStep {
		return false
	}
	for _, step := range d.out.Records {
		if step.ID == d.Item.Step {
			return false
		}
	}
	return true
}

// bound fails a run that grew beyond its bounds, with an error that names the bound.
func (d *decision) bound() {
	if problem := d.exceeded(); problem != nil {
		own := func(step stepwell.Step) bool { return !step.Kind.Defers() }
		d.out.Records, d.out.Opens = slices.DeleteFunc(d.out.Records, own), nil
		d.fail(problem.JSON())
	}
}

func (d *decision) exceeded() *stepwell.Failure {
	progress := d.State.Run.Progress
	steps, state := progress.StepCount, progress.StateBytes
	known := map[stepwell.StepID]bool{}
	for _, item := range progress.Open {
		if item.Kind != stepwell.ItemDiscovery {
			known[item.Step] = true
			steps++
		}
	}
	count := func(id stepwell.StepID) {
		if !known[id] && !d.State.Recorded(id) {
			steps++
		}
		known[id] = true
	}
	for _, step := range d.out.Records {
		if step.Kind.Defers() {
			continue // it has bounds of its own
		}
		count(step.ID)
		state += len(step.Result.JSON)
		if n := len(step.Result.JSON); n > stepwell.StepBytesMax {
			return &stepwell.Failure{Name: "step_output_too_large", Message: fmt.Sprintf(
				"Step %q yielded %d bytes, at most %d are allowed for one step", step.Name, n, stepwell.StepBytesMax)}
		}
	}
	for _, opening := range d.out.Opens {
		count(opening.Step.ID)
	}
	if steps > stepwell.StepsMax {
		return &stepwell.Failure{Name: "step_limit_exceeded", Message: fmt.Sprintf(
			"The run has more than %d steps, the most that are allowed", stepwell.StepsMax)}
	}
	if state > stepwell.StateBytesMax {
		return &stepwell.Failure{Name: "state_too_large", Message: fmt.Sprintf(
			"The results of the run's steps take %d bytes, at most %d are allowed", state, stepwell.StateBytesMax)}
	}
	return nil
}
