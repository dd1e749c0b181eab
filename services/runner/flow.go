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
	for _, l := range function.Limits() {
		f.limits = append(f.limits, limit{l, compile("the key of a limit", l.Expression)})
	}
	if control.Singleton != nil {
		f.singleton = control.Singleton
		f.singletonKey = compile("singleton.key", control.Singleton.Key)
	}
	return f, problems
}

// control has the start obey the function's flow control. The error says why nothing starts. An expression that decides
// only about the order of runs keeps none from starting: it then counts as if it were not there.
func (f flow) control(start *stepwell.RunStart, event stepwell.Event, vars func() expr.Vars, now time.Time) error {
	if f.idempotency != nil {
		key, err := f.idempotency.Key(vars())
		if err != nil {
			return fmt.Errorf("the idempotency key of the invoked function cannot be evaluated: %w", err)
		}
		if !key.IsFalse {
			start.Once, start.Refused = key.Text, engine.Refusal(event, engine.RateLimited, now)
		}
	}
	if f.rate != nil {
		key, err := keyOf(f.rateKey, vars)
		if err != nil {
			return fmt.Errorf("the rate limit's key of the invoked function cannot be evaluated: %w", err)
		}
		if !key.IsFalse {
			start.Rate = &stepwell.Rate{Key: key.Text, Limit: f.rate.Limit, Period: f.rate.Period}
			start.Refused = engine.Refusal(event, engine.RateLimited, now)
		}
	}
	if f.priority != nil {
		start.Prioritize(f.priorityOf(vars()))
	}
	if len(f.limits) > 0 {
		start.Limit(f.limitKeys(vars))
	}
	return nil
}

// invalidKey is the value of limits' keys that cannot be evaluated. Runs with it share the limit.
const invalidKey = "<invalid>"

// limitKeys are the values of the function's limits.
func (f flow) limitKeys(vars func() expr.Vars) []stepwell.LimitKey {
	keys := make([]stepwell.LimitKey, len(f.limits))
	for i, l := range f.limits {
		key, err := keyOf(l.program, vars)
		if err != nil {
			key.Text = invalidKey
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
func (f flow) priorityOf(v expr.Vars) time.Duration {
	key, err := f.priority.Key(v)
	if err != nil {
		return 0
	}
	seconds, err := strconv.ParseInt(key.Text, 10, 64)
	if err != nil {
		return 0
	}
	most := int64(stepwell.PriorityMax / time.Second)
	return time.Duration(min(max(seconds, -most), most)) * time.Second
}
