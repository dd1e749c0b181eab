// Command executor is the executor as a process of its own.
package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
)

// version is set when the binary is built.
var version = "development"

type settings struct {
	daemon.Settings

	Network     daemon.Network    `koanf:"network"`
	RedisURL    config.Secret     `koanf:"redis_url" doc:"where Redis is: redis://user:password@host:6379"`
	Redis       redisqueue.Config `koanf:"redis"`
	Executor    executor.Config   `koanf:"executor"`
	SigningKeys []config.Secret   `koanf:"signing_keys" doc:"keys of apps; the first one signs calls to them"`
}

// Validate is asked when all settings are loaded.
func (s *settings) Validate() error {
	s.Redis.URL = s.RedisURL.Reveal()
	var missing error
	if len(s.SigningKeys) == 0 {
		missing = errors.New("signing_keys is empty: give the keys that event-api has")
	}
	return errors.Join(redisqueue.CheckURL(s.Redis.URL), missing)
}

func main() {
	s := &settings{
		Settings: daemon.DefaultSettings(), Network: daemon.DefaultNetwork(), Redis: redisqueue.DefaultConfig(),
		Executor: executor.DefaultConfig(),
	}
	program := daemon.Program{
		Use: executor.Name, Version: version, Settings: s, Common: &s.Settings, Environ: os.Environ(),
		Short:   "Run an executor, which calls apps and records what they answer",
		Example: "  REDIS_URL=redis://localhost:6379 executor --network-state localhost:9000 --signing-key-file key",
		Options: config.Options{
			EnvAliases:  map[string]string{"REDIS_URL": "redis_url", "STEPWELL_SIGNING_KEY": "signing_keys"},
			FlagAliases: map[string]string{"signing-key": "signing_keys"},
		},
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
	runners, err := p.DialOptional(s.Network, "runner")
	if err != nil {
		return err
	}
	queue, err := redisqueue.New(s.Redis, p.Telemetry)
	if err != nil {
		return err
	}
	p.OnExit(queue.Close)
	p.NeedsReady("redis", queue.Check)
	service, err := executor.New(s.Executor, executor.Deps{
		State: states, Queue: queue, Runner: runnerclient.New(runners), Transport: executor.NewTransport(), Gateway: executor.NewTransport(),
		Random: rand.Float64, Signer: sdk.NewSigner(s.SigningKeys[0].Reveal()), ServerKind: sdk.KindCloud, Log: p.Log,
		Telemetry: p.Telemetry,
	})
	if err != nil {
		return err
	}
	if err := p.Serve(s.Network, service.Register); err != nil {
		return err
	}
	p.Add(executor.Name, service.Run)
	return nil
}
