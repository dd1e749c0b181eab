package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// pipeline collects statements that go to Postgres together, in one round trip. It is the database of sqlc's :exec
// methods, which queue on it.
type pipeline struct{ batch pgx.Batch }

var _ pgsql.DBTX = (*pipeline)(nil)

// Exec implements pgsql.DBTX. Nothing happens until the pipeline is sent.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

var errPipelined = errors.New("a pipeline takes :exec statements only; queue others with collect")

// Query implements pgsql.DBTX.
func (p *pipeline) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errPipelined }

// QueryRow implements pgsql.DBTX. Nothing that sqlc generates for a pipeline calls it.
func (p *pipeline) QueryRow(context.Context, string, ...any) pgx.Row { return nil }

// collect queues a query and puts its rows into a list when the pipeline is sent.
func collect[Row any](p *pipeline, rows *[]Row, sql string, args ...any) {
	p.batch.Queue(sql, args...).Query(func(result pgx.Rows) error {
		var err error
		*rows, err = pgx.CollectRows(result, pgx.RowToStructByPos[Row])
		return err
	})
}

// collectValues is collect for a single column.
func collectValues[Value any](p *pipeline, values *[]Value, sql string, args ...any) {
	p.batch.Queue(sql, args...).Query(func(result pgx.Rows) error {
		var err error
		*values, err = pgx.CollectRows(result, pgx.RowTo[Value])
		return err
	})
}

// sender sends pipelines: a connection, or a pool.
type sender interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// send sends the pipeline and reads all results.
func (p *pipeline) send(ctx context.Context, to sender) error {
	if p.batch.Len() == 0 {
		return nil
	}
	return to.SendBatch(ctx, &p.batch).Close()
}

// transact runs work as one transaction on one connection: its first pipeline begins it, its last one commits it. Work
// that fails is rolled back. The error says whether trying again may help.
func (s *Store) transact(ctx context.Context, work func(ctx context.Context, conn *pgxpool.Conn) error) error {
	conn, err := s.writes.Acquire(ctx)
	if err != nil {
		return classify(fmt.Errorf("get a connection: %w", err))
	}
	defer conn.Release()
	err = work(ctx, conn)
	if err == nil {
		return nil
	}
	// The context may have ended; the connection must not go back with an open transaction.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, rollbackErr := conn.Exec(clean, "ROLLBACK"); rollbackErr != nil {
		_ = conn.Conn().Close(clean) // the pool makes a new one
	}
	return classify(err)
}

// rollbackTimeout bounds rolling back; after it the connection is closed, which does the same.
const rollbackTimeout = time.Second

// begin makes a pipeline that begins a transaction.
func begin() *pipeline {
	p := &pipeline{}
	p.batch.Queue("BEGIN")
	return p
}

// commit ends the transaction of a pipeline.
func (p *pipeline) commit() { p.batch.Queue("COMMIT") }

// classify gives an error of Postgres the meaning that callers act on: whether trying again may help.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if why, unavailable := reasonUnavailable(err); unavailable {
		return fmt.Errorf("%w: %s: %w", stepwell.ErrUnavailable, why, err)
	}
	return err
}

// reasonUnavailable tells whether an error says that Postgres cannot do its work now, and how to put it.
func reasonUnavailable(err error) (string, bool) {
	var network net.Error
	var connecting *pgconn.ConnectError
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said):
		return reasonOfCode(said.Code)
	case errors.As(err, &connecting):
		return "Postgres cannot be reached (database_url)", true
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return "Postgres did not answer in time", true
	case errors.As(err, &network), pgconn.SafeToRetry(err), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection to Postgres broke", true
	}
	return "", false
}

// reasonOfCode judges the classes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func reasonOfCode(code string) (string, bool) {
	switch code {
	case "25006":
		return "Postgres is read-only: database_url must name the primary", true
	case "53100":
		return "the disk of Postgres is full", true
	case "53300":
		return "Postgres has no connection left: lower the pools or raise max_connections", true
	case "57014":
		return "a statement took too long", true
	case "40001", "40P01":
		return "a transaction met another", true
	case "28P01", "28000":
		return "Postgres refuses the user or password of database_url", true
	case "3D000":
		return "the database of database_url does not exist", true
	case "42P01", "42703", "42883":
		return "the schema of database_url is not the one that this release needs: run `stepwell migrate`", true
	case "42501":
		return "the user of database_url may not use the tables: make it their owner", true
	case "26000", "42P05":
		return "a pooler in transaction mode loses prepared statements: turn prepared_statements off", true
	case "55P03":
		return "a table is in use", true
	}
	if len(code) == 5 {
		switch code[:2] {
		case "08", "53", "57", "58":
			return "Postgres is not available", true
		}
	}
	return "", false
}
