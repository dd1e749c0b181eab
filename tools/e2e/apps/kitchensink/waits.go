package kitchensink

import (
	"context"
	"errors"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// waits are functions that wait for events.
func (a *app) waits() {
	a.define("wait-match", retriesDefault, waitOnce(sameKey, time.Hour))
	a.define("wait-if", retriesDefault, waitOnce(sameKey+" && async.data.amount >= 100", time.Hour))
	a.define("wait-timeout", retriesDefault, waitOnce(sameKey, time.Second))
	a.define("wait-sent", retriesDefault, waitSent)
	a.define("wait-loop", retriesDefault, waitLoop)
	a.define("wait-all", retriesDefault, waitAll)
}

// sameKey is an expression that compares an event with the one that started the run.
const sameKey = "event.data.key == async.data.key"

// awaited is an event as the tests want to see it.
type awaited struct {
	Name string `json:"name"`
	Data data   `json:"data"`
}

// waitFor waits for an event. It returns nil if none comes in time.
func waitFor(ctx context.Context, id, event, expression string, timeout time.Duration) (*awaited, error) {
	got, err := step.WaitForEvent[awaited](ctx, id, step.WaitForEventOpts{
		Event: event, If: inngestgo.StrPtr(expression), Timeout: timeout,
	})
	if errors.Is(err, step.ErrEventNotReceived) {
		return nil, nil
	}
	return &got, err
}

func waitOnce(expression string, timeout time.Duration) func(context.Context, call) (any, error) {
	return func(ctx context.Context, c call) (any, error) {
		got, err := waitFor(ctx, "wait", "e2e/paid", expression, timeout)
		if err != nil {
			return nil, err
		}
		return step.Run(ctx, "after", func(context.Context) (any, error) {
			c.ran("after")
			return data{"got": got}, nil
		})
	}
}

func waitSent(ctx context.Context, c call) (any, error) {
	paid := inngestgo.GenericEvent[data]{Name: "e2e/paid", Data: data{"key": c.event.Data["key"], "amount": 7}}
	if _, err := step.Send(ctx, "send", paid); err != nil {
		return nil, err
	}
	got, err := waitFor(ctx, "wait", "e2e/paid", sameKey, time.Hour)
	return data{"got": got}, err
}

func waitLoop(ctx context.Context, c call) (any, error) {
	times, _ := c.event.Data["times"].(float64)
	var amounts []any
	for range int(times) {
		got, err := waitFor(ctx, "wait", "e2e/paid", sameKey, time.Hour)
		if err != nil {
			return nil, err
		}
		amount, err := step.Run(ctx, "note", func(context.Context) (any, error) {
			c.ran("note")
			return got.Data["amount"], nil
		})
		if err != nil {
			return nil, err
		}
		amounts = append(amounts, amount)
	}
	return data{"amounts": amounts}, nil
}

func waitAll(ctx context.Context, c call) (any, error) {
	wait := func(name string, timeout time.Duration) branch {
		return func(ctx context.Context) (any, error) { return waitFor(ctx, name, "e2e/"+name, sameKey, timeout) }
	}
	own := func(ctx context.Context) (any, error) {
		return step.Run(ctx, "own", func(context.Context) (string, error) {
			c.ran("own")
			return "own", nil
		})
	}
	results := group.Parallel(ctx, wait("left", time.Hour), own, wait("right", time.Hour), wait("never", time.Second))
	return data{
		"left": results[0].Value, "own": results[1].Value, "right": results[2].Value, "never": results[3].Value,
	}, results.AnyError()
}
