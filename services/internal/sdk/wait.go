package sdk

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// invokeFor is how long a step waits for the function that it invokes, if it does not say.
const invokeFor = 365 * 24 * time.Hour

// waitForEvent is what a wait is for, and when it ends without.
func (o *wireOp) waitForEvent(opts wireOpts, now time.Time) (*stepwell.Wait, time.Time, error) {
	w := &stepwell.Wait{Kind: stepwell.WaitEvent, Name: opts.Event, Expression: strings.TrimSpace(opts.If)}
	if w.Name == "" {
		w.Name = o.Name
	}
	if err := nameable("event", w.Name); err != nil {
		return nil, now, err
	}
	due, err := waitEnd(opts.Timeout, now)
	return w, due, err
}

// waitForSignal is what a wait for a signal is for, and when it ends without.
func (o *wireOp) waitForSignal(opts wireOpts, now time.Time) (*stepwell.Wait, time.Time, error) {
	w := &stepwell.Wait{Kind: stepwell.WaitSignal, Name: opts.Signal}
	if w.Name == "" {
		w.Name = o.Name
	}
	if err := nameable("signal", w.Name); err != nil {
		return nil, now, err
	}
	switch opts.Conflict {
	case "", "fail":
	case "replace":
		w.Replaces = true
	default:
		return nil, now, stepwell.Invalidf("conflict is %q, it must be fail or replace", opts.Conflict)
	}
	due, err := waitEnd(opts.Timeout, now)
	return w, due, err
}

func nameable(what, name string) error {
	if !stepwell.Nameable(name) {
		return stepwell.Invalidf("the %s that it waits for must have a name of 1 to %d bytes without control characters",
			what, stepwell.EventNameBytesMax)
	}
	return nil
}

// waitEnd is when a wait ends without what it waits for: at once if its time-out is empty.
func waitEnd(timeout string, now time.Time) (time.Time, error) {
	if timeout == "" {
		return now, nil
	}
	due, err := parseDue(timeout, now)
	if err != nil {
		return now, fmt.Errorf("timeout: %w", err)
	}
	if due.Sub(now) > SleepMax {
		return now, stepwell.TooLargef("a timeout at %s: a wait may last at most 366 days", due.UTC().Format(time.RFC3339))
	}
	return due, nil
}

// wireInvocation are the options of an operation that invokes a function. Go and Python send null for what is absent.
type wireInvocation struct {
	Function string `json:"function_id"`
	Payload  struct {
		Data    json.RawMessage `json:"data"`
		User    json.RawMessage `json:"user"`
		Meta    json.RawMessage `json:"meta"`
		Version string          `json:"v"`
	} `json:"payload"`
	Timeout string `json:"timeout"`
}

// invoke reads an operation that invokes a function. A payload that no event can have is a failed step, which the app's
// code may catch.
func (o *wireOp) invoke(op stepwell.Op, now time.Time) (stepwell.Op, error) {
	op.Code, op.Kind = stepwell.OpInvoke, stepwell.StepInvoke
	var opts wireInvocation
	if err := json.Unmarshal(o.Opts, &opts); err != nil {
		return op, stepwell.Invalidf("its options cannot be read: %v", err)
	}
	if opts.Function == "" {
		return op, stepwell.Invalidf("it names no function")
	}
	if opts.Timeout == "" {
		op.DueAt = now.Add(invokeFor)
	} else {
		var err error
		if op.DueAt, err = waitEnd(opts.Timeout, now); err != nil {
			return op, err
		}
	}
	invocation, problem := opts.invocation()
	if problem != nil {
		op.Code = stepwell.OpStepFailed
		op.Failure = stepwell.Failure{Name: "InvalidPayload", Message: "The function was not invoked: " + problem.Error()}.JSON()
	}
	op.Invocation = invocation
	return op, nil
}

// invocation is what is invoked. Errors say what is wrong with the payload.
func (w wireInvocation) invocation() (*stepwell.Invocation, error) {
	i := &stepwell.Invocation{Function: w.Function, Version: w.Payload.Version}
	var err error
	if i.Data, err = object("data", w.Payload.Data); err != nil {
		return nil, err
	}
	if i.Data, err = stepwell.WithoutInternal(i.Data); err != nil {
		return nil, err
	}
	if i.User, err = object("user", w.Payload.User); err != nil {
		return nil, err
	}
	if !absent(w.Payload.Meta) {
		if i.Meta, err = object("meta", w.Payload.Meta); err != nil {
			return nil, err
		}
	}
	if len(i.Data)+len(i.User)+len(i.Meta) > stepwell.EventBytesMax {
		return nil, stepwell.TooLargef("the payload takes more than %d bytes, the most that an event may have",
			stepwell.EventBytesMax)
	}
	return i, nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// object is a JSON object; what is absent is an empty one.
func object(member string, raw json.RawMessage) (json.RawMessage, error) {
	if absent(raw) {
		return json.RawMessage("{}"), nil
	}
	if raw[0] != '{' {
		return nil, stepwell.Invalidf("%s must be a JSON object", member)
	}
	return raw, nil
}
