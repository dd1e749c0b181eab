package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// insertThrottleStarts queues what throttles count.
func insertThrottleStarts(ctx context.Context, q *pgsql.Queries, starts []stepwell.ThrottleStart) error {
	if len(starts) == 0 {
		return nil
	}
	var rows pgsql.InsertThrottleStartsParams
	for _, start := range starts {
		limits, err := encodeList(start.Item.Limits)
		if err != nil {
			return err
		}
		rows.FunctionIds = append(rows.FunctionIds, pgUUID(start.Item.Function.UUID))
		rows.StartedAt = append(rows.StartedAt, pgTime(start.At))
		rows.RunIds = append(rows.RunIds, pgULID(start.Item.Run.ULID))
		rows.Limits = append(rows.Limits, limits)
	}
	return q.InsertThrottleStarts(ctx, rows)
}

// ThrottleStarts implements store.Backlog.
func (s *Store) ThrottleStarts(
	ctx context.Context, query store.ThrottleQuery,
) (starts []stepwell.ThrottleStart, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	at, run, err := parseThrottleCursor(query.Cursor, query.Since)
	if err != nil {
		return nil, "", err
	}
	rows, err := pgsql.New(s.writes).ThrottleStarts(ctx, pgsql.ThrottleStartsParams{
		FunctionID: pgUUID(query.Function.UUID), Since: pgTime(query.Since), CursorAt: pgTime(at), CursorRun: pgULID(run.ULID),
		Most: int32(query.Limit + 1),
	})
	if err != nil {
		return nil, "", fmt.Errorf("find starts of function %s: %w", query.Function, classify(err))
	}
	for _, row := range rows {
		if len(starts) == query.Limit {
			last := starts[len(starts)-1]
			return starts, fmt.Sprintf("%d,%s", last.At.UnixMicro(), last.Item.Run), nil
		}
		limits, err := decodeList[stepwell.LimitKey](row.Limits)
		if err != nil {
			return nil, "", err
		}
		id := stepwell.RunID{ULID: row.RunID.Bytes}
		starts = append(starts, stepwell.NewThrottleStart(query.Function, id, limits, fromTime(row.StartedAt)))
	}
	return starts, "", nil
}

// parseThrottleCursor reads a cursor: the last start of the page before. Where there is none, no start is.
func parseThrottleCursor(text string, since time.Time) (time.Time, stepwell.RunID, error) {
	if text == "" {
		return since, stepwell.RunID{}, nil
	}
	at, id, _ := strings.Cut(text, ",")
	micros, err1 := strconv.ParseInt(at, 10, 64)
	run, err2 := stepwell.ParseRunID(id)
	if err1 != nil || err2 != nil {
		return time.Time{}, stepwell.RunID{}, stepwell.Invalidf("cursor %q was not given out", text)
	}
	return time.UnixMicro(micros), run, nil
}
