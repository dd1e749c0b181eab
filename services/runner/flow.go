package runner

import (
	"fmt"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// flow is a function with the expressions of its flow control, compiled; nil for those that it has not.
type flow struct {
	function stepwell.Function

	idempotency *expr.Program
	priority    *expr.Program
	rate        *stepwell.RateLimit
	rateKey     *expr.Program
	limits      []limit
	debounce    *stepwell.Debounce
	debounceKey *expr.Program
	batch       *stepwell.Batch
	batchKey    *expr.Program
	batchIf     *expr.Program

	singleton    *stepwell.Singleton
	singletonKey *expr.Program
}

// limit is a limit that the queue enforces. Its program is nil if it is one of the whole function.
type limit struct {
	stepwell.Limit
	program *expr.Program
}

// compileFlow compiles what a function has. They were compiled when the function was synced.
func compileFlow(function stepwell.Function) (f flow, problems []error) {
	control := function.FlowControl
	f.function = function
	compile := func(what, source string) *expr.Program {
		if source == "" {
			return nil
		}
		program, err := expr.Compile(source, expr.Full)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
			return nil
		}
		return program
	}
	f.idempotency = compile("idempotency", control.Idempotency)
	f.priority = compile("priority.run", control.Priority)
	if control.RateLimit != nil && control.Idempotency == "" {
		f.rate = control.RateLimit
		f.rateKey = compile("rateLimit.key", control.RateLimit.Key)
	}
	if control.Debounce != nil {
		f.debounce = control.Debounce
		f.debounceKey = compile("debounce.key", control.Debounce.Key)
	}
	if control.Batch != nil {
		f.batch = control.Batch
		f.batchKey = compile("batchEvents.key", control.Batch.Key)
		f.batchIf = compile("batchEvents.if", control.Batch.Condition)
	}
	for _, l := range function.Limits() {
		f.limits = append(f.limits, limit{l, compile(l.Option()+".key", l.Expression)})
	}
	if control.Singleton != nil {
		f.singleton = control.Singleton
		f.singletonKey = compile("singleton.key", control.Singleton.Key)
	}
	return f, problems
}

// control has the start obey what decides whether it starts, and whether at once. The error says why nothing starts.
func (f flow) control(start *stepwell.RunStart, event stepwell.Event, vars func() expr.Vars, now time.Time) error {
	batches, err := f.batches(event, vars)
	if err != nil {
		note(start, "batchEvents.if", err, "the event is not batched")
	}
	if batches {
		engine.Batch(start, *f.batch, bufferKey(true, f.batchKey, vars), event)
		return nil
	}
	if f.idempotency != nil {
		key, err := f.idempotency.Key(vars())
		if err != nil {
			return fmt.Errorf("idempotency cannot be evaluated: %w", err)
		}
		if !key.IsFalse {
			start.Once, start.Refused = key.Text, engine.Refusal(event, engine.RateLimited, now)
		}
	}
	if f.rate != nil {
		key, err := keyOf(f.rateKey, vars)
		if err != nil {
			return fmt.Errorf("rateLimit.key cannot be evaluated: %w", err)
		}
		if !key.IsFalse {
			start.Rate = &stepwell.Rate{Key: key.Text, Limit: f.rate.Limit, Period: f.rate.Period}
			start.Refused = engine.Refusal(event, engine.RateLimited, now)
		}
	}
	if f.debounce != nil {
		engine.Debounce(start, *f.debounce, bufferKey(false, f.debounceKey, vars), event)
	}
	return nil
}

// note says on a run that an expression cannot be evaluated, and what that means.
func note(start *stepwell.RunStart, option string, err error, instead string) {
	start.Run.Note(fmt.Sprintf("%s cannot be evaluated: %v: %s", option, err, instead))
}

// batches tells whether the event waits for others. One for which the condition is false, or cannot be evaluated, starts a
// run alone.
func (f flow) batches(event stepwell.Event, vars func() expr.Vars) (bool, error) {
	if f.batch == nil || !engine.Batches(event) {
		return false, nil
	}
	if f.batchIf == nil {
		return true, nil
	}
	matches, err := f.batchIf.Match(vars())
	return matches && err == nil, err
}

// bufferKey is the hash of the key of a debounce or a batch. Events of which it cannot be evaluated share one.
func bufferKey(batch bool, program *expr.Program, vars func() expr.Vars) []byte {
	key, err := keyOf(program, vars)
	return stepwell.BufferKeyHash(batch, err == nil, key.Text)
}

// order decides about a run that starts now: when its turn is, and what place it takes. What cannot be evaluated keeps none
// from starting; a note of the run says what counts instead.
func (f flow) order(start *stepwell.RunStart, event stepwell.Event, vars func() expr.Vars, now time.Time) {
	if f.priority != nil {
		priority, err := f.priorityOf(vars())
		if err != nil {
			note(start, "priority.run", err, "the run has none")
		}
		start.Prioritize(priority)
	}
	if len(f.limits) > 0 {
		start.Limit(f.limitKeys(start, vars))
	}
	var err error
	if start.Place, err = f.place(event, vars, now); err != nil {
		note(start, "singleton.key", err, "the run starts as if its function were no singleton")
	}
}

// bufferedBy says on a run that events waited for it whose key cannot be evaluated.
func (f flow) bufferedBy(start *stepwell.RunStart, batch bool, vars func() expr.Vars) {
	option, program := "debounce.key", f.debounceKey
	if batch {
		option, program = "batchEvents.key", f.batchKey
	}
	if _, err := keyOf(program, vars); err != nil {
		note(start, option, err, "such events share one key")
	}
}

// invalidKey is the value of limits' keys that cannot be evaluated. Runs with it share the limit.
const invalidKey = "<invalid>"

// limitKeys are the values of the function's limits.
func (f flow) limitKeys(start *stepwell.RunStart, vars func() expr.Vars) []stepwell.LimitKey {
	keys := make([]stepwell.LimitKey, len(f.limits))
	for i, l := range f.limits {
		key, err := keyOf(l.program, vars)
		if err != nil {
			key.Text = invalidKey
			note(start, l.Option()+".key", err, "it has the value "+invalidKey)
		}
		keys[i] = stepwell.NewLimitKey(l.LimitName, key.Text)
	}
	return keys
}

// keyOf is the key that a limit has; empty if the function has none.
func keyOf(program *expr.Program, vars func() expr.Vars) (expr.Key, error) {
	if program == nil {
		return expr.Key{}, nil
	}
	return program.Key(vars())
}

// priorityOf is by how much a run goes ahead of others, at most stepwell.PriorityMax in either direction: whole seconds. What
// is no whole number, or cannot be evaluated, is no priority.
func (f flow) priorityOf(v expr.Vars) (time.Duration, error) {
	key, err := f.priority.Key(v)
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseInt(key.Text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", key.Text)
	}
	most := int64(stepwell.PriorityMax / time.Second)
	return time.Duration(min(max(seconds, -most), most)) * time.Second, nil
}
