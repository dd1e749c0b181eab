// Package process runs the parts of a process together and stops them in order.
//
// It must not know what the parts do.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// Part is something that runs until its context ends, and then finishes what it holds and returns nil. Returning
// earlier stops the whole process.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Run starts the parts in order and blocks until the context ends or a part returns. Then it stops them in reverse
// order, each when the one before has returned, so that what others depend on stays up the longest. It returns what
// went wrong.
func Run(ctx context.Context, log *slog.Logger, parts ...Part) error {
	// Parts outlive ctx: each is stopped in its turn.
	background := context.WithoutCancel(ctx)
	stopped := make(chan struct{}, len(parts))
	started := make([]*startedPart, len(parts))
	for i, part := range parts {
		started[i] = start(background, part, stopped)
	}
	select {
	case <-ctx.Done():
	case <-stopped:
	}
	var problems []error
	for _, part := range slices.Backward(started) {
		if err := part.stop(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", part.name, err))
		}
		log.DebugContext(background, "stopped", slog.String("part", part.name))
	}
	return errors.Join(problems...)
}

// startedPart is a part that runs.
type startedPart struct {
	name   string
	cancel context.CancelFunc
	err    chan error
}

func start(ctx context.Context, part Part, stopped chan<- struct{}) *startedPart {
	ctx, cancel := context.WithCancel(ctx)
	s := &startedPart{name: part.Name, cancel: cancel, err: make(chan error, 1)}
	go func() { // stop waits for it
		s.err <- part.Run(ctx)
		stopped <- struct{}{}
	}()
	return s
}

func (s *startedPart) stop() error {
	s.cancel()
	return <-s.err
}
