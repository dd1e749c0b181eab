// Package runner is the service that decides what comes from outside: which functions an event starts.
//
// It must not call apps, nor hold anything that is not rebuilt at start.
package runner

import (
	"errors"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "runner"

// State is what the service needs of the state service.
type State interface {
	store.Ingester
	store.Catalog
}

// Deps are what the service works with.
type Deps struct {
	State State
	Queue queue.Producer
	Log   *slog.Logger
}

// Service is the runner.
type Service struct {
	runnerv1.UnimplementedRunnerServiceServer
	deps Deps

	mu sync.Mutex
	// indexes are the triggers of each environment, as of some revision; a stale one is noticed when it is used.
	indexes map[stepwell.EnvironmentID]*index
}

// New checks the dependencies and starts nothing.
func New(deps Deps) (*Service, error) {
	if deps.State == nil || deps.Queue == nil || deps.Log == nil {
		return nil, errors.New("runner: state, queue and log are needed")
	}
	return &Service{deps: deps, indexes: map[stepwell.EnvironmentID]*index{}}, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { runnerv1.RegisterRunnerServiceServer(r, s) }
