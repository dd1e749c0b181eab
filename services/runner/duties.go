package runner

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// duty is something the service does again and again.
type duty struct {
	name  string
	every time.Duration
	do    func(ctx context.Context) error
	// nudged has it done at once; nil if nothing does.
	nudged chan struct{}
}

// Run looks after events and items that are stored and that nobody brings, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	var duties sync.WaitGroup
	for _, d := range []duty{
		{"route events", s.config.RouteEvery, s.route, s.toRoute},
		{"look back for waits", s.config.RouteEvery, s.lookBack, s.toLookBack},
		{"feed the queue", s.config.FeedEvery, s.asKeeper(s.feed), nil},
		{"reconcile the queue", s.config.ReconcileEvery, s.asKeeper(s.reconcile), nil},
		{"rebuild the queue", s.config.RebuildEvery, s.rebuild, nil},
		{"limit the queue", s.config.RebuildEvery, s.limit, s.limits.toSay},
		{"count what waits", countDepthsEvery, s.countDepths, nil},
		{"fire cron triggers", s.config.CronEvery, s.fireTimers, nil},
		{"cancel late runs", s.config.CronEvery, s.cancelLate, nil},
		{"fire buffers", s.config.CronEvery, s.fireBuffers, nil},
	} {
		duties.Go(func() { s.repeat(ctx, d) })
	}
	duties.Wait()
	s.resign(context.WithoutCancel(ctx))
	return nil
}

// repeat does the duty at once and then from time to time. What fails is tried again the next time; the log tells when
// it begins to fail, and when it no longer does.
func (s *Service) repeat(ctx context.Context, d duty) {
	ticker := time.NewTicker(d.every)
	defer ticker.Stop()
	labels := telemetry.Label("duty", strings.ReplaceAll(d.name, " ", "_"))
	failing := false
	for {
		err := d.do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			s.deps.Log.WarnContext(ctx, "a duty fails, trying again",
				slog.String("duty", d.name), slog.String("error", err.Error()))
		case err == nil && failing:
			s.deps.Log.InfoContext(ctx, "a duty works again", slog.String("duty", d.name))
		}
		if failing = err != nil; failing {
			s.metrics.dutyFailed.Add(ctx, 1, labels)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-d.nudged:
		}
	}
}

// keeper is the lock of the runner that keeps the queue filled.
func (s *Service) keeper() queue.Lock { return queue.Lock{Name: "keeper", Owner: s.owner} }

// asKeeper does the work if no other runner does.
func (s *Service) asKeeper(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		mine, err := s.deps.Queue.TryLock(ctx, s.keeper(), 3*s.config.ReconcileEvery)
		s.keeps.Store(mine)
		if err != nil {
			return fmt.Errorf("become the queue's keeper: %w", err)
		}
		if !mine {
			return nil
		}
		return do(ctx)
	}
}

// resignTimeout bounds how long a stopping runner waits for a queue that does not answer.
const resignTimeout = time.Second

// resign lets another runner be the keeper, and fire cron triggers, at once.
func (s *Service) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resignTimeout)
	defer cancel()
	s.keeps.Store(false)
	for _, lock := range []queue.Lock{s.keeper(), s.scheduler()} {
		if err := s.deps.Queue.Unlock(ctx, lock); err != nil {
			s.deps.Log.DebugContext(ctx, "lock not given up", slog.String("lock", lock.Name), slog.String("error", err.Error()))
		}
	}
}
