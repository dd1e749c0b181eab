package kitchensink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

// endings are functions that are cancelled, or fail, and functions that hear of it.
func (a *app) endings() {
	a.defineCancelled("cancel-asleep", inngestgo.ConfigCancel{Event: "e2e/stop", If: inngestgo.StrPtr(sameKey)}, asleep)
	a.defineCancelled("cancel-if", inngestgo.ConfigCancel{
		Event: "e2e/stop", If: inngestgo.StrPtr(sameKey + " && async.data.hard == true"),
	}, asleep)
	a.defineCancelled("cancel-at-work", inngestgo.ConfigCancel{
		Event: "e2e/stop", If: inngestgo.StrPtr(sameKey),
	}, a.atWork)
	// It can be cancelled for a second, of which it sleeps longer.
	a.defineCancelled("cancel-too-late", inngestgo.ConfigCancel{
		Event: "e2e/stop", If: inngestgo.StrPtr(sameKey), Timeout: inngestgo.StrPtr("1s"),
	}, func(ctx context.Context, c call) (any, error) {
		step.Sleep(ctx, "nap", 2*time.Second)
		return a.atWork(ctx, c)
	})
	a.define("failing-handled", 0, func(context.Context, call) (any, error) { return nil, errors.New("out of luck") })
	a.defineOn("failing-handled-failure", 1, inngestgo.MultipleTriggers{
		inngestgo.EventTrigger("inngest/function.failed", of("failing-handled")),
	}, a.handleFailure)
	a.define("heard", 0, heard)
	var ends inngestgo.MultipleTriggers
	for _, end := range []string{"finished", "failed", "cancelled"} {
		ends = append(ends, inngestgo.EventTrigger("inngest/function."+end, of("heard")))
	}
	a.defineOn("listener", retriesDefault, ends, a.listen)
}

// of is an expression for events about a function of this app.
func of(function string) *string {
	return inngestgo.StrPtr(fmt.Sprintf("event.data.function_id == %q", appID+"-"+function))
}

func (a *app) defineCancelled(id string, on inngestgo.ConfigCancel, body func(context.Context, call) (any, error)) {
	a.defineWith(inngestgo.FunctionOpts{ID: id, Cancel: []inngestgo.ConfigCancel{on}}, eventTriggers("e2e/"+id), body)
}

func asleep(ctx context.Context, c call) (any, error) {
	step.Sleep(ctx, "nap", time.Hour)
	return number(ctx, c, "after", 1)
}

func (a *app) atWork(ctx context.Context, c call) (any, error) {
	_, err := step.Run(ctx, "held", func(context.Context) (any, error) {
		c.ran("held")
		a.gates.pass(c.gate())
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return step.Run(ctx, "after", func(context.Context) (any, error) {
		c.ran("after")
		return data{"done": true}, nil
	})
}

// ended is what an event says about a run that ended.
type ended struct {
	run, function string
	// first is the name of the event that started the run, and number a member of its data.
	first  string
	number any
	status string
	// result is a member of what the run returned; message is why it failed.
	result  any
	message string
}

func (c call) ended() ended {
	var e ended
	e.run, e.function = c.text("run_id"), c.text("function_id")
	first, _ := c.event.Data["event"].(data)
	e.first, _ = first["name"].(string)
	firstData, _ := first["data"].(data)
	e.number = firstData["n"]
	internal, _ := c.event.Data["_inngest"].(data)
	e.status, _ = internal["status"].(string)
	result, _ := c.event.Data["result"].(data)
	e.result = result["n"]
	failure, _ := c.event.Data["error"].(data)
	e.message, _ = failure["message"].(string)
	return e
}

func (a *app) handleFailure(ctx context.Context, c call) (any, error) {
	return step.Run(ctx, "handle", func(context.Context) (any, error) {
		e := c.ended()
		a.book.add(e.run, fmt.Sprintf("handled %s of %s with %v: %s", e.function, e.first, e.number, e.message), 0)
		return nil, nil
	})
}

func heard(ctx context.Context, c call) (any, error) {
	if c.event.Data["fail"] == true {
		return nil, errors.New("out of luck")
	}
	if text := c.text("sleep"); text != "" {
		nap, err := time.ParseDuration(text)
		if err != nil {
			return nil, err
		}
		step.Sleep(ctx, "nap", nap)
	}
	return data{"n": c.event.Data["n"]}, nil
}

func (a *app) listen(_ context.Context, c call) (any, error) {
	e := c.ended()
	came := ""
	switch e.status {
	case "Completed":
		came = fmt.Sprintf("n=%v", e.result)
	case "Failed":
		came = e.message
	}
	a.book.add(e.run, fmt.Sprintf("%s of %s, from %s, %s: %s", c.event.Name, e.function, e.first, e.status, came), 0)
	return nil, nil
}
