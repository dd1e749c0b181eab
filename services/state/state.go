// Package state is the service that owns the store: it commits transitions, loads runs and serves reads over gRPC.
//
// It must not decide anything about events or runs: it hands requests to the store and answers what the store says.
package state

import (
	"errors"

	"google.golang.org/grpc"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "state"

// Deps are what the service works with.
type Deps struct {
	Store store.Store
}

// Service is the state service. It has no work of its own beside answering calls.
type Service struct {
	statev1.UnimplementedStateServiceServer
	store store.Store
}

// New checks the dependencies and starts nothing.
func New(deps Deps) (*Service, error) {
	if deps.Store == nil {
		return nil, errors.New("state: no store")
	}
	return &Service{store: deps.Store}, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { statev1.RegisterStateServiceServer(r, s) }
