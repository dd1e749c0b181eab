// Package eventapi is the service at the public door: it takes events over HTTP and gRPC, registrations of apps, and the
// calls of SDKs, and serves the REST API. Keys, limits and validation are its business.
//
// It must not decide what an event starts, nor talk to a database or a queue.
package eventapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"google.golang.org/grpc"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "event-api"

// State is what the service needs of the state service.
type State interface {
	store.Ingester
	store.Catalog
	store.Reader
	store.Loader
}

// Runner is what the service needs of the runner.
type Runner interface {
	Publish(ctx context.Context, events []stepwell.Event) error
	SendSignal(ctx context.Context, environment stepwell.EnvironmentID, signal string, data []byte) (stepwell.RunID, error)
	CancelRun(ctx context.Context, environment stepwell.EnvironmentID, run stepwell.RunID) error
	StartEndpointRun(ctx context.Context, run runnerclient.EndpointRun) (existed bool, err error)
	ExplainWaiting(ctx context.Context, items []stepwell.Item) (map[stepwell.ItemID]stepwell.Waiting, error)
}

// Executor is what the service needs of the executor.
type Executor interface {
	Checkpoint(ctx context.Context, report executorclient.Checkpoint) error
	Report(ctx context.Context, report executorclient.Report) error
	RequestSync(ctx context.Context, url string) (registration []byte, err error)
}

// Deps are what the service works with.
type Deps struct {
	State    State
	Runner   Runner
	Executor Executor
	Keys     Keys
	// ServerKind is what SDKs are told that this server is: sdk.KindDev or sdk.KindCloud.
	ServerKind string
	Log        *slog.Logger
	// Telemetry is optional.
	Telemetry telemetry.Telemetry
}

// Service is the event-api.
type Service struct {
	eventv1.UnimplementedEventServiceServer
	deps     Deps
	tracer   telemetry.Tracer
	metrics  metrics
	eventIDs *stepwell.EventIDs
	tokens   tokens
	// waiters holds a token for each request that waits for a run to end.
	waiters chan struct{}
	// syncing holds a token while endpoints are put into the catalog.
	syncing chan struct{}

	mu sync.Mutex
	// catalogs are the functions of each environment, asked for again by revision at each use.
	catalogs map[stepwell.EnvironmentID]store.Functions
}

// New checks the dependencies and starts nothing.
func New(deps Deps) (*Service, error) {
	if deps.State == nil || deps.Runner == nil || deps.Executor == nil || deps.Keys == nil || deps.Log == nil ||
		deps.ServerKind == "" {
		return nil, errors.New("event-api: state, runner, executor, keys, server kind and log are needed")
	}
	tokens, err := newTokens(deps.Keys.TokenKeys())
	if err != nil {
		return nil, fmt.Errorf("event-api: %w", err)
	}
	measured, err := newMetrics(deps.Telemetry.Meter())
	if err != nil {
		return nil, fmt.Errorf("event-api: %w", err)
	}
	return &Service{
		deps: deps, tracer: deps.Telemetry.Tracer(), metrics: measured, eventIDs: stepwell.NewEventIDs(rand.Reader), tokens: tokens,
		waiters: make(chan struct{}, outputWaitersMax), syncing: make(chan struct{}, 1),
		catalogs: map[stepwell.EnvironmentID]store.Functions{},
	}, nil
}

// Register offers the public gRPC services on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { eventv1.RegisterEventServiceServer(r, s) }

// route is a route of the public HTTP API.
type route struct {
	pattern string
	serve   http.HandlerFunc
	// anonymous says why the route needs no key; empty for all others.
	anonymous string
}

// routes are all there are. Each checks its key before anything else (I25); authorized does it for most.
func (s *Service) routes() []route {
	return []route{
		{pattern: "GET /health", serve: s.health, anonymous: "liveness"},
		{pattern: "GET /ready", serve: s.ready, anonymous: "readiness"},

		{pattern: "POST /e/{key}", serve: s.postEvents},
		{pattern: "OPTIONS /e/{key}", serve: preflight, anonymous: "the same answer for everybody; after a refusal " +
			"here a browser could not tell its page that the key is wrong"},
		{pattern: "POST /fn/register", serve: s.authorized(s.register)},
		{pattern: "PUT /fn/register", serve: s.authorized(s.register)},

		{pattern: "GET /v0/runs/{run}/actions", serve: s.authorized(s.runActions)},
		{pattern: "GET /v0/runs/{run}/batch", serve: s.authorized(s.runBatch)},
		{pattern: "POST /v1/checkpoint/{run}/async", serve: s.authorized(s.checkpoint)},
		{pattern: "POST /v1/http/runs/{run}/async", serve: s.authorized(s.checkpoint)},
		{pattern: "POST /v1/checkpoint", serve: s.authorized(s.startEndpoint)},
		{pattern: "POST /v1/http/runs", serve: s.authorized(s.startEndpoint)},
		{pattern: "POST /v1/checkpoint/{run}/steps", serve: s.authorized(s.reportSteps)},
		{pattern: "POST /v1/http/runs/{run}/steps", serve: s.authorized(s.reportSteps)},
		// These check a token of the run's.
		{pattern: "GET /v1/checkpoint/{run}/output", serve: s.endpointOutput},
		{pattern: "GET /v1/http/runs/{run}/output", serve: s.endpointOutput},
		{pattern: "GET /v1/events/{event}/runs", serve: s.authorized(s.getEventRuns)},
		{pattern: "GET /v1/runs/{run}", serve: s.authorized(s.getRun)},
		{pattern: "DELETE /v1/runs/{run}", serve: s.authorized(s.cancelRun(http.StatusOK))},
		{pattern: "DELETE /v0/runs/{run}", serve: s.authorized(s.cancelRun(http.StatusNoContent))},
		{pattern: "POST /v1/signals", serve: s.authorized(s.postSignal)},

		{pattern: "GET /api/v1/functions", serve: s.authorized(s.listFunctions)},
		{pattern: "POST /api/v1/functions", serve: s.authorized(s.addFunctions)},
		{pattern: "POST /api/v1/functions/{function}/pause", serve: s.authorized(s.pauseFunction)},
		{pattern: "POST /api/v1/functions/{function}/resume", serve: s.authorized(s.holdFunction(stepwell.HoldNone))},
		{pattern: "POST /api/v1/functions/{function}/drain", serve: s.authorized(s.holdFunction(stepwell.HoldDrain))},
		{pattern: "POST /api/v1/events", serve: s.authorized(s.apiEvents)},
		{pattern: "GET /api/v1/runs", serve: s.authorized(s.listRuns)},
		{pattern: "GET /api/v1/runs/{run}", serve: s.authorized(s.runHistory)},

		{pattern: "/", serve: s.authorized(notFound)},
	}
}

// Handler serves the public HTTP routes.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, s.measured(r.pattern, r.serve))
	}
	return s.withServerKind(mux)
}
