package kitchensink

import (
	"context"
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

// limits are functions with limits. They count themselves.
func (a *app) limits() {
	within := &crowd{inside: map[string]int{}}
	key := inngestgo.StrPtr("event.data.key")
	a.defineWith(inngestgo.FunctionOpts{ID: "concurrent", Concurrency: []inngestgo.ConfigStepConcurrency{{Limit: 2, Key: key}}},
		eventTriggers("e2e/concurrent"), func(ctx context.Context, c call) (any, error) {
			body := func(name string) func(context.Context) (int, error) {
				return func(context.Context) (int, error) {
					defer within.add(c.text("key"), -1)
					count := within.add(c.text("key"), 1)
					time.Sleep(200 * time.Millisecond)
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
	a.define("paused-queue", retriesDefault, once)
	a.define("full", retriesDefault, once)
	throttle := inngestgo.ConfigThrottle{Limit: 1, Period: 3 * time.Second, Key: key}
	a.defineWith(inngestgo.FunctionOpts{ID: "throttled", Throttle: &throttle}, eventTriggers("e2e/throttled"), once)
}
