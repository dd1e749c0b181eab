package pgstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// startInProgress is a start, and the run that it leads to.
type startInProgress struct {
	stepwell.RunStart

	event stepwell.EventID
	// keys decide about the start, if it has any besides its event's own id.
	keys    []startKey
	allowed bool
	// fires tells that the start is of a buffer.
	fires  bool
	result store.StartedRun
	// existing is the run because of which it is skipped.
	existing stepwell.RunID
	// put is what became of the event in a buffer; nil if it was put into none.
	put *stepwell.Put
}

// place is the hash of the key of the run's place; nil if it has none.
func (s *startInProgress) place() []byte {
	if s.Place == nil {
		return nil
	}
	return []byte(startKeyOf(s.RunStart, s.Place.Key).hash)
}

// report is where the start led, and adds what follows from it.
func (s *startInProgress) report(result *store.Ingested) store.StartedRun {
	if s.result.Started() {
		result.Opened = append(result.Opened, s.Run.Progress.Open...)
	}
	if s.put != nil {
		result.Expect(s.put.FiresAt)
	}
	return s.result
}

// lost is the buffer of which no run will start because of the start; nil if there is none.
func (s *startInProgress) lost() *stepwell.Buffer {
	if s.put == nil {
		return nil
	}
	return s.put.Lost
}

// leadsElsewhere tells whether the start led to a run that is not found by its event's id.
func (s *startInProgress) leadsElsewhere() bool {
	if s.result.Buffered {
		return s.result.ID != s.Run.ID
	}
	return s.result.Existed && s.allowed && s.result.ID != (stepwell.RunID{})
}

// refusals are what changes in runs that invoked functions which do not start.
func (s *startInProgress) refusals(now time.Time) []stepwell.Transition {
	var all []stepwell.Transition
	if lost := s.lost(); lost != nil {
		if t, waiting := lost.Displace(now); waiting {
			all = append(all, t)
		}
	}
	if t, refused := store.Refusal(s.RunStart, s.result, now); refused {
		all = append(all, t)
	}
	return all
}

// startKey is a start's key within its function, as a hash.
type startKey struct {
	function stepwell.FunctionID
	hash     string
}

// keyHashBytes is how much of a key's hash is kept.
const keyHashBytes = 16

// startKeysOf are the keys of a start. A run's id is derived from its event's, so that the event's own id needs no row, unless
// the event goes into a buffer: there is no run yet then, and may be one of another event.
func startKeysOf(start stepwell.RunStart, event stepwell.EventID) []startKey {
	var keys []startKey
	if start.Key != event.String() || start.Buffering != nil {
		keys = append(keys, startKeyOf(start, start.Key))
	}
	if start.Once != "" {
		keys = append(keys, startKeyOf(start, "once\n"+start.Once)) // no event's key has a control character
	}
	return keys
}

// startKeyOf is a key of the function of a start, as a hash.
func startKeyOf(start stepwell.RunStart, text string) startKey {
	return hashedKey(start.Run.Function, text)
}

func hashedKey(function stepwell.FunctionID, text string) startKey {
	hash := sha256.Sum256([]byte(text))
	return startKey{function, string(hash[:keyHashBytes])}
}

// resolveStarts finds out where keyed starts, and those of events that were routed before, lead.
func (in *ingestion) resolveStarts(ctx context.Context, conn sender) error {
	var claims pgsql.PutStartKeysParams
	var claimed []startKey
	var known []pgtype.UUID
	decided := map[stepwell.RunID]bool{}
	for _, start := range in.starts {
		if start.fires {
			if start.allowed = in.fired[start.Run.ID]; !start.allowed {
				known = append(known, pgULID(start.Run.ID.ULID))
			}
			continue
		}
		// The same request may be in the batch twice: a client that lost the answer.
		start.allowed = in.first[start.event] && !decided[start.Run.ID]
		decided[start.Run.ID] = true
		if start.allowed && !in.stored[start.event] {
			known = append(known, pgULID(start.Run.ID.ULID)) // it may have been decided before, and be awaited since
		}
		switch {
		case !start.allowed:
			known = append(known, pgULID(start.Run.ID.ULID))
			for _, key := range start.keys {
				if in.byKey[key] == nil {
					in.byKey[key] = start
				}
			}
		default:
			for _, key := range start.keys {
				if in.byKey[key] == nil {
					in.byKey[key] = start
					claimed = append(claimed, key)
				}
			}
		}
	}
	// In order, so that two transactions cannot wait for each other.
	slices.SortFunc(claimed, func(a, b startKey) int {
		return cmp.Or(bytes.Compare(a.function.UUID[:], b.function.UUID[:]), strings.Compare(a.hash, b.hash))
	})
	for _, key := range claimed {
		claims.FunctionIds = append(claims.FunctionIds, pgUUID(key.function.UUID))
		claims.KeyHashes = append(claims.KeyHashes, []byte(key.hash))
		claims.RunIds = append(claims.RunIds, pgULID(in.byKey[key].Run.ID.ULID))
	}
	now := in.requests[0].Now
	claims.Now, claims.Expired = pgTime(now), pgTime(now.Add(-stepwell.EventDedupeWindow))
	return in.claimKeys(ctx, conn, claims, known)
}

// claimKeys makes free keys lead to their new runs, and learns where the others lead.
func (in *ingestion) claimKeys(
	ctx context.Context, conn sender, claims pgsql.PutStartKeysParams, known []pgtype.UUID,
) error {
	if len(in.byKey) == 0 && len(known) == 0 {
		in.settleStarts(nil, nil, nil)
		return nil
	}
	var won []pgsql.PutStartKeysRow
	var keys []pgsql.StartKeysRow
	var runs []pgsql.KnownRunsRow
	var functions []pgtype.UUID
	var hashes [][]byte
	for key := range in.byKey {
		functions, hashes = append(functions, pgUUID(key.function.UUID)), append(hashes, []byte(key.hash))
	}
	p := &pipeline{}
	if len(claims.RunIds) > 0 {
		collect(p, &won, pgsql.PutStartKeys, claims.FunctionIds, claims.KeyHashes, claims.RunIds, claims.Now, claims.Expired)
	}
	// A statement of its own sees what others committed while the one before waited for them.
	collect(p, &keys, pgsql.StartKeys, functions, hashes)
	collectKeyed(p, &runs, pgsql.KnownRuns, known)
	if err := p.send(ctx, conn); err != nil {
		return fmt.Errorf("claim start keys: %w", err)
	}
	in.settleStarts(won, keys, runs)
	return nil
}

// settleStarts says of each start where it leads.
func (in *ingestion) settleStarts(
	won []pgsql.PutStartKeysRow, keys []pgsql.StartKeysRow, runs []pgsql.KnownRunsRow,
) {
	owner := map[startKey]stepwell.RunID{}
	for _, row := range keys {
		owner[startKey{stepwell.FunctionID{UUID: row.FunctionID.Bytes}, string(row.KeyHash)}] = stepwell.RunID{ULID: row.RunID.Bytes}
	}
	fresh := map[startKey]bool{}
	for _, row := range won {
		fresh[startKey{stepwell.FunctionID{UUID: row.FunctionID.Bytes}, string(row.KeyHash)}] = true
	}
	known := map[stepwell.RunID]bool{}
	for _, row := range runs {
		known[stepwell.RunID{ULID: row.ID.Bytes}] = true
	}
	for _, start := range in.starts {
		used := slices.IndexFunc(start.keys, func(key startKey) bool {
			_, owned := owner[key]
			return owned && (!fresh[key] || in.byKey[key] != start)
		})
		switch {
		case used >= 0:
			start.result = store.StartedRun{ID: owner[start.keys[used]], Existed: true}
		case known[start.Run.ID]:
			start.result = store.StartedRun{ID: start.Run.ID, Existed: true}
		case start.allowed:
			start.result = store.StartedRun{ID: start.Run.ID, Skip: start.Run.Skip}
			known[start.Run.ID] = true
		default:
			start.result = store.StartedRun{Existed: true}
		}
	}
}
