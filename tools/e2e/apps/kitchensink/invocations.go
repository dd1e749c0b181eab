package kitchensink

import (
	"context"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// invocations are functions that invoke others.
func (a *app) invocations() {
	a.define("invoke", retriesDefault, invokeOnce)
	a.define("invoke-caught", retriesDefault, invokeCaught)
	a.define("invoke-many", retriesDefault, invokeMany)
	a.defineOn("child", retriesDefault, inngestgo.MultipleTriggers{}, a.child)
}

// invoke calls the function that the event names.
func invoke[T any](ctx context.Context, c call, id string, with data) (T, error) {
	timeout, err := c.timeout()
	if err != nil {
		var none T
		return none, err
	}
	return step.Invoke[T](ctx, id, step.InvokeOpts{
		FunctionId: c.text("app") + "-" + c.text("function"), Data: with, Timeout: timeout,
	})
}

func invokeOnce(ctx context.Context, c call) (any, error) {
	with, _ := c.event.Data["data"].(data)
	got, err := invoke[any](ctx, c, "call", with)
	if err != nil {
		return nil, err
	}
	return step.Run(ctx, "after", func(context.Context) (any, error) {
		c.ran("after")
		return data{"got": got}, nil
	})
}

func invokeCaught(ctx context.Context, c call) (any, error) {
	with, _ := c.event.Data["data"].(data)
	got, err := invoke[any](ctx, c, "call", with)
	if err == nil {
		return data{"got": got}, nil
	}
	return step.Run(ctx, "apologise", func(context.Context) (any, error) {
		c.ran("apologise")
		return data{"sorry": err.Error()}, nil
	})
}

func invokeMany(ctx context.Context, c call) (any, error) {
	type greeted struct {
		Greeting string `json:"greeting"`
	}
	branches := []branch{func(ctx context.Context) (any, error) {
		return step.Run(ctx, "own", func(context.Context) (string, error) {
			c.ran("own")
			return "own", nil
		})
	}}
	for _, name := range []string{"Ada", "Grace", "Lin"} {
		branches = append(branches, func(ctx context.Context) (any, error) {
			got, err := invoke[greeted](ctx, c, name, data{"name": name})
			return got.Greeting, err
		})
	}
	results := group.Parallel(ctx, branches...)
	var greetings []any
	for _, result := range results[1:] {
		greetings = append(greetings, result.Value)
	}
	return data{"own": results[0].Value, "greetings": greetings}, results.AnyError()
}

// child tells its run under the name of the gate, so that a test finds it.
func (a *app) child(ctx context.Context, c call) (any, error) {
	return step.Run(ctx, "held", func(context.Context) (any, error) {
		c.ran("held")
		a.book.add(c.gate(), c.run, 0)
		a.gates.pass(c.gate())
		return data{"done": true}, nil
	})
}
