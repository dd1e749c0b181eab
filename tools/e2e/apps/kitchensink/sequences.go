package kitchensink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

func (a *app) sequences() {
	a.define("hello", retriesDefault, func(_ context.Context, c call) (any, error) {
		return data{"greeting": fmt.Sprintf("Hello %v", c.event.Data["name"])}, nil
	})
	a.define("nothing", retriesDefault, func(ctx context.Context, c call) (any, error) {
		return step.Run(ctx, "a", func(context.Context) (any, error) {
			c.ran("a")
			return nil, nil
		})
	})
	a.define("sequence", retriesDefault, sequence)
	a.define("loop", retriesDefault, loop)
	a.define("repeated", retriesDefault, repeated)
	a.define("long", retriesDefault, long)
	a.define("values", retriesDefault, values)
	a.define("large", retriesDefault, large)
	a.define("large-state", retriesDefault, largeState)
	a.define("held", retriesDefault, a.held)
	a.define("sender", retriesDefault, sender)
	a.define("sender-retried", 1, senderRetried)
}

// number is a step that ran and returns a number.
func number(ctx context.Context, c call, id string, value int) (int, error) {
	return step.Run(ctx, id, func(context.Context) (int, error) {
		c.ran(id)
		return value, nil
	})
}

func sequence(ctx context.Context, c call) (any, error) {
	one, err := number(ctx, c, "a", 1)
	if err != nil {
		return nil, err
	}
	two, err := number(ctx, c, "b", one+1)
	if err != nil {
		return nil, err
	}
	three, err := number(ctx, c, "c", two+1)
	return data{"a": one, "b": two, "c": three}, err
}

func loop(ctx context.Context, c call) (any, error) {
	var squares []int
	for i := range 5 {
		square, err := number(ctx, c, "square", i*i)
		if err != nil {
			return nil, err
		}
		squares = append(squares, square)
	}
	return data{"squares": squares}, nil
}

func repeated(ctx context.Context, c call) (any, error) {
	one, err := number(ctx, c, "same", 1)
	if err != nil {
		return nil, err
	}
	step.Sleep(ctx, "same", time.Second)
	two, err := number(ctx, c, "same", 2)
	if err != nil {
		return nil, err
	}
	more, err := numbers(group.Parallel(ctx, value(c, "same", 3), value(c, "same", 4)))
	return data{"numbers": append([]int{one, two}, more...)}, err
}

func long(ctx context.Context, c call) (any, error) {
	sum := 0
	for i := range 200 {
		value, err := step.Run(ctx, fmt.Sprintf("step-%d", i), func(context.Context) (int, error) {
			c.ran("step")
			return i, nil
		})
		if err != nil {
			return nil, err
		}
		sum += value
	}
	return data{"sum": sum}, nil
}

func values(ctx context.Context, c call) (any, error) {
	list, _ := c.event.Data["values"].([]any)
	results := make([]any, len(list))
	for i, value := range list {
		result, err := step.Run(ctx, fmt.Sprintf("value-%d", i), func(context.Context) (any, error) {
			c.ran("value")
			return value, nil
		})
		if err != nil {
			return nil, err
		}
		results[i] = result
	}
	step.Sleep(ctx, "nap", time.Second) // ends the call, so that every value comes back from the server
	return data{"values": results}, nil
}

func large(ctx context.Context, c call) (any, error) {
	bytes, _ := c.event.Data["bytes"].(float64)
	text, err := step.Run(ctx, "make", func(context.Context) (string, error) {
		c.ran("make")
		return strings.Repeat("0123456789abcdef", int(bytes)/16), nil
	})
	if err != nil {
		return nil, err
	}
	return step.Run(ctx, "hash", func(context.Context) (any, error) {
		c.ran("hash")
		sum := sha256.Sum256([]byte(text))
		return data{"bytes": len(text), "sha256": hex.EncodeToString(sum[:])}, nil
	})
}

func largeState(ctx context.Context, c call) (any, error) {
	count, _ := c.event.Data["steps"].(float64)
	bytes, _ := c.event.Data["bytes"].(float64)
	parts := make([]string, int(count))
	var branches []branch
	for i := range parts {
		branches = append(branches, func(ctx context.Context) (_ any, err error) {
			parts[i], err = step.Run(ctx, fmt.Sprintf("part-%d", i), func(context.Context) (string, error) {
				c.ran("part")
				return strings.Repeat(string(rune('a'+i)), int(bytes)), nil
			})
			return nil, err
		})
	}
	if c.event.Data["parallel"] == true {
		if err := group.Parallel(ctx, branches...).AnyError(); err != nil {
			return nil, err
		}
	} else {
		for _, part := range branches {
			if _, err := part(ctx); err != nil {
				return nil, err
			}
		}
	}
	return step.Run(ctx, "hash", func(context.Context) (any, error) {
		c.ran("hash")
		sum := sha256.Sum256([]byte(strings.Join(parts, "")))
		return data{"sha256": hex.EncodeToString(sum[:])}, nil
	})
}

func (a *app) held(ctx context.Context, c call) (any, error) {
	first, err := number(ctx, c, "first", 1)
	if err != nil {
		return nil, err
	}
	held, err := step.Run(ctx, "held", func(context.Context) (int, error) {
		c.ran("held")
		a.gates.pass(c.gate())
		return first + 1, nil
	})
	if err != nil {
		return nil, err
	}
	last, err := number(ctx, c, "last", held+1)
	return data{"last": last}, err
}

func sender(ctx context.Context, _ call) (any, error) {
	var events []inngestgo.GenericEvent[data]
	for n := range 3 {
		events = append(events, inngestgo.GenericEvent[data]{Name: "e2e/echo", Data: data{"n": n + 1}})
	}
	ids, err := step.SendMany(ctx, "send", events)
	return data{"ids": ids}, err
}

func senderRetried(ctx context.Context, c call) (any, error) {
	id, err := step.Send(ctx, "send", inngestgo.GenericEvent[data]{Name: "e2e/echo", Data: data{"n": 1}})
	if err != nil {
		return nil, err
	}
	c.ran("rest")
	if c.attempt == 0 {
		return nil, errors.New("try again")
	}
	return data{"ids": []string{id}}, nil
}
