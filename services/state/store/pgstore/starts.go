package pgstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

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
	result  store.StartedRun
	// existing is the run because of which it is skipped.
	existing stepwell.RunID
}

// place is the hash of the key of the run's place; nil if it has none.
func (s *startInProgress) place() []byte {
	if s.Place == nil {
		return nil
	}
	return []byte(startKeyOf(s.RunStart, s.Place.Key).hash)
}

// startKey is a start's key within its function, as a hash.
type startKey struct {
	function stepwell.FunctionID
	hash     string
}

// keyHashBytes is how much of a key's hash is kept.
const keyHashBytes = 16

// startKeysOf are the keys of a start. A run's id is derived from its event's, so that the event's own id needs no row.
func startKeysOf(start stepwell.RunStart, event stepwell.EventID) []startKey {
	var keys []startKey
	if start.Key != event.String() {
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
