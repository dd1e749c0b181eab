package kitchensink

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

// crowd counts who is in a body at the same time, by key.
type crowd struct {
	mu     sync.Mutex
	inside map[string]int
}

func (c *crowd) add(key string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside[key] += n
	return c.inside[key]
}

// stay is in a body for a while, and returns how many were when it came.
func (c *crowd) stay(key string) int {
	defer c.add(key, -1)
	count := c.add(key, 1)
	time.Sleep(200 * time.Millisecond)
	return count
}

// limits are functions with limits. They count themselves.
func (a *app) limits() {
	within := &crowd{inside: map[string]int{}}
	key := inngestgo.StrPtr("event.data.key")
	a.defineWith(inngestgo.FunctionOpts{ID: "concurrent", Concurrency: []inngestgo.ConfigStepConcurrency{{Limit: 2, Key: key}}},
		eventTriggers("e2e/concurrent"), func(ctx context.Context, c call) (any, error) {
			body := func(name string) func(context.Context) (int, error) {
				return func(context.Context) (int, error) {
					count := within.stay(c.text("key"))
					c.ran(name)
					return count, nil
				}
			}
			first, err := step.Run(ctx, "first", body("first"))
			if err != nil {
				return nil, err
			}
			step.Sleep(ctx, "nap", time.Second)
			second, err := step.Run(ctx, "second", body("second"))
			return data{"most": max(first, second)}, err
		})
	once := func(ctx context.Context, c call) (any, error) {
		return step.Run(ctx, "step", func(context.Context) (string, error) {
			c.ran("step")
			return "done", nil
		})
	}
	a.sharing(within)
	priority := inngestgo.ConfigPriority{Run: inngestgo.StrPtr("event.data.priority")}
	a.defineWith(inngestgo.FunctionOpts{ID: "prioritised", Concurrency: []inngestgo.ConfigStepConcurrency{{Limit: 1}}, Priority: &priority},
		eventTriggers("e2e/prioritised"), once)
	a.batchedIf()
	a.define("paused-queue", retriesDefault, once)
	a.define("full", retriesDefault, once)
	throttle := inngestgo.ConfigThrottle{Limit: 1, Period: 3 * time.Second, Key: key}
	a.defineWith(inngestgo.FunctionOpts{ID: "throttled", Throttle: &throttle}, eventTriggers("e2e/throttled"), once)
}

// sharing are functions with two limits, and functions that share one.
func (a *app) sharing(within *crowd) {
	a.defineWith(inngestgo.FunctionOpts{
		ID: "two-limits", Concurrency: []inngestgo.ConfigStepConcurrency{{Limit: 2}, {Limit: 1, Key: inngestgo.StrPtr("event.data.key")}},
	}, eventTriggers("e2e/two-limits"), func(ctx context.Context, c call) (any, error) {
		return step.Run(ctx, "step", func(context.Context) (map[string]int, error) {
			key := "two-limits " + c.text("key")
			defer within.add(key, -1)
			same := within.add(key, 1)
			return map[string]int{"all": within.stay("two-limits"), "same": same}, nil
		})
	})
	for _, scope := range []string{"env", "account"} {
		var printer inngestgo.ConfigStepConcurrency
		a.err = errors.Join(a.err, json.Unmarshal([]byte(`{"limit":1,"key":"event.data.printer","scope":"`+scope+`"}`), &printer))
		for _, id := range []string{"shared-" + scope + "-one", "shared-" + scope + "-two"} {
			a.defineWith(inngestgo.FunctionOpts{ID: id, Concurrency: []inngestgo.ConfigStepConcurrency{printer}},
				eventTriggers("e2e/"+id), func(ctx context.Context, c call) (any, error) {
					return step.Run(ctx, "print", func(context.Context) (int, error) { return within.stay(c.text("printer")), nil })
				})
		}
	}
}

// batchedIf batches events for which a condition is true. The older SDK has no conditions: its batches have all events.
func (a *app) batchedIf() {
	batch := &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: time.Hour}
	if field := reflect.ValueOf(batch).Elem().FieldByName("If"); field.IsValid() {
		field.Set(reflect.ValueOf(inngestgo.StrPtr("event.data.n > 0")))
	}
	a.defineWith(inngestgo.FunctionOpts{ID: "batched-if", BatchEvents: batch}, eventTriggers("e2e/batched-if"),
		func(_ context.Context, c call) (any, error) {
			var all []any
			for _, event := range c.events {
				all = append(all, event.Data["n"])
			}
			return all, nil
		})
}
