package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// bufferKeyOf is the key of a function's buffer.
func bufferKeyOf(start stepwell.RunStart, hash []byte) startKey {
	return startKey{start.Run.Function, string(hash)}
}

// bucket is what the buffers of one key become.
type bucket struct {
	// latest is the one that takes events, nil if there is none; written are those to be stored.
	latest  *stepwell.Buffer
	written []*stepwell.Buffer
}

// put has the bucket take the event of a start.
func (b *bucket) put(start *startInProgress) {
	put := b.latest.Put(start.RunStart)
	start.put = &put
	if put.Into != b.latest {
		b.written = append(b.written, put.Into)
	}
	if put.Lost == nil || put.Lost == b.latest {
		start.result = store.StartedRun{ID: put.Into.Run.ID, Buffered: true, Displaces: put.Lost != nil}
	} else {
		start.result.Skip = stepwell.SkipDebounced
	}
	b.latest = put.Into
}

// fillBuffers has new starts wait that are to be buffered. The locks of the buffers are held.
func (in *ingestion) fillBuffers(ctx context.Context, conn sender, p *pipeline) error {
	buckets := map[startKey]*bucket{}
	var ask struct {
		FunctionIds []pgtype.UUID
		KeyHashes   [][]byte
	}
	for _, start := range in.buffering() {
		key := bufferKeyOf(start.RunStart, start.Buffering.KeyHash)
		if buckets[key] == nil {
			buckets[key] = &bucket{}
			ask.FunctionIds = append(ask.FunctionIds, pgUUID(key.function.UUID))
			ask.KeyHashes = append(ask.KeyHashes, []byte(key.hash))
		}
	}
	if len(buckets) == 0 {
		return nil
	}
	var rows []pgsql.Buffer
	load := &pipeline{}
	collect(load, &rows, pgsql.LatestBuffers, ask.FunctionIds, ask.KeyHashes)
	if err := load.send(ctx, conn); err != nil {
		return fmt.Errorf("look for buffers: %w", err)
	}
	var stored []pgtype.UUID
	for _, row := range rows {
		latest := fromBuffer(row)
		b := buckets[startKey{latest.Run.Function, string(row.KeyHash)}]
		b.latest, b.written = &latest, []*stepwell.Buffer{&latest}
		stored = append(stored, row.RunID)
	}
	lost := map[*stepwell.Buffer]bool{}
	for _, start := range in.buffering() {
		buckets[bufferKeyOf(start.RunStart, start.Buffering.KeyHash)].put(start)
		lost[start.put.Lost] = true
	}
	if err := in.moveKeys(ctx, p); err != nil {
		return err
	}
	var insert pgsql.InsertBuffersParams
	for _, b := range buckets {
		for _, buffer := range b.written {
			if !lost[buffer] {
				appendBuffer(&insert, *buffer)
			}
		}
	}
	q := pgsql.New(p)
	if err := q.DeleteBuffers(ctx, stored); err != nil {
		return err
	}
	return q.InsertBuffers(ctx, insert)
}

// buffering are the starts that go into buffers.
func (in *ingestion) buffering() []*startInProgress {
	var those []*startInProgress
	for _, start := range in.starts {
		if start.Buffering != nil && start.result.Started() {
			those = append(those, start)
		}
	}
	return those
}

// moveKeys has the keys of starts whose events are in the batches of others lead there.
func (in *ingestion) moveKeys(ctx context.Context, p *pipeline) error {
	var move struct {
		FunctionIds []pgtype.UUID
		KeyHashes   [][]byte
		RunIds      []pgtype.UUID
	}
	to := map[stepwell.RunID]stepwell.RunID{}
	for _, start := range in.starts {
		if !start.result.Buffered || start.result.ID == start.Run.ID {
			continue
		}
		to[start.Run.ID] = start.result.ID
		for _, key := range start.keys {
			move.FunctionIds = append(move.FunctionIds, pgUUID(key.function.UUID))
			move.KeyHashes = append(move.KeyHashes, []byte(key.hash))
			move.RunIds = append(move.RunIds, pgULID(start.result.ID.ULID))
		}
	}
	for _, start := range in.starts {
		if batch, moved := to[start.result.ID]; moved {
			start.result.ID = batch
		}
	}
	if len(move.RunIds) == 0 {
		return nil
	}
	return pgsql.New(p).MoveStartKeys(ctx, move.FunctionIds, move.KeyHashes, move.RunIds)
}

func appendBuffer(rows *pgsql.InsertBuffersParams, b stepwell.Buffer) {
	rows.RunIds = append(rows.RunIds, pgULID(b.Run.ID.ULID))
	rows.EnvironmentIds = append(rows.EnvironmentIds, pgUUID(b.Run.Environment.UUID))
	rows.FunctionIds = append(rows.FunctionIds, pgUUID(b.Run.Function.UUID))
	rows.FunctionVersions = append(rows.FunctionVersions, int32(b.Run.FunctionVersion))
	rows.KeyHashes = append(rows.KeyHashes, b.KeyHash)
	rows.Batches = append(rows.Batches, b.Batch)
	rows.EventIds = append(rows.EventIds, idArray(b.Run.Events))
	rows.EventNames = append(rows.EventNames, b.Run.EventName)
	rows.EventAt = append(rows.EventAt, pgTime(b.EventTime))
	rows.Bytes = append(rows.Bytes, int64(b.Bytes))
	rows.CreatedAt = append(rows.CreatedAt, pgTime(b.Run.CreatedAt))
	rows.FirstAt = append(rows.FirstAt, pgTime(b.FirstAt))
	rows.FireAt = append(rows.FireAt, pgTime(b.FireAt))
	var invoker string
	var displaced []byte
	if b.Displaced != nil {
		invoker, displaced = string(b.Displaced.Item), b.Displaced.Step.Result.JSON
	}
	rows.Invokers, rows.Displaced = append(rows.Invokers, invoker), append(rows.Displaced, displaced)
}

// fromBuffer is the buffer of a row.
func fromBuffer(row pgsql.Buffer) stepwell.Buffer {
	b := stepwell.Buffer{
		Run: stepwell.Run{
			ID: stepwell.RunID{ULID: row.RunID.Bytes}, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
			Function: stepwell.FunctionID{UUID: row.FunctionID.Bytes}, FunctionVersion: int(row.FunctionVersion),
			EventName: row.EventName, CreatedAt: fromTime(row.CreatedAt),
		},
		KeyHash: row.KeyHash, Batch: row.Batch, FirstAt: fromTime(row.FirstAt), FireAt: fromTime(row.FireAt),
		EventTime: fromTime(row.EventAt), Bytes: int(row.Bytes),
	}
	for _, id := range row.EventIds {
		b.Run.Events = append(b.Run.Events, stepwell.EventID{ULID: id.Bytes})
	}
	item, err := stepwell.ItemID(row.Invoker.String).Item()
	if row.Invoker.Valid && err == nil {
		b.Displaced = &stepwell.Resume{Item: item.ID, Step: stepwell.Step{
			ID: item.Step, Kind: stepwell.StepInvoke, Status: stepwell.StepFailed,
			Result: stepwell.Result{Kind: stepwell.ResultError, JSON: row.Displaced},
		}}
	}
	return b
}

// DueBuffers implements store.Backlog.
func (s *Store) DueBuffers(
	ctx context.Context, now time.Time, limit int,
) (due []store.DueBuffer, next time.Time, _ error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var rows []pgsql.Buffer
	var first []pgtype.Timestamptz
	p := &pipeline{}
	collect(p, &rows, pgsql.DueBuffers, pgTime(now), int32(limit))
	collectValues(p, &first, pgsql.NextBuffer)
	if err := p.send(ctx, s.writes); err != nil {
		return nil, time.Time{}, fmt.Errorf("find due buffers: %w", classify(err))
	}
	if len(rows) == 0 {
		if len(first) > 0 {
			next = fromTime(first[0])
		}
		return nil, next, nil
	}
	buffers := store.FirstBuffers(convertRows(rows, fromBuffer), limit)
	ids := make([]pgtype.UUID, len(buffers))
	for i, buffer := range buffers {
		ids[i] = pgULID(buffer.Run.Events[0].ULID)
	}
	from, to := span(ids)
	events, err := pgsql.New(s.writes).Events(ctx, ids, from, to)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read events of due buffers: %w", classify(err))
	}
	byID := map[stepwell.EventID]stepwell.Event{}
	for _, row := range events {
		event := fromEvent(pgsql.GetEventRow(row))
		byID[event.ID] = event
	}
	for _, buffer := range buffers {
		due = append(due, store.DueBuffer{Buffer: buffer, Event: byID[buffer.Run.Events[0]]})
	}
	return due, time.Time{}, nil
}
