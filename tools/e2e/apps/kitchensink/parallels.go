package kitchensink

import (
	"context"
	"errors"
	"fmt"

	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

func (a *app) parallels() {
	a.define("fan-out", retriesDefault, fanOut)
	a.define("nested", retriesDefault, nested)
	a.define("partial", 1, partial)
	a.define("branches", retriesDefault, a.branches)
}

// branch is what a group runs in parallel.
type branch = func(context.Context) (any, error)

// Group runs branches in parallel and returns the result of each.
type Group = func(context.Context, ...branch) group.Results

// value is a branch of one step.
func value(c call, id string, n int) branch {
	return func(ctx context.Context) (any, error) { return number(ctx, c, id, n) }
}

// numbers are the results of branches that return numbers.
func numbers(results group.Results) ([]int, error) {
	var list []int
	for _, result := range results {
		n, _ := result.Value.(int)
		list = append(list, n)
	}
	return list, results.AnyError()
}

func fanOut(ctx context.Context, c call) (any, error) {
	var branches []branch
	for i := range 20 {
		branches = append(branches, value(c, fmt.Sprintf("part-%d", i), i))
	}
	parts, err := numbers(group.Parallel(ctx, branches...))
	return data{"parts": parts}, err
}

func nested(ctx context.Context, c call) (any, error) {
	side := func(name string, n int) branch {
		return func(ctx context.Context) (any, error) {
			one, err := number(ctx, c, name+"1", n)
			if err != nil {
				return nil, err
			}
			more, err := numbers(group.Parallel(ctx, value(c, name+"2", one+1), value(c, name+"3", one+2)))
			if err != nil {
				return nil, err
			}
			return one + more[0] + more[1], nil
		}
	}
	sides, err := numbers(group.Parallel(ctx, side("left", 1), side("right", 10)))
	if err != nil {
		return nil, err
	}
	total, err := number(ctx, c, "total", sides[0]+sides[1])
	if err != nil {
		return nil, err
	}
	twice, err := number(ctx, c, "twice", total*2)
	return data{"left": sides[0], "right": sides[1], "twice": twice}, err
}

func partial(ctx context.Context, c call) (any, error) {
	good := func(ctx context.Context) (any, error) {
		return step.Run(ctx, "good", func(context.Context) (string, error) {
			c.ran("good")
			return "good", nil
		})
	}
	bad := func(ctx context.Context) (any, error) {
		if _, err := fail(ctx, c, "bad", errors.New("bad luck")); err != nil {
			return "caught: " + err.Error(), nil
		}
		return "no error", nil
	}
	results := group.Parallel(ctx, good, bad)
	after, err := step.Run(ctx, "after", func(context.Context) (string, error) {
		c.ran("after")
		return fmt.Sprintf("%v, %v", results[0].Value, results[1].Value), nil
	})
	return data{"after": after}, err
}

// branches has a left branch of two steps, which goes on while the right one is held, if the SDK lets it.
func (a *app) branches(ctx context.Context, c call) (any, error) {
	left := func(ctx context.Context) (any, error) {
		one, err := number(ctx, c, "left1", 1)
		if err != nil {
			return nil, err
		}
		return number(ctx, c, "left2", one+1)
	}
	right := func(ctx context.Context) (any, error) {
		return step.Run(ctx, "right", func(context.Context) (int, error) {
			c.ran("right")
			a.gates.pass(c.gate())
			return 10, nil
		})
	}
	sides, err := numbers(a.race(ctx, left, right))
	if err != nil {
		return nil, err
	}
	return data{"sum": sides[0] + sides[1]}, nil
}
