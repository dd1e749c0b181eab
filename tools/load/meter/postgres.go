package meter

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgres counts in one database, over one connection.
type postgres struct {
	conn *pgx.Conn
	// own are the transactions that counting took, and that the counters hold.
	own int64
	// mayCheckpoint is false once Postgres has refused.
	mayCheckpoint bool
	hasStatements bool
}

// postgresReading is what the counters showed.
type postgresReading struct {
	// transactions are those of the database, with and without effect, and none of ours.
	transactions int64
	// writes are the transactions of the whole server that got a number, because they wrote.
	writes int64
	// wal is how many bytes of it were ever written.
	wal  int64
	size int64
	// checkpointedSize is 0 where Postgres refuses a checkpoint.
	checkpointedSize int64
	statements       map[string]statement
}

func openPostgres(ctx context.Context, url string) (*postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	// In this mode a question is one transaction, and it works through a pooler.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	p := &postgres{conn: conn, mayCheckpoint: true}
	if p.hasStatements, err = hasStatements(ctx, conn); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *postgres) close() { _ = p.conn.Close(context.Background()) } // we only read

func (p *postgres) read(ctx context.Context) (postgresReading, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var r postgresReading
	err := p.conn.QueryRow(ctx, `
		SELECT xact_commit + xact_rollback, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
			(pg_current_wal_lsn() - '0/0')::bigint, pg_database_size(current_database())
		FROM pg_stat_database WHERE datname = current_database()`).
		Scan(&r.transactions, &r.writes, &r.wal, &r.size)
	if err != nil {
		return r, fmt.Errorf("read its counters: %w", err)
	}
	r.transactions -= p.own
	p.own++
	r.statements, err = p.statements(ctx)
	return r, err
}

// checkpoint has Postgres write its files, if it may.
func (p *postgres) checkpoint(ctx context.Context) error {
	if !p.mayCheckpoint {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := p.conn.Exec(ctx, "CHECKPOINT")
	p.own++
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == insufficientPrivilege {
		p.mayCheckpoint = false
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// insufficientPrivilege is the SQLSTATE of a refusal.
const insufficientPrivilege = "42501"

// postgres adds what Postgres did.
func (d *difference) postgres(before, after postgresReading) {
	d.each("Postgres transactions", float64(after.transactions-before.transactions))
	d.each("Postgres transactions that wrote", float64(after.writes-before.writes))
	d.each("Postgres WAL bytes", float64(after.wal-before.wal))
	d.each("Postgres disk bytes", float64(after.size-before.size))
	if after.checkpointedSize > 0 {
		d.each("Postgres disk bytes after checkpoint", float64(after.checkpointedSize-before.size))
	}
	d.statements(before.statements, after.statements)
}
