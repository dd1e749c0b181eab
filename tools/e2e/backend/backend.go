// Package backend runs the Postgres and the Redis that servers under test store things in. Both are private to the tests,
// may be stopped as by a crash, and started again.
//
// It must not know what is stored.
package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

const (
	// startTimeout is how long a server may take to answer.
	startTimeout = 30 * time.Second
	// tick is how often it is asked.
	tick = 20 * time.Millisecond
)

// await waits until a server that was just started answers.
func await(ctx context.Context, p *process.Process, answers func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("it takes too long to start"))
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := answers(ctx)
		switch {
		case err == nil:
			return nil
		case p.Ended():
			return fmt.Errorf("it ended\n%s", p.LogSince(0))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w\n%s", context.Cause(ctx), err, p.LogSince(0))
		}
	}
}
