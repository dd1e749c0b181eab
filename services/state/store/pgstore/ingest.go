package pgstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// Ingest implements store.Ingester. The requests are one transaction; if Postgres refuses it, halves are tried.
func (s *Store) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	results := make([]store.Ingested, len(requests))
	err := bisect(len(requests), func(from, to int) error {
		err := s.ingest(ctx, requests[from:to], results[from:to])
		if err != nil && to-from == 1 && !stepwell.Retryable(err) {
			results[from] = store.Ingested{Err: err}
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ingest %d requests: %w", len(requests), err)
	}
	return results, nil
}

// ingest stores the requests, without those that turn out to be stale.
func (s *Store) ingest(ctx context.Context, requests []store.Ingest, results []store.Ingested) error {
	stale, err := s.ingestAll(ctx, requests, results)
	if err != nil || len(stale) == 0 {
		return err
	}
	// Nothing was stored. It is rare: once for each change of the catalog, and when runs race for a place.
	var fresh []store.Ingest
	var at []int
	for i := range requests {
		if slices.Contains(stale, i) {
			results[i] = store.Ingested{Err: fmt.Errorf(
				"decided by revision %d, or of other runs that had places: %w", requests[i].Revision, stepwell.ErrStale,
			)}
			continue
		}
		fresh, at = append(fresh, requests[i]), append(at, i)
	}
	freshResults := make([]store.Ingested, len(fresh))
	if len(fresh) == 0 {
		return nil
	}
	if err := s.ingest(ctx, fresh, freshResults); err != nil {
		return err
	}
	for i, result := range freshResults {
		results[at[i]] = result
	}
	return nil
}

// ingestAll stores all requests as one transaction, or nothing if some are stale.
func (s *Store) ingestAll(
	ctx context.Context, requests []store.Ingest, results []store.Ingested,
) (stale []int, err error) {
	in := newIngestion(requests)
	err = s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if stale, err = in.storeEvents(ctx, conn); err != nil {
			return err
		}
		if len(stale) > 0 {
			return errStale
		}
		if err := in.resolveStarts(ctx, conn); err != nil {
			return err
		}
		if stale, err = in.storeRuns(ctx, conn, results); err == nil && len(stale) > 0 {
			return errStale
		}
		return err
	})
	if len(stale) > 0 {
		return stale, nil
	}
	return nil, err
}

// errStale rolls a transaction back.
var errStale = fmt.Errorf("some requests: %w", stepwell.ErrStale)

// ingestion is a batch of requests on its way into the tables.
type ingestion struct {
	requests []store.Ingest
	// first are the events that are routed now, and not before.
	first map[stepwell.EventID]bool
	// stored are the events that are new.
	stored map[stepwell.EventID]bool
	// awaited are the events that stay unrouted until the waits for them were looked at.
	awaited map[stepwell.EventID]bool
	// starts are those of all requests, in order; byKey finds those of which a key decides.
	starts []*startInProgress
	byKey  map[startKey]*startInProgress
	// fired are the runs of the buffers that are removed.
	fired map[stepwell.RunID]bool
	// waits are those of new runs.
	waits waitRows
	// heads are the runs that may change, and applied the events of which the transitions were applied.
	heads   *heads
	applied map[stepwell.EventID]bool
	// holders are the runs that have places, and taken those of them that have taken theirs now.
	holders, taken map[startKey]stepwell.RunID
}

func newIngestion(requests []store.Ingest) *ingestion {
	in := &ingestion{
		requests: requests, first: map[stepwell.EventID]bool{}, stored: map[stepwell.EventID]bool{}, awaited: map[stepwell.EventID]bool{},
		byKey: map[startKey]*startInProgress{}, applied: map[stepwell.EventID]bool{}, taken: map[startKey]stepwell.RunID{},
		fired: map[stepwell.RunID]bool{},
	}
	for _, request := range requests {
		for _, e := range request.Events {
			for _, start := range e.Starts {
				in.starts = append(in.starts, &startInProgress{
					RunStart: start, event: e.Event.ID, keys: startKeysOf(start, e.Event.ID),
				})
			}
		}
		for _, fire := range request.Fires {
			in.starts = append(in.starts, &startInProgress{RunStart: fire.Start, fires: true})
		}
	}
	return in
}

// storeEvents begins the transaction, stores the events, and returns which requests are stale.
func (in *ingestion) storeEvents(ctx context.Context, conn sender) ([]int, error) {
	var environments, routed []pgtype.UUID
	var waitNames []string
	var e pgsql.InsertEventsParams
	var names nameLocks
	var take struct {
		runs   []pgtype.UUID
		counts []int32
	}
	seen := map[stepwell.EventID]bool{}
	for _, request := range in.requests {
		environments = append(environments, pgUUID(request.Environment.UUID))
		names.tell(request.Cancels)
		for _, start := range request.AllStarts() {
			names.start(start)
		}
		for _, fire := range request.Fires {
			names.count(bufferKeyOf(fire.Start, fire.KeyHash))
			take.runs = append(take.runs, pgULID(fire.Start.Run.ID.ULID))
			take.counts = append(take.counts, int32(len(fire.Start.Run.Events)))
		}
		for _, i := range request.Events {
			names.share(i.Event)
			if !request.Unrouted {
				routed = append(routed, pgULID(i.Event.ID.ULID))
				waitNames = append(waitNames, waitNamesOf(i.Event))
			}
			if !seen[i.Event.ID] {
				seen[i.Event.ID] = true
				appendEvent(&e, i.Event, !request.Unrouted)
			}
		}
	}
	var revisions []pgsql.CatalogRevisionsRow
	var inserted []pgsql.InsertEventsRow
	var rerouted []pgsql.RouteEventsRow
	var fired []pgtype.UUID
	p := begin()
	if err := names.lock(ctx, p); err != nil {
		return nil, err
	}
	collect(p, &revisions, pgsql.CatalogRevisions, environments)
	insertEvents(p, &inserted, e)
	first, last := span(routed)
	collect(p, &rerouted, pgsql.RouteEvents, first, last, routed, waitNames)
	if len(take.runs) > 0 {
		collectValues(p, &fired, pgsql.TakeBuffers, take.runs, take.counts)
	}
	if err := p.send(ctx, conn); err != nil {
		return nil, fmt.Errorf("store events: %w", err)
	}
	for _, row := range inserted {
		id := stepwell.EventID{ULID: row.ID.Bytes}
		in.stored[id], in.first[id], in.awaited[id] = true, true, !row.Routed
	}
	for _, row := range rerouted {
		id := stepwell.EventID{ULID: row.ID.Bytes}
		in.first[id], in.awaited[id] = true, !row.Routed
	}
	for _, run := range fired {
		in.fired[stepwell.RunID{ULID: run.Bytes}] = true
	}
	return in.stale(revisions), nil
}

// insertEvents queues the rows of events.
func insertEvents(p *pipeline, inserted *[]pgsql.InsertEventsRow, e pgsql.InsertEventsParams) {
	collect(p, inserted, pgsql.InsertEvents, e.Ids, e.EnvironmentIds, e.Names, e.Keys, e.Data, e.UserData, e.Meta,
		e.Versions, e.OccurredAt, e.ReceivedAt, e.Routed, e.WaitNames, e.Traces)
}

func appendEvent(e *pgsql.InsertEventsParams, event stepwell.Event, routed bool) {
	e.Ids = append(e.Ids, pgULID(event.ID.ULID))
	e.EnvironmentIds = append(e.EnvironmentIds, pgUUID(event.Environment.UUID))
	e.Names = append(e.Names, event.Name)
	e.Keys = append(e.Keys, event.Key)
	e.Data = append(e.Data, event.Data)
	e.UserData = append(e.UserData, event.User)
	e.Meta = append(e.Meta, nullable(event.Meta))
	e.Versions = append(e.Versions, event.Version)
	e.OccurredAt = append(e.OccurredAt, pgTime(event.Time))
	e.ReceivedAt = append(e.ReceivedAt, pgTime(event.ReceivedAt))
	e.Traces = append(e.Traces, event.Trace.Bytes())
	e.Routed = append(e.Routed, routed)
	e.WaitNames = append(e.WaitNames, waitNamesOf(event))
}

func (in *ingestion) stale(revisions []pgsql.CatalogRevisionsRow) []int {
	current := map[stepwell.EnvironmentID]int64{}
	for _, row := range revisions {
		current[stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes}] = row.Revision
	}
	var stale []int
	for i, request := range in.requests {
		if !request.Unrouted && request.Revision < current[request.Environment] {
			stale = append(stale, i)
		}
	}
	return stale
}

// storeRuns stores the new runs and what the events change in others, and commits, unless some requests are stale.
func (in *ingestion) storeRuns(ctx context.Context, conn sender, results []store.Ingested) (stale []int, _ error) {
	p := &pipeline{}
	if err := in.limitRates(ctx, conn, p); err != nil {
		return nil, err
	}
	if err := in.fillBuffers(ctx, conn, p); err != nil {
		return nil, err
	}
	if err := in.lockRuns(ctx, conn); err != nil {
		return nil, err
	}
	if stale := in.decide(results); len(stale) > 0 {
		return stale, nil
	}
	if err := in.insertRuns(ctx, p); err != nil {
		return nil, err
	}
	if err := in.heads.write(ctx, p); err != nil {
		return nil, err
	}
	if err := in.putHolders(ctx, p); err != nil {
		return nil, err
	}
	p.commit()
	if err := p.send(ctx, conn); err != nil {
		return nil, fmt.Errorf("store runs: %w", err)
	}
	if slices.Contains(in.waits.looksBack, true) {
		results[0].ForRunner = true // whoever gets the answer tells a runner
	}
	return nil, nil
}
