// Package executor is the service that decides what comes from apps: it leases items, calls the app, turns its answer
// into a transition, commits it and enqueues what follows. It is the only service that calls apps.
//
// It must not talk to a database, nor keep a run's only copy of anything.
package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "executor"

// Config is what users set.
type Config struct {
	// Workers is how many items are worked on at a time.
	Workers int `koanf:"workers" doc:"how many items are worked on at a time"`
	// LeaseFor is how long an item stays with an executor that no longer says anything.
	LeaseFor time.Duration `koanf:"lease_for" doc:"how long an item stays with an executor that no longer says anything"`
	// RetryInterval is the wait after a first failed attempt, from which the later ones grow; 0 means the SDKs' own
	// table, which begins at 15 s.
	RetryInterval time.Duration `koanf:"retry_interval" doc:"wait after a first failed attempt, from which the later ones grow; 0 means 15s, as the SDKs document"`
	// SystemRetryFor is how long calls that reach no app do not count as attempts: the connection is refused or breaks
	// before an answer, or a proxy says that nobody is there. 0 counts them like others.
	SystemRetryFor time.Duration `koanf:"system_retry_for" doc:"how long calls that reach no app do not count as attempts"`
	// CircuitFailuresMax is how many such calls in a row are made to an origin before its other items wait until one
	// call, tried now and then, is answered.
	CircuitFailuresMax int `koanf:"circuit_failures_max" doc:"how many calls in a row may reach no app before what is due for it waits"`
	// CallTimeout bounds one call to an app, and one request that a step has the server make.
	CallTimeout time.Duration `koanf:"call_timeout" doc:"bounds one call to an app, and one request of step.fetch or step.ai.infer"`
	// StayCallsMax and StayFor bound how long an executor stays on a run before others have their turn.
	StayCallsMax int           `koanf:"stay_calls_max" doc:"how many calls an executor makes for a run before others have their turn"`
	StayFor      time.Duration `koanf:"stay_for" doc:"how long an executor stays on a run before others have their turn"`
	// DrainFor is how long a stopping executor waits for calls that are under way before it hands them back.
	DrainFor time.Duration `koanf:"drain_for" doc:"how long a stopping executor waits for calls under way before it hands them back"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Workers: 100, LeaseFor: 30 * time.Second, CallTimeout: 2 * time.Hour,
		SystemRetryFor: 10 * time.Minute, CircuitFailuresMax: 5,
		StayCallsMax: 20, StayFor: 10 * time.Second, DrainFor: 10 * time.Second,
	}
}

// Validate returns every problem at once.
func (c Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(c.Workers > 0, "workers is %d, it must be above 0", c.Workers)
	check(c.LeaseFor >= time.Second, "lease_for is %s, it must be at least 1s", c.LeaseFor)
	check(c.RetryInterval >= 0, "retry_interval is %s, it cannot be below 0", c.RetryInterval)
	check(c.SystemRetryFor >= 0, "system_retry_for is %s, it cannot be below 0", c.SystemRetryFor)
	check(c.CircuitFailuresMax > 0, "circuit_failures_max is %d, it must be above 0", c.CircuitFailuresMax)
	check(c.CallTimeout > 0, "call_timeout is %s, it must be above 0", c.CallTimeout)
	check(c.StayCallsMax >= 0 && c.StayFor >= 0, "stay_calls_max and stay_for cannot be below 0")
	check(c.DrainFor >= 0, "drain_for is %s, it cannot be below 0", c.DrainFor)
	return errors.Join(problems...)
}

// Queue is what the service needs of the queue.
type Queue interface {
	queue.Consumer
	queue.Producer
}

// Runner is what the service needs of the runner service.
type Runner interface {
	// Nudge says that the store holds something for a runner to look at. It saves the time until it looks by itself.
	Nudge(ctx context.Context) error
}

// Deps are what the service works with.
type Deps struct {
	State  store.Committer
	Queue  Queue
	Runner Runner
	// Transport carries calls to apps; NewTransport makes the usual one.
	Transport http.RoundTripper
	// Gateway carries the requests that steps have the server make. NewTransport makes one that keeps to the same rules
	// about addresses.
	Gateway http.RoundTripper
	// Signer signs calls and syncs. The zero Signer, for servers without a key, signs nothing.
	Signer sdk.Signer
	// Random returns a number in [0, 1).
	Random func() float64
	// ServerKind is what apps are told that this server is: sdk.KindDev or sdk.KindCloud.
	ServerKind string
	Log        *slog.Logger
	// Telemetry is optional.
	Telemetry telemetry.Telemetry
}

// Service is the executor.
type Service struct {
	executorv1.UnimplementedExecutorServiceServer
	config Config
	deps   Deps
	apps   caller
	// fetches are made for steps.
	fetches fetcher
	// circuits are of the origins that apps are called at.
	circuits *circuits
	// slots holds a token for each worker that is free.
	slots chan struct{}
	heard heard
	// expressions are those of waits.
	expressions expr.Cache
	// nudges holds a token if a runner is to be told.
	nudges chan struct{}
	// busy counts the items that are worked on.
	busy    atomic.Int64
	tracer  telemetry.Tracer
	metrics metrics
	results map[itemResult]telemetry.Labels
	runs    *runtelemetry.Recorder
	recent  *recent
}

// New checks configuration and dependencies and starts nothing.
func New(config Config, deps Deps) (*Service, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	if deps.State == nil || deps.Queue == nil || deps.Runner == nil || deps.Transport == nil || deps.Gateway == nil ||
		deps.Random == nil || deps.Log == nil || deps.ServerKind == "" {
		return nil, errors.New("executor: state, queue, runner, transport, gateway, random, server kind and log are needed")
	}
	measured, err := newMetrics(deps.Telemetry.Meter())
	if err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	runs, err := runtelemetry.New(deps.Telemetry)
	if err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	s := &Service{
		config: config, deps: deps, tracer: deps.Telemetry.Tracer(), metrics: measured, results: results(), runs: runs, recent: newRecent(),
		apps: caller{
			transport: deps.Transport, signer: deps.Signer, timeout: config.CallTimeout, phases: measured.phases,
			tracer: deps.Telemetry.Tracer(),
		},
		fetches: fetcher{
			transport: deps.Gateway, timeout: config.CallTimeout, slots: make(chan struct{}, config.Workers),
			tracer: deps.Telemetry.Tracer(),
		},
		circuits: &circuits{
			failuresMax: config.CircuitFailuresMax, random: deps.Random, log: deps.Log, origins: map[string]*circuit{},
		},
		slots: make(chan struct{}, config.Workers),
		heard: heard{until: map[stepwell.EnvironmentID]time.Time{}}, nudges: make(chan struct{}, 1),
	}
	for range config.Workers {
		s.slots <- struct{}{}
	}
	if err := s.addGauges(deps.Telemetry.Meter()); err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	return s, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { executorv1.RegisterExecutorServiceServer(r, s) }

// pauseOnTrouble is the wait before a queue that does not answer is asked again.
const pauseOnTrouble = time.Second

// Run leases and works until the context ends. Then it finishes what it holds, or hands it back after DrainFor.
func (s *Service) Run(ctx context.Context) error {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var workers, nudging sync.WaitGroup
	defer nudging.Wait()
	nudging.Go(func() { s.tellRunner(working) }) // abandon ends it
	for {
		free := s.takeSlots(ctx)
		if free == 0 {
			break
		}
		now := time.Now()
		leased, err := s.deps.Queue.Lease(ctx, queue.LeaseRequest{Now: now, Max: free, Until: now.Add(s.config.LeaseFor)})
		s.freeSlots(free - len(leased.Leases))
		for _, lease := range leased.Leases {
			s.metrics.queueWait.Record(ctx, now.Sub(lease.Item.DueAt), telemetry.Labels{})
			workers.Go(func() {
				defer s.freeSlots(1)
				s.work(ctx, working, lease, now)
			})
		}
		if err == nil && len(leased.Leases) == 0 {
			err = s.deps.Queue.Wait(ctx, leased.NextAt)
		}
		if err != nil && ctx.Err() == nil {
			s.deps.Log.WarnContext(ctx, "queue does not answer", slog.String("error", err.Error()))
			pause(ctx, pauseOnTrouble)
		}
	}
	abandoned := time.AfterFunc(s.config.DrainFor, abandon)
	defer abandoned.Stop()
	workers.Wait()
	abandon()
	return nil
}

// takeSlots waits for a free worker and takes it and all others that are free, as many as one lease call may ask for.
// It returns 0 when the context has ended.
func (s *Service) takeSlots(ctx context.Context) int {
	select {
	case <-ctx.Done():
		return 0
	case <-s.slots:
	}
	for n := 1; n < queue.ItemsMax; n++ {
		select {
		case <-s.slots:
		default:
			return n
		}
	}
	return queue.ItemsMax
}

func (s *Service) freeSlots(n int) {
	for range n {
		s.slots <- struct{}{}
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
