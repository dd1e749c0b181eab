package kitchensink

import (
	"context"
	"errors"

	"github.com/inngest/inngestgo/step"
)

// signals are functions that wait for signals. The SDK has no step that sends one.
func (a *app) signals() {
	a.define("signal-wait", retriesDefault, signalWait)
}

func signalWait(ctx context.Context, c call) (any, error) {
	timeout, err := c.timeout()
	if err != nil {
		return nil, err
	}
	result, err := step.WaitForSignal[data](ctx, "wait", step.WaitForSignalOpts{
		Signal: c.text("signal"), Timeout: timeout, OnConflict: step.SignalConfict(c.text("onConflict")),
	})
	got := any(result)
	if errors.Is(err, step.ErrSignalNotReceived) {
		got, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return step.Run(ctx, "after", func(context.Context) (any, error) {
		c.ran("after")
		return data{"got": got}, nil
	})
}
