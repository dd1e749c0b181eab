package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// Holders implements store.Matcher.
func (s *Store) Holders(ctx context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var ask placeRows
	for _, place := range places {
		ask.add(hashedKey(place.Function, place.Key), stepwell.RunID{})
	}
	rows, err := pgsql.New(s.writes).Holders(ctx, ask.functions, ask.hashes)
	if err != nil {
		return nil, fmt.Errorf("find who has places: %w", classify(err))
	}
	holders := make([]stepwell.RunID, len(places))
	for _, row := range rows {
		holders[row.Position-1] = stepwell.RunID{ULID: row.RunID.Bytes}
	}
	return holders, nil
}

// placeRows are places, each with a run, as columns.
type placeRows struct {
	functions []pgtype.UUID
	hashes    [][]byte
	runs      []pgtype.UUID
}

func (r *placeRows) add(key startKey, run stepwell.RunID) {
	r.functions, r.hashes = append(r.functions, pgUUID(key.function.UUID)), append(r.hashes, []byte(key.hash))
	r.runs = append(r.runs, pgULID(run.ULID))
}
