package kitchensink

import (
	"context"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

func (a *app) triggers() {
	name := func(_ context.Context, c call) (any, error) { return data{"name": c.event.Name}, nil }
	a.define("echo", retriesDefault, func(_ context.Context, c call) (any, error) {
		return data{"name": c.event.Name, "id": c.event.ID, "data": c.event.Data}, nil
	})
	a.defineWith(inngestgo.FunctionOpts{ID: "once", Idempotency: inngestgo.StrPtr("event.data.to")}, eventTriggers("e2e/once"),
		func(_ context.Context, c call) (any, error) { return data{"n": c.event.Data["n"]}, nil })
	limit := inngestgo.ConfigRateLimit{Limit: 2, Period: time.Hour, Key: inngestgo.StrPtr("event.data.customer")}
	a.defineWith(inngestgo.FunctionOpts{ID: "limited", RateLimit: &limit}, eventTriggers("e2e/limited"),
		func(_ context.Context, c call) (any, error) { return data{"n": c.event.Data["n"]}, nil })
	a.collecting()
	for id, singleton := range map[string]*inngestgo.ConfigSingleton{
		"single": {Key: inngestgo.StrPtr("event.data.user")},
		"latest": {Key: inngestgo.StrPtr("event.data.user"), Mode: 1}, // cancel: the SDK does not export the name
		"paused": nil, "drained": nil,
	} {
		a.defineWith(inngestgo.FunctionOpts{ID: id, Singleton: singleton}, eventTriggers("e2e/"+id),
			func(ctx context.Context, _ call) (any, error) {
				_, err := step.WaitForEvent[any](ctx, "end", step.WaitForEventOpts{
					Event: "e2e/" + id + ".end", Timeout: time.Hour, If: inngestgo.StrPtr("event.data.user == async.data.user"),
				})
				return "done", err
			})
	}
	second, twoSeconds := time.Second, 2*time.Second
	a.defineWith(inngestgo.FunctionOpts{ID: "starts-late", Timeouts: &inngestgo.ConfigTimeouts{Start: &second}},
		eventTriggers("e2e/starts-late"), func(context.Context, call) (any, error) { return "done", nil })
	a.defineWith(inngestgo.FunctionOpts{ID: "ends-late", Timeouts: &inngestgo.ConfigTimeouts{Finish: &twoSeconds}},
		eventTriggers("e2e/ends-late"), func(ctx context.Context, _ call) (any, error) {
			step.Sleep(ctx, "nap", time.Hour)
			return nil, nil
		})
	a.defineOn("either", retriesDefault, eventTriggers("e2e/either.one", "e2e/either.two"), name)
	a.defineOn("overlapping", retriesDefault, eventTriggers("e2e/overlapping.one", "e2e/overlapping.*"), name)
	a.defineOn("wildcard", retriesDefault, eventTriggers("e2e.wild/*"), name)
	a.defineOn("conditional", retriesDefault,
		inngestgo.MultipleTriggers{inngestgo.EventTrigger("e2e/order", inngestgo.StrPtr("event.data.amount > 100"))},
		func(_ context.Context, c call) (any, error) { return data{"amount": c.event.Data["amount"]}, nil })
	// Runs of a cron expression have no event that a test publishes: they are told under the function's name.
	a.defineOn("clock", retriesDefault,
		inngestgo.MultipleTriggers{inngestgo.CronTrigger("* * * * *"), inngestgo.CronTrigger("TZ=Europe/Paris 0 0 1 1 *")},
		func(_ context.Context, c call) (any, error) {
			a.book.add("clock", fmt.Sprintf("%s %s %s", c.event.Name, *c.event.ID, c.text("cron")), 0)
			return nil, nil
		})
}

// collecting are functions whose events wait for others.
func (a *app) collecting() {
	hour, tenant := time.Hour, "event.data.tenant"
	a.defineWith(inngestgo.FunctionOpts{
		ID: "debounced", Debounce: &inngestgo.ConfigDebounce{Period: 2 * time.Second, Key: "event.data.doc", Timeout: &hour},
	}, eventTriggers("e2e/debounced"), func(_ context.Context, c call) (any, error) {
		return data{"n": c.event.Data["n"], "count": len(c.events)}, nil
	})
	a.defineWith(inngestgo.FunctionOpts{
		ID: "batched", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 3, Timeout: 2 * time.Second, Key: &tenant},
	}, eventTriggers("e2e/batched"), func(ctx context.Context, c call) (any, error) {
		all, err := step.Run(ctx, "collect", func(context.Context) ([]any, error) {
			var all []any
			for _, event := range c.events {
				all = append(all, event.Data["n"])
			}
			return all, nil
		})
		return data{"first": c.event.Data["n"], "all": all}, err
	})
}
