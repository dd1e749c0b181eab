package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// limits are what functions are limited to, as of the catalogs that the runner knows. The queue is told of them.
type limits struct {
	mu sync.Mutex
	// known are those of all functions, unsaid those that the queue was not told of since they changed.
	known, unsaid map[stepwell.FunctionID]queue.FunctionLimits
	// toSay holds a token if there are unsaid ones.
	toSay chan struct{}
}

func newLimits() *limits {
	return &limits{
		known: map[stepwell.FunctionID]queue.FunctionLimits{}, unsaid: map[stepwell.FunctionID]queue.FunctionLimits{},
		toSay: make(chan struct{}, 1),
	}
}

// learn takes note of a catalog's limits, also of functions that are archived: their runs go on.
func (l *limits) learn(catalog store.Functions) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, function := range catalog.Functions {
		known, found := l.known[function.ID]
		if found && known.Revision >= catalog.Revision {
			continue
		}
		said := queue.FunctionLimits{
			Function: function.ID, Revision: catalog.Revision, Limits: function.Limits(), Paused: function.Hold.Waits(),
		}
		l.known[function.ID] = said
		if !found || known.Paused != said.Paused || !slices.Equal(known.Limits, said.Limits) {
			l.unsaid[function.ID] = said
		}
	}
	if len(l.unsaid) > 0 {
		select {
		case l.toSay <- struct{}{}:
		default: // it will be said anyway
		}
	}
}

// take returns what is not said yet, as if it were said now.
func (l *limits) take() []queue.FunctionLimits {
	l.mu.Lock()
	defer l.mu.Unlock()
	said := slices.Collect(maps.Values(l.unsaid))
	clear(l.unsaid)
	return said
}

// forget takes note that nothing of what is known was said.
func (l *limits) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(l.unsaid, l.known)
}

// periods are those of the throttles of all functions.
func (l *limits) periods() map[stepwell.FunctionID]time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	periods := map[stepwell.FunctionID]time.Duration{}
	for id, function := range l.known {
		for _, limit := range function.Limits {
			if limit.Kind == stepwell.LimitThrottle {
				periods[id] = limit.Period
			}
		}
	}
	return periods
}

// limit tells the queue of limits that changed. What it cannot tell is told with the next pass.
func (s *Service) limit(ctx context.Context) error {
	functions := s.limits.take()
	if len(functions) == 0 {
		return nil
	}
	if err := s.deps.Queue.SetLimits(ctx, functions); err != nil {
		s.limits.forget()
		return fmt.Errorf("set limits of %d functions: %w", len(functions), err)
	}
	return nil
}

// limitAnew tells the queue of all limits: it may know none.
func (s *Service) limitAnew(ctx context.Context) error {
	// The functions of this environment may not be known yet: a runner that starts loads them with the first event.
	if _, err := s.index(ctx, stepwell.DefaultEnvironment()); err != nil {
		return err
	}
	s.limits.forget()
	return s.limit(ctx)
}
