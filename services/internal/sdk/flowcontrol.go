package sdk

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of flow control.
const (
	rateLimitMax      = 1_000_000_000
	debouncePeriodMin = time.Second
	debouncePeriodMax = 7 * 24 * time.Hour
	batchSizeMin      = 2
	batchTimeoutMin   = time.Second
	batchTimeoutMax   = 7 * 24 * time.Hour
	throttlePeriodMin = time.Second
)

type wireConcurrency struct {
	Limit int    `json:"limit"`
	Key   string `json:"key"`
	Scope string `json:"scope"`
}

type wireThrottle struct {
	Limit  int    `json:"limit"`
	Period string `json:"period"`
	Key    string `json:"key"`
	Burst  int    `json:"burst"`
}

type wireRateLimit struct {
	Limit  int    `json:"limit"`
	Period string `json:"period"`
	Key    string `json:"key"`
}

type wireDebounce struct {
	Period  string `json:"period"`
	Key     string `json:"key"`
	Timeout string `json:"timeout"`
}

type wireBatch struct {
	SizeMax   int    `json:"maxSize"`
	Timeout   string `json:"timeout"`
	Key       string `json:"key"`
	Condition string `json:"if"`
}

type wirePriority struct {
	Run string `json:"run"`
}

type wireCancel struct {
	Event     string `json:"event"`
	Condition string `json:"if"`
	Timeout   string `json:"timeout"`
}

type wireTimeouts struct {
	Start  string `json:"start"`
	Finish string `json:"finish"`
}

type wireSingleton struct {
	Key  string `json:"key"`
	Mode string `json:"mode"`
}

func (c *checker) flowControl(flow *stepwell.FlowControl, wire wireFunction) {
	c.concurrency(flow, wire.Concurrency)
	c.throttle(flow, wire.Throttle)
	c.rateLimit(flow, wire.RateLimit)
	c.debounce(flow, wire.Debounce)
	c.batch(flow, wire.Batch)
	c.cancel(flow, wire.Cancel)
	c.singleton(flow, wire.Singleton)
	flow.Idempotency = wire.Idempotency
	if wire.Priority != nil {
		flow.Priority = wire.Priority.Run
	}
	if wire.Timeouts != nil {
		flow.StartWithin = c.duration("timeouts.start", wire.Timeouts.Start)
		flow.FinishWithin = c.duration("timeouts.finish", wire.Timeouts.Finish)
	}
	if flow.Batch != nil {
		c.that(len(flow.CancelOn) == 0 && flow.Debounce == nil && flow.Singleton == nil && flow.Priority == "",
			"combo_unsupported: batchEvents cannot be combined with cancelOn, debounce, singleton or priority")
	}
}

// duration reads an optional duration.
func (c *checker) duration(what, text string) time.Duration {
	if text == "" {
		return 0
	}
	duration, err := ParseDuration(text)
	c.failed(what, err)
	return duration
}

// concurrency reads a number, an object, a list of objects, or lists for functions and steps.
func (c *checker) concurrency(flow *stepwell.FlowControl, raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	var split struct {
		Function []wireConcurrency `json:"fn"`
		Step     []wireConcurrency `json:"step"`
	}
	var number int
	switch {
	case json.Unmarshal(raw, &number) == nil:
		split.Step = []wireConcurrency{{Limit: number}}
	case raw[0] == '[':
		c.failed("concurrency", json.Unmarshal(raw, &split.Step))
	default:
		c.failed("concurrency", json.Unmarshal(raw, &split))
		if split.Function == nil && split.Step == nil {
			var one wireConcurrency
			c.failed("concurrency", json.Unmarshal(raw, &one))
			split.Step = []wireConcurrency{one}
		}
	}
	c.that(len(split.Step) <= stepwell.ConcurrencyMax,
		"concurrency_limit_invalid: %d concurrency limits, at most %d are allowed", len(split.Step), stepwell.ConcurrencyMax)
	c.that(len(split.Function) <= 1, "concurrency_limit_invalid: concurrency.fn may have one limit")
	for _, wire := range split.Function {
		c.that(wire.Limit > 0, "concurrency_limit_invalid: concurrency.fn needs a limit above 0")
		c.that(wire.Scope == "" || strings.EqualFold(wire.Scope, "fn"), "concurrency_limit_invalid: concurrency.fn has scope fn only")
		limit := stepwell.Concurrency{Limit: wire.Limit, Key: wire.Key, Runs: true}
		flow.Concurrency = append(flow.Concurrency, limit)
	}
	for _, wire := range split.Step {
		c.that(wire.Limit >= 0, "concurrency_limit_invalid: a concurrency limit is below 0")
		limit := stepwell.Concurrency{Limit: wire.Limit, Key: wire.Key, Scope: c.scope(wire)}
		flow.Concurrency = append(flow.Concurrency, limit)
	}
}

func (c *checker) scope(wire wireConcurrency) stepwell.Scope {
	scope := stepwell.ScopeFunction
	switch strings.ToLower(wire.Scope) { // the Go SDK says Fn, Env, Account
	case "", "fn":
		return scope
	case "env":
		scope = stepwell.ScopeEnvironment
	case "account":
		scope = stepwell.ScopeAccount
	default:
		c.that(false, "concurrency_limit_invalid: concurrency scope %q: use fn, env or account", wire.Scope)
	}
	c.that(wire.Key != "", "concurrency_limit_invalid: concurrency scope %q needs a key", wire.Scope)
	return scope
}

func (c *checker) throttle(flow *stepwell.FlowControl, wire *wireThrottle) {
	if wire == nil {
		return
	}
	period := c.duration("throttle.period", wire.Period)
	c.that(period >= throttlePeriodMin && period <= stepwell.ThrottlePeriodMax, "throttle.period is %q, it must be 1s to 7d", wire.Period)
	c.that(wire.Limit >= 0 && wire.Burst >= 0, "throttle: limit and burst cannot be below 0")
	flow.Throttle = &stepwell.Throttle{Limit: max(1, wire.Limit), Burst: wire.Burst, Period: period, Key: wire.Key}
}

func (c *checker) rateLimit(flow *stepwell.FlowControl, wire *wireRateLimit) {
	if wire == nil {
		return
	}
	period := c.duration("rateLimit.period", wire.Period)
	c.that(wire.Limit > 0 && wire.Limit <= rateLimitMax, "rateLimit.limit is %d, it must be 1 to %d", wire.Limit, rateLimitMax)
	c.that(period > 0 && period <= stepwell.RatePeriodMax, "rateLimit.period is %q, it must be above 0 and at most 24h", wire.Period)
	flow.RateLimit = &stepwell.RateLimit{Limit: wire.Limit, Period: period, Key: wire.Key}
}

func (c *checker) debounce(flow *stepwell.FlowControl, wire *wireDebounce) {
	if wire == nil {
		return
	}
	period := c.duration("debounce.period", wire.Period)
	c.that(period >= debouncePeriodMin && period <= debouncePeriodMax,
		"debounce.period is %q, it must be 1s to 7d", wire.Period)
	timeout := c.duration("debounce.timeout", wire.Timeout)
	c.that(timeout >= 0, "debounce.timeout is %q, it must not be below 0", wire.Timeout)
	flow.Debounce = &stepwell.Debounce{Period: period, Key: wire.Key, Timeout: timeout}
}

// batch reads batchEvents; a size below 2 without more means no batching.
func (c *checker) batch(flow *stepwell.FlowControl, wire *wireBatch) {
	if wire == nil || (wire.SizeMax < batchSizeMin && wire.Timeout == "") || wire.SizeMax == 1 {
		return
	}
	c.that(wire.SizeMax >= batchSizeMin && wire.SizeMax <= stepwell.BatchSizeMax,
		"batch_size_invalid: batchEvents.maxSize is %d, it must be %d to %d", wire.SizeMax, batchSizeMin, stepwell.BatchSizeMax)
	timeout, err := time.ParseDuration(wire.Timeout)
	c.that(err == nil && timeout >= batchTimeoutMin && timeout <= batchTimeoutMax,
		"batch_timeout_invalid: batchEvents.timeout is %q, it must be 1s to 168h, in hours, minutes and seconds", wire.Timeout)
	flow.Batch = &stepwell.Batch{SizeMax: wire.SizeMax, Timeout: timeout, Key: wire.Key, Condition: wire.Condition}
}

func (c *checker) cancel(flow *stepwell.FlowControl, cancels []wireCancel) {
	c.that(len(cancels) <= stepwell.CancelOnMax, "it has %d entries in cancel, at most %d are allowed",
		len(cancels), stepwell.CancelOnMax)
	for _, wire := range cancels {
		c.that(wire.Event != "" && len(wire.Event) <= stepwell.TriggerBytesMax,
			"cancel: event must have 1 to %d bytes", stepwell.TriggerBytesMax)
		cancel := stepwell.CancelOn{Event: wire.Event, Condition: wire.Condition}
		if wire.Timeout != "" {
			if duration, err := ParseDuration(wire.Timeout); err == nil {
				cancel.After = duration
			} else {
				at, dateErr := ParseDate(wire.Timeout)
				c.that(dateErr == nil, "cancel: timeout %q is neither a duration such as 1h nor a date", wire.Timeout)
				cancel.At = at
			}
		}
		flow.CancelOn = append(flow.CancelOn, cancel)
	}
}

func (c *checker) singleton(flow *stepwell.FlowControl, wire *wireSingleton) {
	if wire == nil {
		return
	}
	flow.Singleton = &stepwell.Singleton{Key: wire.Key}
	switch strings.ToLower(wire.Mode) {
	case "", "skip":
	case "cancel":
		flow.Singleton.Mode = stepwell.SingletonCancel
	default:
		c.that(false, "singleton.mode is %q: use skip or cancel", wire.Mode)
	}
}
