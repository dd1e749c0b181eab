package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one change of the schema that was made.
type Migration struct {
	Version int64
	File    string
}

// Migrate brings the schema to the version that this code needs. Only one process migrates at a time; others wait, and
// then find nothing to do. It works through a pooler.
func Migrate(ctx context.Context, url string) ([]Migration, error) {
	return migrate(ctx, url, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
		return p.Up(ctx)
	})
}

// Latest is the version for MigrateAndTell that this code needs.
const Latest = -1

// MigrateAndTell is Migrate, or MigrateDown if there is a version, for a command: it tells what was done.
func MigrateAndTell(ctx context.Context, url string, version int64, out io.Writer) error {
	did, run := "migrated by", Migrate
	if version != Latest {
		did, run = "took back", func(ctx context.Context, url string) ([]Migration, error) {
			return MigrateDown(ctx, url, version)
		}
	}
	made, err := run(ctx, url)
	for _, migration := range made {
		fmt.Fprintln(out, did, migration.File)
	}
	if err == nil && len(made) == 0 {
		fmt.Fprintln(out, "there is nothing to migrate")
	}
	return err
}

// MigrateDown takes the schema back to a version: what later versions added is lost.
func MigrateDown(ctx context.Context, url string, version int64) ([]Migration, error) {
	return migrate(ctx, url, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
		return p.DownTo(ctx, version)
	})
}

func migrate(
	ctx context.Context, url string, run func(context.Context, *goose.Provider) ([]*goose.MigrationResult, error),
) ([]Migration, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	// A pooler in transaction mode cannot keep prepared statements.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.ConnectTimeout = connectTimeout
	db := stdlib.OpenDB(*config)
	defer db.Close()
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	locker, err := lock.NewPostgresTableLocker()
	if err != nil {
		return nil, fmt.Errorf("make migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	results, err := run(ctx, provider)
	if err != nil {
		return nil, fmt.Errorf("migrate the schema: %w", classify(err))
	}
	made := make([]Migration, len(results))
	for i, result := range results {
		made[i] = Migration{Version: result.Source.Version, File: result.Source.Path}
	}
	return made, nil
}

// schemaVersion is the version that this code needs. A newer schema is fine: releases first add, and remove later.
func schemaVersion() (int64, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, errors.New("there are no migrations")
	}
	return goose.NumericComponent(files[len(files)-1])
}

// Ready tells whether the store can do its work: Postgres answers, takes writes, and has the schema that this code
// needs. The error says what to do.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var version int64
	var readOnly bool
	err := s.writes.QueryRow(ctx, "SELECT COALESCE(max(version_id), 0), pg_is_in_recovery() OR "+
		"current_setting('default_transaction_read_only')::boolean FROM goose_db_version WHERE is_applied",
	).Scan(&version, &readOnly)
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "42P01" { // no such table
		err, version = nil, 0
	}
	if err != nil {
		return classify(err)
	}
	needed, err := schemaVersion()
	if err != nil {
		return err
	}
	switch {
	case version < needed:
		return fmt.Errorf("%w: the schema is at version %d, this release needs %d: run `stepwell migrate`",
			stepwell.ErrUnavailable, version, needed)
	case readOnly:
		return fmt.Errorf("%w: Postgres is read-only: database_url must name the primary", stepwell.ErrUnavailable)
	}
	return nil
}
