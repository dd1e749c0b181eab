// Package runner is the service that decides what comes from outside: which functions an event starts, and what belongs
// into the queue because its time is near or because it got lost.
//
// It must not call apps, nor hold anything that is not rebuilt at start. Any number of runners may run: the queue's locks
// keep them from doing the same work twice, and it would be harmless.
//
// Invariants: I2 (an event that was stored unrouted is routed), I7 (an open item that is due is in the queue, or is put
// back), I8 (a parked item is in the queue before it is due), I18 (a cron trigger fires once at each of its instants), I19 (a
// debounce or a batch starts its run once, at its time).
package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "runner"

// State is what the service needs of the state service.
type State interface {
	store.Ingester
	store.Committer
	store.Catalog
	store.Backlog
	store.Matcher
	store.Scheduler
}

// Queue is what the service needs of the queue.
type Queue interface {
	queue.Producer
	queue.Limiter
	queue.Shards
	// Stats, Depths and Waiting are those of queue.Inspector.
	Stats(ctx context.Context, now time.Time) (queue.Stats, error)
	Depths(ctx context.Context, now time.Time, functions []stepwell.FunctionID) (map[stepwell.FunctionID]int, error)
	Waiting(ctx context.Context, now time.Time, items []stepwell.Item) (map[stepwell.ItemID]stepwell.Waiting, error)
}

// Config is how often the service looks for work that nobody brings.
type Config struct {
	// RouteEvery is how long an event waits that was stored while no runner was up.
	RouteEvery time.Duration `koanf:"route_every" doc:"how soon events are routed that were stored while no runner was up"`
	// FeedEvery is less than stepwell.Horizon, so that a parked item is in the queue before it is due.
	FeedEvery time.Duration `koanf:"feed_every" doc:"how often timers that come near are put into the queue"`
	// ReconcileEvery and OverdueAfter make up how long an item that is due may be missing from the queue.
	ReconcileEvery time.Duration `koanf:"reconcile_every" doc:"how often items that are missing from the queue are looked for"`
	OverdueAfter   time.Duration `koanf:"overdue_after" doc:"how long after its time an item is taken for missing"`
	// RebuildEvery is how soon a lost shard of the queue is noticed.
	RebuildEvery time.Duration `koanf:"rebuild_every" doc:"how soon a lost shard of the queue is noticed"`
	// LostLeasesFor is how long whoever has leases that the queue lost may go on without knowing it.
	LostLeasesFor time.Duration `koanf:"lost_leases_for" doc:"for how long items with limits wait when the queue was lost, since others of them may still be worked on: lease_for of the executors"`
	// QueueDepthMax is how much may wait of one function before publishers have to slow down.
	QueueDepthMax int `koanf:"queue_depth_max" doc:"how many items of one function may wait in the queue before events that start it are refused with 429; 0 for any number"`
	// CronEvery is how soon a new cron trigger is noticed. Those that are known fire on time.
	CronEvery time.Duration `koanf:"cron_every" doc:"how often due cron triggers are looked for, ahead of their time; also how soon a new one is noticed"`
	// CronCatchUp bounds how late an instant of a cron trigger is fired. At most the events' dedupe window.
	CronCatchUp time.Duration `koanf:"cron_catch_up" doc:"how long after its time a cron trigger that was missed is still fired, at most 24h; 0 for 10 seconds"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		RouteEvery: 2 * time.Second, FeedEvery: time.Minute, RebuildEvery: time.Second,
		ReconcileEvery: 10 * time.Second, OverdueAfter: 10 * time.Second, LostLeasesFor: 30 * time.Second,
		QueueDepthMax: 1_000_000,
		CronEvery:     time.Second, CronCatchUp: time.Hour,
	}
}

// Validate returns every problem at once.
func (c Config) Validate() error {
	var problems []error
	for _, setting := range []struct {
		name  string
		value time.Duration
		most  time.Duration
	}{
		{"route_every", c.RouteEvery, time.Hour},
		{"feed_every", c.FeedEvery, stepwell.Horizon - time.Second},
		{"reconcile_every", c.ReconcileEvery, time.Hour},
		{"overdue_after", c.OverdueAfter, time.Hour},
		{"rebuild_every", c.RebuildEvery, time.Hour},
		{"lost_leases_for", c.LostLeasesFor, time.Hour},
		{"cron_every", c.CronEvery, time.Hour},
	} {
		if setting.value <= 0 || setting.value > setting.most {
			problems = append(problems,
				fmt.Errorf("%s is %s, it must be above 0 and at most %s", setting.name, setting.value, setting.most))
		}
	}
	if c.QueueDepthMax < 0 {
		problems = append(problems, fmt.Errorf("queue_depth_max is %d, it must be 0 or more", c.QueueDepthMax))
	}
	if c.CronCatchUp < 0 || c.CronCatchUp > stepwell.EventDedupeWindow {
		problems = append(problems, fmt.Errorf("cron_catch_up is %s, it must be between 0 and %s",
			c.CronCatchUp, stepwell.EventDedupeWindow))
	}
	return errors.Join(problems...)
}

// Deps are what the service works with.
type Deps struct {
	State State
	Queue Queue
	Log   *slog.Logger
	// Telemetry is optional.
	Telemetry telemetry.Telemetry
}

// Service is the runner.
type Service struct {
	runnerv1.UnimplementedRunnerServiceServer
	config Config
	deps   Deps
	// owner is this runner's name in the queue's locks.
	owner string
	// reconciled is where the last pass of reconcile ended, reconciledLately where it did among runs that became overdue
	// lately; "" to begin anew.
	reconciled, reconciledLately string
	// reconciledAll says that passes have come to the end since the start.
	reconciledAll bool
	// expressions are those of waits.
	expressions expr.Cache
	// toRoute and toLookBack hold a token if somebody knows of something to be done.
	toRoute, toLookBack chan struct{}
	// deadlines are when runs are looked at that may take too long, buffers when debounces and batches start theirs.
	deadlines, buffers *agenda
	limits             *limits
	depths             atomic.Pointer[depths]
	// keeps says that this runner keeps the queue filled, as far as it knows.
	keeps   atomic.Bool
	tracer  telemetry.Tracer
	metrics metrics
	runs    *runtelemetry.Recorder

	mu sync.Mutex
	// indexes are the triggers of each environment, as of some revision; a stale one is noticed when it is used.
	indexes map[stepwell.EnvironmentID]*index
}

// New checks configuration and dependencies and starts nothing.
func New(config Config, deps Deps) (*Service, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	if deps.State == nil || deps.Queue == nil || deps.Log == nil {
		return nil, errors.New("runner: state, queue and log are needed")
	}
	s := &Service{
		config: config, deps: deps, owner: rand.Text(), indexes: map[stepwell.EnvironmentID]*index{},
		toRoute: make(chan struct{}, 1), toLookBack: make(chan struct{}, 1), deadlines: newAgenda(), buffers: newAgenda(),
		limits: newLimits(), tracer: deps.Telemetry.Tracer(),
	}
	s.depths.Store(&depths{})
	meter := deps.Telemetry.Meter()
	var err1, err2 error
	s.metrics, err1 = newMetrics(meter)
	s.runs, err2 = runtelemetry.New(deps.Telemetry)
	if err := errors.Join(err1, err2, newQueueGauges(s).addTo(meter)); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	return s, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { runnerv1.RegisterRunnerServiceServer(r, s) }
