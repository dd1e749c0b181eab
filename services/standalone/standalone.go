// Package standalone composes all services in one process: the same constructors as one process per service, over an
// in-memory network. What differs between the dev server and a production server is what is passed in.
//
// It must not have behaviour of its own beside the composition.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"

	"google.golang.org/grpc"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/event-api/discovery"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/httpserver"
	"github.com/stepwell/stepwell/services/internal/process"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
)

// Config is what users set.
type Config struct {
	Runner    runner.Config
	Executor  executor.Config
	Discovery discovery.Config
}

// Deps are what the services work with.
type Deps struct {
	Store store.Store
	Queue queue.Queue
	Keys  eventapi.Keys
	// HTTP and GRPC are where the public door listens.
	HTTP []net.Listener
	GRPC []rpc.Listener
	// Transport carries calls to apps, Signer signs them.
	Transport http.RoundTripper
	Signer    sdk.Signer
	// Gateway carries the requests that steps have the server make.
	Gateway http.RoundTripper
	// Dial looks whether something listens at a local address; needed for a discovery that scans.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ServerKind is what SDKs are told that this server is.
	ServerKind string
	// Routes are served beside the event-api's.
	Routes map[string]http.Handler
	// Follow, if it is set, tells somebody again and again whether the system is ready: the health of GRPC says so.
	Follow func(told func(ready bool))
	Log    *slog.Logger
	// Telemetry is what all services measure and trace with; optional.
	Telemetry telemetry.Telemetry
}

// System is all services of one process.
type System struct {
	parts []process.Part
	conns []*grpc.ClientConn
	log   *slog.Logger
	// ready is what Ready asks.
	ready func(ctx context.Context) error
}

// New composes the services and starts nothing.
func New(config Config, deps Deps) (*System, error) {
	s := &System{log: deps.Log, ready: func(context.Context) error { return nil }}
	network := rpc.NewMemory()
	services, err := s.compose(network, config, deps)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	// Started in this order, stopped in reverse: what others depend on stays up the longest.
	for _, internal := range []struct {
		name     string
		register func(grpc.ServiceRegistrar)
	}{
		{state.Name, services.state.Register},
		{runner.Name, services.runner.Register},
		{executor.Name, services.executor.Register},
	} {
		listener, err := network.Listen(internal.name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen as %s: %w", internal.name, err), s.close())
		}
		server := rpc.NewServer(listener.Observed(deps.Telemetry), deps.Log, internal.register)
		if _, probed := deps.Store.(store.Prober); probed && internal.name == state.Name {
			s.ready = server.HoldUntil(services.state.Ready)
		}
		s.add(internal.name+" over gRPC", server.Run)
	}
	s.add(state.Name, services.state.Run)
	s.add(runner.Name, services.runner.Run)
	s.add(executor.Name, services.executor.Run)
	for _, listener := range deps.GRPC {
		// Whose trace a call belongs to is for the service to say, which knows whether it may be made.
		public := listener.Observed(telemetry.Telemetry{Meters: deps.Telemetry.Meters})
		server := rpc.NewServer(public, deps.Log, services.events.Register, rpc.RegisterReflection)
		if deps.Follow != nil {
			deps.Follow(server.SetServing)
		}
		s.add("events over gRPC", server.Run)
	}
	for _, listener := range deps.HTTP {
		handler := httpserver.Beside(deps.Routes, services.events.Handler())
		s.add("event-api over HTTP", httpserver.New(listener, handler).LogTo(deps.Log).Run)
	}
	if config.Discovery.Scan || len(config.Discovery.URLs) > 0 {
		s.add("discovery", discovery.New(config.Discovery, discovery.Deps{
			Sync: services.events.SyncDefault, Transport: deps.Transport, Dial: deps.Dial, Log: deps.Log,
		}).Run)
	}
	return s, nil
}

// services are the services of one process.
type services struct {
	state    *state.Service
	runner   *runner.Service
	executor *executor.Service
	events   *eventapi.Service
}

// compose makes the services, each with clients of the others.
func (s *System) compose(network rpc.Network, config Config, deps Deps) (services, error) {
	var made services
	observed := rpc.Observed(deps.Telemetry)
	stateConn, err1 := s.dial(network, state.Name, observed)
	runnerConn, err2 := s.dial(network, runner.Name, observed)
	executorConn, err3 := s.dial(network, executor.Name, observed)
	err := errors.Join(err1, err2, err3)
	if err != nil {
		return made, err
	}
	states, err := batchstore.New(stateclient.New(stateConn), batchstore.DefaultConfig())
	if err != nil {
		return made, err
	}
	if made.state, err = state.New(state.Deps{Store: deps.Store, Log: deps.Log, Telemetry: deps.Telemetry}); err != nil {
		return made, err
	}
	made.runner, err = runner.New(config.Runner, runner.Deps{
		State: states, Queue: deps.Queue, Log: deps.Log, Telemetry: deps.Telemetry,
	})
	if err != nil {
		return made, err
	}
	made.executor, err = executor.New(config.Executor, executor.Deps{
		State: states, Queue: deps.Queue, Runner: runnerclient.New(runnerConn), Transport: deps.Transport,
		Gateway: deps.Gateway, Signer: deps.Signer, Random: rand.Float64, ServerKind: deps.ServerKind, Log: deps.Log,
		Telemetry: deps.Telemetry,
	})
	if err != nil {
		return made, err
	}
	made.events, err = eventapi.New(eventapi.Deps{
		State: states, Runner: runnerclient.New(runnerConn), Executor: executorclient.New(executorConn),
		Keys: deps.Keys, ServerKind: deps.ServerKind, Log: deps.Log, Telemetry: deps.Telemetry,
	})
	return made, err
}

func (s *System) dial(network rpc.Network, name string, options []grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := network.Dial(name, options...)
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, conn)
	return conn, nil
}

func (s *System) add(name string, run func(context.Context) error) {
	s.parts = append(s.parts, process.Part{Name: name, Run: run})
}

// Ready tells whether the store can do its work; the error says what to do. A store that may be unable to is asked nothing
// before this has succeeded once, so it is to be called again and again.
func (s *System) Ready(ctx context.Context) error { return s.ready(ctx) }

// Run runs all services until the context ends, then stops them in order. It can be called once.
func (s *System) Run(ctx context.Context) error {
	return errors.Join(process.Run(ctx, s.log, s.parts...), s.close())
}

func (s *System) close() error {
	var err error
	for _, conn := range s.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}
