package kitchensink

import (
	"context"
	"time"

	"github.com/inngest/inngestgo/step"
)

func (a *app) times() {
	a.define("sleep", retriesDefault, func(ctx context.Context, c call) (any, error) {
		before, err := number(ctx, c, "before", 1)
		if err != nil {
			return nil, err
		}
		step.Sleep(ctx, "nap", time.Duration(c.milliseconds())*time.Millisecond)
		after, err := number(ctx, c, "after", before+1)
		return data{"after": after}, err
	})
	a.define("sleep-until", retriesDefault, func(ctx context.Context, c call) (any, error) {
		text, _ := c.event.Data["until"].(string)
		until, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, err
		}
		step.SleepUntil(ctx, "nap", until)
		return step.Run(ctx, "after", func(context.Context) (any, error) {
			c.ran("after")
			return data{"until": text}, nil
		})
	})
}
