// Command state is the state service as a process of its own: the only one that talks to Postgres.
package main

import (
	"context"
	"io"
	"os"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
	"github.com/stepwell/stepwell/services/state/store/otelstore"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// version is set when the binary is built.
var version = "development"

type settings struct {
	daemon.Settings

	Network     daemon.Network `koanf:"network"`
	DatabaseURL config.Secret  `koanf:"database_url" doc:"where Postgres is: postgres://user:password@host:5432/database"`
	ReadURL     config.Secret  `koanf:"database_read_url" doc:"a replica for reads by people and APIs, which may be behind"`
	Database    pgstore.Config `koanf:"database"`
}

// Validate is asked when all settings are loaded.
func (s *settings) Validate() error {
	s.Database.URL, s.Database.ReadURL = s.DatabaseURL.Reveal(), s.ReadURL.Reveal()
	return s.Database.CheckURLs()
}

func main() {
	s := &settings{
		Settings: daemon.DefaultSettings(), Network: daemon.DefaultNetwork(), Database: pgstore.DefaultConfig(),
	}
	program := daemon.Program{
		Use: state.Name, Version: version, Settings: s, Common: &s.Settings, Environ: os.Environ(),
		Short:   "Run the state service, the only one that talks to Postgres",
		Example: "  state migrate --database-url postgres://stepwell@localhost/stepwell\n  DATABASE_URL=… state",
		Options: config.Options{EnvAliases: map[string]string{"DATABASE_URL": "database_url"}},
		Compose: s.compose,
	}
	root := program.Command()
	root.AddCommand(program.ConfigCommand(), program.ProbeCommand(), program.VersionCommand(), program.MigrateCommand("database_url",
		func(ctx context.Context, version int64, out io.Writer) error {
			return pgstore.MigrateAndTell(ctx, s.Database.URL, version, out)
		}))
	os.Exit(daemon.Run(root))
}

func (s *settings) compose(ctx context.Context, p *daemon.Process) error {
	postgres, err := pgstore.Open(ctx, s.Database, pgstore.Deps{Log: p.Log, Telemetry: p.Telemetry})
	if err != nil {
		return err
	}
	p.OnExit(func(context.Context) error { postgres.Close(); return nil })
	told, err := otelstore.New(postgres, p.Telemetry)
	if err != nil {
		return err
	}
	merged, err := batchstore.New(told, batchstore.DefaultConfig())
	if err != nil {
		return err
	}
	service, err := state.New(state.Deps{Store: merged, Log: p.Log, Telemetry: p.Telemetry})
	if err != nil {
		return err
	}
	// Before the schema is what this release needs, nothing that is read or written means what it should.
	if err := p.ServeOnceReady(s.Network, "postgres", service.Ready, service.Register); err != nil {
		return err
	}
	p.Add(state.Name, service.Run)
	return nil
}
