package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/ulid/v2"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

var _ store.Maintainer = (*Store)(nil)

const (
	// partitionsAhead is for how many days partitions are made in advance.
	partitionsAhead = 7
	// lockTimeout bounds how long maintenance waits for a table that is in use; it comes again.
	lockTimeout = "2s"
	// maintenanceLock is the advisory lock by which one process at a time maintains.
	maintenanceLock = 7_364_512_077
	// rowsPerStatement and roundsMax bound the rows of a table that are deleted at a time.
	rowsPerStatement = 5000
	roundsMax        = 20
	dayLayout        = "20060102"
	oneDay           = 24 * time.Hour
)

// families are the tables that are partitioned by the same days, each family dropped together.
func families() map[string][]string {
	return map[string][]string{
		"runs":   {"runs", "steps", "attempts"},
		"events": {"events", "event_runs"},
	}
}

// Maintain implements store.Maintainer: it makes the partitions of the coming days, drops those beyond retention, and
// forgets start keys that are out of their window. It does nothing while another process maintains.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	if err := s.Ready(ctx); err != nil {
		return err
	}
	var problems []error
	for day := now.Add(-oneDay); !day.After(now.Add(partitionsAhead * oneDay)); day = day.Add(oneDay) {
		for _, tables := range families() {
			for _, table := range tables {
				problems = append(problems, s.makePartition(ctx, table, day))
			}
		}
	}
	q := pgsql.New(s.writes)
	problems = append(problems,
		s.retain(ctx, "runs", now, s.config.RetainRuns), s.retain(ctx, "events", now, s.config.RetainEvents),
		dropOld(ctx, now.Add(-stepwell.EventDedupeWindow), q.DropStartKeys),
		dropOld(ctx, now.Add(-stepwell.RatePeriodMax), q.DropRateStarts),
		dropOld(ctx, now.Add(-stepwell.ThrottlePeriodMax), q.DropThrottleStarts))
	for family := range families() {
		days, err := s.partitionDays(ctx, family)
		problems = append(problems, err)
		s.metrics.days.set(family, len(slices.DeleteFunc(days, now.Before)))
	}
	return errors.Join(problems...)
}

// exclusively runs work in a transaction while no other process maintains.
func (s *Store) exclusively(ctx context.Context, work func(ctx context.Context, tx *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	return s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		var locked []bool
		p := begin()
		p.batch.Queue("SET LOCAL lock_timeout = '" + lockTimeout + "'")
		// Until the end of the transaction: a lock of the session would not survive a pooler.
		collectValues(p, &locked, "SELECT pg_try_advisory_xact_lock($1)", int64(maintenanceLock))
		if err := p.send(ctx, conn); err != nil {
			return err
		}
		if locked[0] {
			if err := work(ctx, conn); err != nil {
				return err
			}
		}
		end := &pipeline{}
		end.commit()
		return end.send(ctx, conn)
	})
}

// makePartition makes the partition of one day, if it is not there.
func (s *Store) makePartition(ctx context.Context, table string, day time.Time) error {
	day = day.UTC().Truncate(oneDay)
	name := pgx.Identifier{table + "_" + day.Format(dayLayout)}.Sanitize()
	var exists bool
	err := s.writes.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&exists)
	if err != nil || exists {
		return classify(err)
	}
	options := ""
	if table == "runs" {
		options = " WITH (fillfactor = 85)" // room for the one update, at the run's end
	}
	err = s.exclusively(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s')%s",
			name, pgx.Identifier{table}.Sanitize(), firstID(day), firstID(day.Add(oneDay)), options))
		return err
	})
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "23514" {
		s.log.WarnContext(ctx, "partition not made, its rows are in the default one", slog.String("partition", name))
		return nil
	}
	if err != nil {
		return fmt.Errorf("make partition %s: %w", name, err)
	}
	return nil
}

// firstID is the smallest id of an instant.
func firstID(at time.Time) pgtype.UUID {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // days are in range
	return pgULID(id)
}

// retain drops the family's partitions that are older than it is to be kept, unless a live run needs them.
func (s *Store) retain(ctx context.Context, family string, now time.Time, keep time.Duration) error {
	if keep == 0 {
		return nil
	}
	oldest := now.Add(-keep).UTC().Truncate(oneDay)
	days, err := s.partitionDays(ctx, family)
	if err != nil {
		return err
	}
	var problems []error
	for _, day := range days {
		if day.Before(oldest) {
			problems = append(problems, s.dropDay(ctx, family, day))
		}
	}
	for _, table := range families()[family] {
		problems = append(problems, s.dropRows(ctx, family, table, oldest))
	}
	return errors.Join(problems...)
}

// partitionDays are the days that have a partition in any table of the family, earliest first: a day may be missing in
// some because its rows came before its partition.
func (s *Store) partitionDays(ctx context.Context, family string) ([]time.Time, error) {
	rows, err := s.writes.Query(ctx, `SELECT DISTINCT right(c.relname, 8) AS day
		FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
		WHERE i.inhparent IN (SELECT to_regclass(t) FROM unnest($1::text[]) AS t) ORDER BY day`, families()[family])
	if err != nil {
		return nil, classify(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, classify(err)
	}
	var days []time.Time
	for _, name := range names {
		if day, err := time.Parse(dayLayout, name); err == nil { // but for the default partition
			days = append(days, day)
		}
	}
	return days, nil
}

// neededBy tells whether a live run, or one that is to start, needs what is between two ids. Events may be older than the run
// that they are of.
func neededBy(family string) string {
	if family == "runs" {
		return "SELECT EXISTS (SELECT 1 FROM heads WHERE run_id >= $1 AND run_id < $2)"
	}
	return `SELECT EXISTS (SELECT 1 FROM heads JOIN runs ON runs.id = heads.run_id, unnest(runs.event_ids) AS event_id
		WHERE event_id >= $1 AND event_id < $2) OR EXISTS (
		SELECT 1 FROM buffers, unnest(buffers.event_ids) AS event_id WHERE event_id >= $1 AND event_id < $2)`
}

func (s *Store) dropDay(ctx context.Context, family string, day time.Time) error {
	err := s.exclusively(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		var needed bool
		err := conn.QueryRow(ctx, neededBy(family), firstID(day), firstID(day.Add(oneDay))).Scan(&needed)
		if err != nil || needed {
			return err
		}
		p := &pipeline{}
		for _, table := range families()[family] {
			p.batch.Queue("DROP TABLE IF EXISTS " + pgx.Identifier{table + "_" + day.Format(dayLayout)}.Sanitize())
		}
		return p.send(ctx, conn)
	})
	if err != nil {
		return fmt.Errorf("drop %s of %s: %w", family, day.Format(time.DateOnly), err)
	}
	return nil
}

// keys are the columns by which tables are partitioned.
func keys() map[string]string {
	return map[string]string{
		"runs": "id", "steps": "run_id", "attempts": "run_id", "events": "id", "event_runs": "event_id",
	}
}

// dropRows deletes, a bounded number at a time, what is older than it is to be kept of the rows whose day had no
// partition, unless a live run is as old.
func (s *Store) dropRows(ctx context.Context, family, table string, oldest time.Time) error {
	old := fmt.Sprintf("FROM %s WHERE %s < $1",
		pgx.Identifier{table + "_default"}.Sanitize(), pgx.Identifier{keys()[table]}.Sanitize())
	for range roundsMax {
		var dropped int64
		err := s.exclusively(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			var found, needed bool
			err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 "+old+")", firstID(oldest)).Scan(&found)
			if err != nil || !found {
				return err
			}
			err = conn.QueryRow(ctx, neededBy(family), pgULID(ulid.ULID{}), firstID(oldest)).Scan(&needed)
			if err != nil || needed {
				return err
			}
			tag, err := conn.Exec(ctx, "DELETE "+old+" AND ctid = ANY(ARRAY(SELECT ctid "+old+" LIMIT $2))",
				firstID(oldest), rowsPerStatement)
			dropped = tag.RowsAffected()
			return err
		})
		if err != nil {
			return fmt.Errorf("drop old rows of %s: %w", table, err)
		}
		if dropped < rowsPerStatement {
			return nil
		}
	}
	return nil
}

// dropOld deletes rows that have expired, a bounded number.
func dropOld(
	ctx context.Context, expired time.Time, drop func(context.Context, pgtype.Timestamptz, int32) (int64, error),
) error {
	for range roundsMax {
		dropped, err := drop(ctx, pgTime(expired), rowsPerStatement)
		if err != nil {
			return fmt.Errorf("drop old rows: %w", classify(err))
		}
		if dropped < rowsPerStatement {
			return nil
		}
	}
	return nil
}
