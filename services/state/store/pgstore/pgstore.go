// Package pgstore keeps the store in Postgres.
//
// It must not decide anything: transitions are applied by store.Apply, and Postgres decides who was first. README.md
// says what is where.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// Config is what users set.
type Config struct {
	// URL is where Postgres is: postgres://user:password@host:5432/database?sslmode=require.
	URL string `koanf:"-"`
	// ConnectionsMax bounds the connections for commits and loads.
	ConnectionsMax int `koanf:"connections_max" doc:"connections for commits and loads"`
	// ReadConnectionsMax bounds the connections for reads by people and APIs.
	ReadConnectionsMax int `koanf:"read_connections_max" doc:"connections for reads by people and APIs"`
	// ReadURL is where reads by people and APIs go, if not to URL: a replica may be behind, so they may see less than
	// was reported as done.
	ReadURL string `koanf:"-"`
	// StatementTimeout bounds a transaction for commits and loads, ReadTimeout one for reads.
	StatementTimeout time.Duration `koanf:"statement_timeout" doc:"bounds a transaction for commits and loads"`
	ReadTimeout      time.Duration `koanf:"read_timeout" doc:"bounds a read by people and APIs"`
	// PreparedStatements keeps statements prepared on each connection, which saves Postgres work. Off for poolers in
	// transaction mode that do not support it (PgBouncer before 1.21).
	PreparedStatements bool `koanf:"prepared_statements" doc:"keep statements prepared; off behind a pooler in transaction mode that does not support it, such as PgBouncer before 1.21"`
	// RetainRuns and RetainEvents are how long ended runs and events are kept, in whole days; 0 keeps them for ever. What
	// a live run needs is kept in any case.
	RetainRuns   time.Duration `koanf:"retain_runs" doc:"how long ended runs are kept, in whole days; 0 for ever"`
	RetainEvents time.Duration `koanf:"retain_events" doc:"how long events are kept, in whole days; 0 for ever"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		ConnectionsMax: 8, ReadConnectionsMax: 4, StatementTimeout: 10 * time.Second, ReadTimeout: 5 * time.Second,
		PreparedStatements: true, RetainRuns: 30 * oneDay, RetainEvents: 30 * oneDay,
	}
}

// CheckURLs tells what is wrong with the URLs, without showing them.
func (c Config) CheckURLs() error {
	var problems []error
	if c.URL == "" {
		problems = append(problems, errors.New("database_url is empty: it is like postgres://user:password@host:5432/database"))
	}
	if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		problems = append(problems, errURL) // the parser's own text would show the password
	}
	if _, err := pgxpool.ParseConfig(c.ReadURL); err != nil {
		problems = append(problems, errReadURL)
	}
	return errors.Join(problems...)
}

// Validate returns every problem at once, but those of the URLs.
func (c Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(c.ConnectionsMax > 0 && c.ConnectionsMax <= connectionsMax,
		"connections_max is %d, it must be between 1 and %d", c.ConnectionsMax, connectionsMax)
	check(c.ReadConnectionsMax > 0 && c.ReadConnectionsMax <= connectionsMax,
		"read_connections_max is %d, it must be between 1 and %d", c.ReadConnectionsMax, connectionsMax)
	check(c.StatementTimeout >= time.Second, "statement_timeout is %s, it must be at least 1s", c.StatementTimeout)
	check(c.ReadTimeout >= time.Second, "read_timeout is %s, it must be at least 1s", c.ReadTimeout)
	check(c.RetainRuns >= 0 && c.RetainRuns%oneDay == 0, "retain_runs is %s, it must be whole days", c.RetainRuns)
	check(c.RetainEvents >= 0 && c.RetainEvents%oneDay == 0, "retain_events is %s, it must be whole days", c.RetainEvents)
	return errors.Join(problems...)
}

// connectionsMax bounds the connections that may be configured.
const connectionsMax = 1000

// Deps are what the store works with.
type Deps struct {
	Log *slog.Logger
	// Telemetry is optional.
	Telemetry telemetry.Telemetry
}

// Store is a store.Store in Postgres.
type Store struct {
	config  Config
	log     *slog.Logger
	metrics metrics
	// writes serves commits and loads, reads serves people: neither can starve the other.
	writes *pgxpool.Pool
	reads  *pgxpool.Pool
}

var _ store.Store = (*Store)(nil)

// Open makes the store, whether Postgres answers yet or not: Ready tells. The caller closes it.
func Open(ctx context.Context, config Config, deps Deps) (*Store, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("store in Postgres: %w", err)
	}
	s := &Store{config: config, log: deps.Log}
	err := s.addMetrics(deps.Telemetry)
	if err != nil {
		return nil, fmt.Errorf("store in Postgres: %w", err)
	}
	if s.writes, err = s.connect(ctx, "write", config.URL, config.ConnectionsMax); err != nil {
		return nil, err
	}
	readURL := config.ReadURL
	if readURL == "" {
		readURL = config.URL
	}
	if s.reads, err = s.connect(ctx, "read", readURL, config.ReadConnectionsMax); err != nil {
		s.writes.Close()
		return nil, err
	}
	if err := s.addGauges(deps.Telemetry.Meter()); err != nil {
		s.Close()
		return nil, fmt.Errorf("store in Postgres: %w", err)
	}
	return s, nil
}

// Close gives all connections back.
func (s *Store) Close() {
	s.writes.Close()
	s.reads.Close()
}

// errURL is why a database URL is refused.
var errURL = errors.New("database_url cannot be read: write it as postgres://user:password@host:5432/database")

// errReadURL is the same of a URL for reads.
var errReadURL = errors.New("database_read_url cannot be read: write it as database_url, for a replica")

// connectTimeout bounds one attempt to connect.
const connectTimeout = 5 * time.Second

// connect makes a pool.
func (s *Store) connect(ctx context.Context, name, url string, connectionsMax int) (*pgxpool.Pool, error) {
	settings, err := poolSettings(s.config, url, connectionsMax)
	if err != nil {
		return nil, err
	}
	if s.metrics.poolWait != nil {
		settings.ConnConfig.Tracer = &poolTracer{s.metrics.poolWait, telemetry.Label("pool", name)}
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return pool, nil
}

// poolSettings sets nothing on the session, so that a pooler in transaction mode may stand in between.
func poolSettings(config Config, url string, connectionsMax int) (*pgxpool.Config, error) {
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL // the parser's own text would show the password
	}
	pool.MaxConns = int32(connectionsMax)
	pool.MaxConnIdleTime = 5 * time.Minute
	pool.MaxConnLifetime = time.Hour
	pool.MaxConnLifetimeJitter = 5 * time.Minute
	pool.ConnConfig.ConnectTimeout = connectTimeout
	pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if config.PreparedStatements {
		pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	}
	if pool.ConnConfig.RuntimeParams["application_name"] == "" {
		pool.ConnConfig.RuntimeParams["application_name"] = "stepwell"
	}
	return pool, nil
}
