// Package state is the service that owns the store: it commits transitions, loads runs and serves reads over gRPC.
//
// It must not decide anything about events or runs: it hands requests to the store and answers what the store says.
package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// Name is the service's name in a network.
const Name = "state"

// Deps are what the service works with.
type Deps struct {
	Store store.Store
	// Log is told when maintenance fails; without it nobody is.
	Log *slog.Logger
	// Telemetry is optional.
	Telemetry telemetry.Telemetry
}

// Service is the state service.
type Service struct {
	statev1.UnimplementedStateServiceServer
	store   store.Store
	log     *slog.Logger
	metrics metrics
}

// New checks the dependencies and starts nothing.
func New(deps Deps) (*Service, error) {
	if deps.Store == nil {
		return nil, errors.New("state: no store")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	measured, err := newMetrics(deps.Telemetry.Meter())
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return &Service{store: deps.Store, log: deps.Log, metrics: measured}, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { statev1.RegisterStateServiceServer(r, s) }

// Ready tells whether the store can do its work; the error says what to do. It is what readiness probes ask.
func (s *Service) Ready(ctx context.Context) error {
	if prober, ok := s.store.(store.Prober); ok {
		return prober.Ready(ctx)
	}
	return nil
}

const (
	// maintainEvery is how often the store is maintained, maintainAgainAfter how soon again when that failed: until it
	// has succeeded once, there may be no room for today's rows.
	maintainEvery      = 10 * time.Minute
	maintainAgainAfter = 10 * time.Second
	// maintainTimeout bounds one pass.
	maintainTimeout = 5 * time.Minute
)

// Run maintains the store, at once and then from time to time, until the context ends. What fails is tried again; the
// log tells when it begins to fail, and when it no longer does.
func (s *Service) Run(ctx context.Context) error {
	maintainer, ok := s.store.(store.Maintainer)
	if !ok {
		<-ctx.Done()
		return nil
	}
	failing := false
	for ctx.Err() == nil {
		err := maintain(ctx, maintainer)
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			s.log.WarnContext(ctx, "the store cannot be maintained, trying again", slog.String("error", err.Error()))
		case err == nil && failing:
			s.log.InfoContext(ctx, "the store is maintained again")
		}
		failing = err != nil
		wait, result := maintainEvery, s.metrics.maintained
		if failing {
			wait, result = maintainAgainAfter, s.metrics.unmaintained
		}
		s.metrics.maintenance.Add(ctx, 1, result)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

func maintain(ctx context.Context, maintainer store.Maintainer) error {
	ctx, cancel := context.WithTimeout(ctx, maintainTimeout)
	defer cancel()
	return maintainer.Maintain(ctx, time.Now())
}
