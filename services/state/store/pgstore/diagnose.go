package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Facts are what Diagnose finds out about Postgres. What they mean is for the caller to say.
type Facts struct {
	// Version is the server's, like 160003 for 16.3.
	Version int
	// Schema is the version of the schema, 0 without one; SchemaNeeded is what this release needs.
	Schema, SchemaNeeded int64
	// ReadOnly is true of a replica, and of a server that was told to refuse writes.
	ReadOnly bool
	// CommitsToDisk is whether what is committed survives a crash of the server: fsync and synchronous_commit are on.
	CommitsToDisk bool
	// ConnectionsMax is how many connections the server gives to users like ours, ConnectionsUsed how many are in use.
	ConnectionsMax, ConnectionsUsed int
	// Now is the server's clock.
	Now time.Time
}

// Diagnose looks at Postgres, and changes nothing. Errors: stepwell.ErrUnavailable, with what to do.
func (s *Store) Diagnose(ctx context.Context) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	needed, err := schemaVersion()
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{SchemaNeeded: needed}
	err = s.writes.QueryRow(ctx, `SELECT current_setting('server_version_num')::int,
			pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,
			current_setting('fsync')::boolean AND current_setting('synchronous_commit') <> 'off',
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
			(SELECT COALESCE(sum(numbackends), 0) FROM pg_stat_database)::int, clock_timestamp()`,
	).Scan(&facts.Version, &facts.ReadOnly, &facts.CommitsToDisk, &facts.ConnectionsMax, &facts.ConnectionsUsed, &facts.Now)
	if err != nil {
		return Facts{}, fmt.Errorf("ask Postgres about itself: %w", classify(err))
	}
	facts.Schema, err = s.schema(ctx)
	return facts, err
}

// schema is the version of the schema; 0 if there is none.
func (s *Store) schema(ctx context.Context) (int64, error) {
	var version int64
	err := s.writes.QueryRow(ctx,
		"SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "42P01" { // no such table
		return 0, nil
	}
	return version, classify(err)
}
