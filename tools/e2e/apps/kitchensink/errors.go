package kitchensink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

func (a *app) errors() {
	a.define("caught", 1, caught)
	a.define("uncaught", 0, func(ctx context.Context, c call) (any, error) {
		return fail(ctx, c, "charge", errors.New("card declined"))
	})
	a.define("recovering", 3, recovering)
	a.define("throwing", 2, throwing)
	a.define("throwing-once", retriesDefault, throwingOnce)
	a.define("step-retry-after", retriesDefault, stepRetryAfter)
	a.define("function-retry-after", retriesDefault, func(_ context.Context, c call) (any, error) {
		if c.attempt == 0 {
			return nil, busy(c)
		}
		return data{"answer": "served"}, nil
	})
	a.define("step-non-retriable", retriesDefault, func(ctx context.Context, c call) (any, error) {
		return fail(ctx, c, "charge", inngestgo.NoRetryError(errors.New("card stolen")))
	})
	a.define("function-non-retriable", retriesDefault, func(context.Context, call) (any, error) {
		return nil, inngestgo.NoRetryError(errors.New("card stolen"))
	})
}

// fail is a step that returns an error whenever it runs.
func fail(ctx context.Context, c call, id string, err error) (any, error) {
	return step.Run(ctx, id, func(context.Context) (any, error) {
		c.ran(id)
		return nil, err
	})
}

// busy asks to be called again after the time that the event names.
func busy(c call) error {
	return inngestgo.RetryAtError(errors.New("busy"),
		time.Now().Add(time.Duration(c.milliseconds())*time.Millisecond))
}

func caught(ctx context.Context, c call) (any, error) {
	_, err := fail(ctx, c, "charge", errors.New("card declined"))
	if err == nil {
		return nil, nil
	}
	answer, err := step.Run(ctx, "apologise", func(context.Context) (string, error) {
		c.ran("apologise")
		return "sorry: " + err.Error(), nil
	})
	return data{"answer": answer}, err
}

func recovering(ctx context.Context, c call) (any, error) {
	before, err := number(ctx, c, "before", 1)
	if err != nil {
		return nil, err
	}
	flaky, err := step.Run(ctx, "flaky", func(context.Context) (int, error) {
		c.ran("flaky")
		if c.attempt < 2 {
			return 0, fmt.Errorf("attempt %d fails", c.attempt)
		}
		return before + 1, nil
	})
	if err != nil {
		return nil, err
	}
	after, err := number(ctx, c, "after", flaky+1)
	return data{"after": after}, err
}

func throwing(ctx context.Context, c call) (any, error) {
	if _, err := number(ctx, c, "before", 1); err != nil {
		return nil, err
	}
	c.ran("throw")
	return nil, errors.New("out of luck")
}

func throwingOnce(ctx context.Context, c call) (any, error) {
	before, err := number(ctx, c, "before", 1)
	if err != nil {
		return nil, err
	}
	c.ran("rest")
	if c.attempt == 0 {
		return nil, errors.New("try again")
	}
	after, err := number(ctx, c, "after", before+1)
	return data{"after": after}, err
}

func stepRetryAfter(ctx context.Context, c call) (any, error) {
	answer, err := step.Run(ctx, "busy", func(context.Context) (string, error) {
		c.ran("busy")
		if c.attempt == 0 {
			return "", busy(c)
		}
		return "served", nil
	})
	return data{"answer": answer}, err
}
