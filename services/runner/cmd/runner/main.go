// Command runner is the runner as a process of its own.
package main

import (
	"context"
	"os"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/runner/scaler"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
)

// version is set when the binary is built.
var version = "development"

type settings struct {
	daemon.Settings

	Network       daemon.Network    `koanf:"network"`
	RedisURL      config.Secret     `koanf:"redis_url" doc:"where Redis is: redis://user:password@host:6379"`
	Redis         redisqueue.Config `koanf:"redis"`
	Runner        runner.Config     `koanf:"runner"`
	ScalerAddress string            `koanf:"scaler_address" doc:"where KEDA is told how much work there is, over gRPC, such as :9100; empty for nowhere"`
}

// Validate is asked when all settings are loaded.
func (s *settings) Validate() error {
	s.Redis.URL = s.RedisURL.Reveal()
	return redisqueue.CheckURL(s.Redis.URL)
}

func main() {
	s := &settings{
		Settings: daemon.DefaultSettings(), Network: daemon.DefaultNetwork(), Redis: redisqueue.DefaultConfig(),
		Runner: runner.DefaultConfig(),
	}
	program := daemon.Program{
		Use: runner.Name, Version: version, Settings: s, Common: &s.Settings, Environ: os.Environ(),
		Short:   "Run the runner, which decides what events start and keeps the queue filled",
		Example: "  REDIS_URL=redis://localhost:6379 runner --network-state localhost:9000 --network-listen :9001",
		Options: config.Options{EnvAliases: map[string]string{"REDIS_URL": "redis_url"}},
		Compose: s.compose,
	}
	root := program.Command()
	root.AddCommand(program.ConfigCommand(), program.ProbeCommand(), program.VersionCommand())
	os.Exit(daemon.Run(root))
}

func (s *settings) compose(_ context.Context, p *daemon.Process) error {
	conn, err := p.Dial(s.Network, "state")
	if err != nil {
		return err
	}
	states, err := batchstore.New(stateclient.New(conn), batchstore.DefaultConfig())
	if err != nil {
		return err
	}
	queue, err := redisqueue.New(s.Redis, p.Telemetry)
	if err != nil {
		return err
	}
	p.OnExit(queue.Close)
	p.NeedsReady("redis", queue.Check)
	service, err := runner.New(s.Runner, runner.Deps{State: states, Queue: queue, Log: p.Log, Telemetry: p.Telemetry})
	if err != nil {
		return err
	}
	if err := p.Serve(s.Network, service.Register); err != nil {
		return err
	}
	p.Add(runner.Name, service.Run)
	if s.ScalerAddress == "" {
		return nil
	}
	scaling, err := scaler.New(scaler.Deps{Queue: queue})
	if err != nil {
		return err
	}
	if err := p.ServeAt(s.Network, "scaler_address", s.ScalerAddress, scaling.Register); err != nil {
		return err
	}
	p.Add("scaler", scaling.Run)
	return nil
}
