package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// Deadlines implements store.Backlog.
func (s *Store) Deadlines(ctx context.Context, until time.Time, limit int) ([]stepwell.Deadline, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	rows, err := pgsql.New(s.writes).Deadlines(ctx, pgTime(until), int32(limit))
	if err != nil {
		return nil, fmt.Errorf("find deadlines: %w", classify(err))
	}
	deadlines := make([]stepwell.Deadline, len(rows))
	for i, row := range rows {
		deadlines[i] = stepwell.Deadline{Run: stepwell.RunID{ULID: row.RunID.Bytes}, At: fromTime(row.DueAt)}
	}
	return deadlines, nil
}

// MoveDeadlines implements store.Backlog.
func (s *Store) MoveDeadlines(ctx context.Context, deadlines []stepwell.Deadline) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var moved, over []pgtype.UUID
	var at []pgtype.Timestamptz
	for _, d := range deadlines {
		if d.At.IsZero() {
			over = append(over, pgULID(d.Run.ULID))
			continue
		}
		moved, at = append(moved, pgULID(d.Run.ULID)), append(at, pgTime(d.At))
	}
	q := pgsql.New(s.writes)
	if len(moved) > 0 {
		if err := q.MoveDeadlines(ctx, moved, at); err != nil {
			return fmt.Errorf("move deadlines: %w", classify(err))
		}
	}
	if len(over) > 0 {
		if err := q.DropDeadlines(ctx, over); err != nil {
			return fmt.Errorf("drop deadlines: %w", classify(err))
		}
	}
	return nil
}
