// Command event-api is the public door as a process of its own.
package main

import (
	"context"
	"os"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/event-api/discovery"
	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
)

// version is set when the binary is built.
var version = "development"

type settings struct {
	daemon.Settings
	daemon.Door
	eventapi.KeyConfig

	Network daemon.Network   `koanf:"network"`
	Apps    discovery.Config `koanf:"apps"`
}

func main() {
	s := &settings{
		Settings: daemon.DefaultSettings(), Door: daemon.DefaultDoor(), Network: daemon.DefaultNetwork(),
		Apps: discovery.DefaultConfig(),
	}
	program := daemon.Program{
		Use: eventapi.Name, Version: version, Settings: s, Common: &s.Settings, Environ: os.Environ(),
		Short:   "Run the public door: events, registrations, the API",
		Example: "  event-api --event-key-file event.key --signing-key-file signing.key --network-state localhost:9000",
		Options: eventapi.KeyOptions(),
		Compose: s.compose,
	}
	root := program.Command()
	root.AddCommand(program.ConfigCommand(), program.ProbeCommand(), program.VersionCommand())
	os.Exit(daemon.Run(root))
}

func (s *settings) compose(ctx context.Context, p *daemon.Process) error {
	stateConn, err := p.Dial(s.Network, "state")
	if err != nil {
		return err
	}
	runnerConn, err := p.DialOptional(s.Network, "runner") // without one, events are stored and routed later
	if err != nil {
		return err
	}
	executorConn, err := p.DialOptional(s.Network, "executor")
	if err != nil {
		return err
	}
	states, err := batchstore.New(stateclient.New(stateConn), batchstore.DefaultConfig())
	if err != nil {
		return err
	}
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	service, err := eventapi.New(eventapi.Deps{
		State: states, Runner: runnerclient.New(runnerConn), Executor: executorclient.New(executorConn),
		Keys: keys, ServerKind: sdk.KindCloud, Log: p.Log, Telemetry: p.Telemetry,
	})
	if err != nil {
		return err
	}
	p.Add("discovery", discovery.New(s.Apps, discovery.Deps{Sync: service.SyncDefault, Log: p.Log}).Run)
	return p.Open(ctx, s.Door, service.Handler(), service.Register, rpc.RegisterReflection)
}
