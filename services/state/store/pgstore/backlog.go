package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// dueCursor is where a page of due items ended: in which head, and after which of its items. Heads are in the order of
// the minute in which their first item is due.
type dueCursor struct {
	minute int64
	run    stepwell.RunID
	dueAt  time.Time
	item   stepwell.ItemID
}

// String is the cursor as callers carry it.
func (c dueCursor) String() string {
	return fmt.Sprintf("%d,%d,%s", c.minute, c.dueAt.UnixMicro(), c.item)
}

// parseDueCursor reads a cursor. Where there is none, a query begins with the heads of a minute.
func parseDueCursor(text string, after time.Time) (dueCursor, error) {
	if text == "" {
		return dueCursor{minute: max(minuteOf(after), math.MinInt32)}, nil
	}
	parts := strings.SplitN(text, ",", 3)
	if len(parts) != 3 {
		return dueCursor{}, stepwell.Invalidf("cursor %q was not given out", text)
	}
	minute, err1 := strconv.ParseInt(parts[0], 10, 32)
	micros, err2 := strconv.ParseInt(parts[1], 10, 64)
	item := stepwell.ItemID(parts[2])
	if err1 != nil || err2 != nil || item.Run() == (stepwell.RunID{}) {
		return dueCursor{}, stepwell.Invalidf("cursor %q was not given out", text)
	}
	return dueCursor{minute: minute, run: item.Run(), dueAt: time.UnixMicro(micros), item: item}, nil
}

// DueItems implements store.Backlog.
func (s *Store) DueItems(ctx context.Context, query store.DueQuery) ([]stepwell.Item, string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	cursor, err := parseDueCursor(query.Cursor, query.After)
	if err != nil {
		return nil, "", err
	}
	// One head more than items fit: each has at least one item, but the first may have none left.
	rows, err := pgsql.New(s.writes).DueHeads(ctx, pgsql.DueHeadsParams{
		BeforeMinute: int32(min(minuteOf(query.Before), math.MaxInt32)), CursorMinute: int32(cursor.minute),
		CursorRun: pgULID(cursor.run.ULID), Most: int32(query.Limit + 1),
	})
	if err != nil {
		return nil, "", fmt.Errorf("find due items: %w", classify(err))
	}
	var due []stepwell.Item
	for _, row := range rows {
		items, err := itemsOfHead(row)
		if err != nil {
			return nil, "", err
		}
		for _, item := range items {
			if !item.DueAt.Before(query.Before) || !cursor.precedes(row, item) {
				continue
			}
			if len(due) == query.Limit {
				return due, cursor.String(), nil
			}
			due = append(due, item)
			cursor = dueCursor{minute: int64(row.DueMinute), run: item.Run, dueAt: item.DueAt, item: item.ID}
		}
	}
	if len(rows) > query.Limit && len(due) > 0 {
		return due, cursor.String(), nil
	}
	return due, "", nil
}

// itemsOfHead are the head's open items, in the order in which they are due.
func itemsOfHead(row pgsql.DueHeadsRow) ([]stepwell.Item, error) {
	run := stepwell.Run{
		ID: stepwell.RunID{ULID: row.RunID.Bytes}, Function: stepwell.FunctionID{UUID: row.FunctionID.Bytes},
		Priority: time.Duration(row.PriorityNanos),
	}
	var err error
	if run.Limits, err = decodeList[stepwell.LimitKey](row.Limits); err != nil {
		return nil, err
	}
	items, err := decodeOpen(row.Open, run)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, compareDue)
	return items, nil
}

func compareDue(a, b stepwell.Item) int {
	return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
}

// precedes tells whether the item comes after the cursor.
func (c dueCursor) precedes(row pgsql.DueHeadsRow, item stepwell.Item) bool {
	if item.Run != c.run || int64(row.DueMinute) != c.minute {
		return true
	}
	return compareDue(stepwell.Item{DueAt: c.dueAt, ID: c.item}, item) < 0
}

// ParkedItems implements store.Backlog.
func (s *Store) ParkedItems(ctx context.Context, before time.Time, limit int) ([]stepwell.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	rows, err := pgsql.New(s.writes).ParkedHeads(ctx, int32(min(minuteOf(before), math.MaxInt32)), int32(limit))
	if err != nil {
		return nil, fmt.Errorf("find parked items: %w", classify(err))
	}
	var parked []stepwell.Item
	for _, row := range rows {
		items, err := itemsOfHead(pgsql.DueHeadsRow(row))
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if item.Parked && item.DueAt.Before(before) {
				parked = append(parked, item)
			}
		}
	}
	slices.SortFunc(parked, compareDue)
	return parked[:min(limit, len(parked))], nil
}

// UnroutedEvents implements store.Backlog.
func (s *Store) UnroutedEvents(ctx context.Context, limit int) ([]stepwell.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	rows, err := pgsql.New(s.writes).UnroutedEvents(ctx, int32(limit), store.PageBytesMax)
	if err != nil {
		return nil, fmt.Errorf("find unrouted events: %w", classify(err))
	}
	return convertRows(rows, func(row pgsql.UnroutedEventsRow) stepwell.Event {
		return fromEvent(pgsql.GetEventRow(row))
	}), nil
}
