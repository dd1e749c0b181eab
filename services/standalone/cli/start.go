package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/event-api/discovery"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/standalone"
	"github.com/stepwell/stepwell/services/state/store/otelstore"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// startSettings are what users set of a production server in one process.
type startSettings struct {
	daemon.Settings
	daemon.Door
	eventapi.KeyConfig

	DatabaseURL config.Secret     `koanf:"database_url" doc:"where Postgres is: postgres://user:password@host:5432/database"`
	ReadURL     config.Secret     `koanf:"database_read_url" doc:"a replica for reads by people and APIs, which may be behind"`
	Migrate     bool              `koanf:"migrate" doc:"bring the schema of the database to what this release needs when the server starts"`
	Database    pgstore.Config    `koanf:"database"`
	RedisURL    config.Secret     `koanf:"redis_url" doc:"where Redis is: redis://user:password@host:6379"`
	Redis       redisqueue.Config `koanf:"redis"`
	Runner      runner.Config     `koanf:"runner"`
	Executor    executor.Config   `koanf:"executor"`
	Apps        discovery.Config  `koanf:"apps"`
}

// defaultStartSettings returns the defaults.
func defaultStartSettings() *startSettings {
	s := &startSettings{
		Settings: daemon.DefaultSettings(), Door: daemon.DefaultDoor(), Migrate: true, Database: pgstore.DefaultConfig(),
		Redis: redisqueue.DefaultConfig(), Runner: runner.DefaultConfig(), Executor: executor.DefaultConfig(),
		Apps: discovery.DefaultConfig(),
	}
	s.LogFormat = "text"
	return s
}

// Validate is asked when all settings are loaded.
func (s *startSettings) Validate() error {
	s.Database.URL, s.Database.ReadURL, s.Redis.URL = s.DatabaseURL.Reveal(), s.ReadURL.Reveal(), s.RedisURL.Reveal()
	return errors.Join(s.Database.CheckURLs(), redisqueue.CheckURL(s.Redis.URL))
}

// startProgram is the production server in one process.
func startProgram(version string, environ []string) (daemon.Program, *startSettings) {
	s := defaultStartSettings()
	options := eventapi.KeyOptions()
	options.EnvAliases["DATABASE_URL"], options.EnvAliases["REDIS_URL"] = "database_url", "redis_url"
	options.FlagAliases["urls"], options.FlagAliases["retry-interval"] = "apps.urls", "executor.retry_interval"
	return daemon.Program{
		Use: "start", Version: version, Settings: s, Common: &s.Settings, Options: options, Environ: environ,
		Short: "Run a server for production: all services in one process, with Postgres and Redis",
		Long: `Run a server for production: all services in one process, with Postgres and Redis.

It is never open: events need an event key, apps and the API a signing key, and calls to apps are signed. Make each key
with: openssl rand -hex 32

Every setting can be given in a YAML file (--config), in the environment and as a flag; what comes later in this order
wins. ` + "`stepwell config`" + ` shows what is in effect.`,
		Example: `  stepwell start --database-url postgres://stepwell@localhost/stepwell --redis-url redis://localhost:6379 \
    --event-key-file event.key --signing-key-file signing.key
  DATABASE_URL=… REDIS_URL=… stepwell start --config stepwell.yaml`,
		Compose: func(ctx context.Context, p *daemon.Process) error { return s.compose(ctx, p) },
	}, s
}

// compose makes the server.
func (s *startSettings) compose(ctx context.Context, p *daemon.Process) error {
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	postgres, err := pgstore.Open(ctx, s.Database, pgstore.Deps{Log: p.Log, Telemetry: p.Telemetry})
	if err != nil {
		return err
	}
	p.OnExit(func(context.Context) error { postgres.Close(); return nil })
	told, err := otelstore.New(postgres, p.Telemetry)
	if err != nil {
		return err
	}
	queue, err := redisqueue.New(s.Redis, p.Telemetry)
	if err != nil {
		return err
	}
	p.OnExit(queue.Close)
	p.NeedsReady("redis", queue.Check)
	deps := standalone.Deps{
		Store: told, Queue: queue, Keys: keys, Transport: executor.NewTransport(), Gateway: executor.NewTransport(),
		Signer: sdk.NewSigner(s.SigningKeys[0].Reveal()), ServerKind: sdk.KindCloud,
		Routes: p.Probes().Routes(), Follow: p.Probes().Follow, Log: p.Log, Telemetry: p.Telemetry,
	}
	if err := s.listen(ctx, p, &deps); err != nil {
		return err
	}
	system, err := standalone.New(
		standalone.Config{Runner: s.Runner, Executor: s.Executor, Discovery: s.Apps}, deps)
	if err != nil {
		return err
	}
	p.NeedsReady("postgres", system.Ready)
	if s.Migrate && !s.migrate(ctx, p.Log) {
		p.Add("migration", s.keepMigrating(p.Log))
	}
	p.Add("stepwell", system.Run)
	return nil
}

// listen listens at the door.
func (s *startSettings) listen(ctx context.Context, p *daemon.Process, deps *standalone.Deps) error {
	at, err := p.ListenAt(ctx, s.Door)
	if err != nil {
		return err
	}
	deps.HTTP = append(deps.HTTP, at.HTTP)
	if at.GRPC != nil {
		deps.GRPC = append(deps.GRPC, *at.GRPC)
	}
	p.Log.InfoContext(ctx, "listening", slog.String("http", s.HTTPAddress()), slog.String("grpc", s.GRPCAddress()))
	return nil
}

const (
	// migrateTimeout bounds one attempt to migrate; migrateAgainAfter is the wait before another.
	migrateTimeout    = time.Minute
	migrateAgainAfter = 2 * time.Second
)

// migrate migrates the schema. It returns whether that is done; why not is logged.
func (s *startSettings) migrate(ctx context.Context, log *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	made, err := pgstore.Migrate(ctx, s.Database.URL)
	for _, migration := range made {
		log.InfoContext(ctx, "schema migrated", slog.Int64("version", migration.Version))
	}
	if err != nil {
		log.WarnContext(ctx, "the schema cannot be migrated, trying again", slog.String("error", err.Error()))
	}
	return err == nil
}

// keepMigrating migrates as soon as Postgres lets it. Readiness tells why nothing works meanwhile.
func (s *startSettings) keepMigrating(log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ticker := time.NewTicker(migrateAgainAfter)
		defer ticker.Stop()
		for done := false; ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-ticker.C:
				if !done {
					done = s.migrate(ctx, log)
				}
			}
		}
		return nil
	}
}

// newStart, newConfig, newProbe and newMigrate are the commands around it.
func newStart(version string, environ []string) *cobra.Command {
	program, _ := startProgram(version, environ)
	return program.Command()
}

func newConfig(version string, environ []string) *cobra.Command {
	program, _ := startProgram(version, environ)
	return program.ConfigCommand()
}

func newProbe(version string, environ []string) *cobra.Command {
	program, _ := startProgram(version, environ)
	return program.ProbeCommand()
}

func newMigrate(version string, environ []string) *cobra.Command {
	program, s := startProgram(version, environ)
	return program.MigrateCommand("database_url", func(ctx context.Context, version int64, out io.Writer) error {
		return pgstore.MigrateAndTell(ctx, s.Database.URL, version, out)
	})
}
