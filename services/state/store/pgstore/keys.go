package pgstore

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/oklog/ulid/v2"
)

// span is the least and the greatest of ids; null if there are none. Statements that look for ids in a partitioned table
// get it in addition: a plan that Postgres keeps for any ids looks into all days, but skips those outside of a range.
func span(ids []pgtype.UUID) (first, last pgtype.UUID) {
	if len(ids) == 0 {
		return pgtype.UUID{}, pgtype.UUID{}
	}
	return slices.MinFunc(ids, compareIDs), slices.MaxFunc(ids, compareIDs)
}

func compareIDs(a, b pgtype.UUID) int { return bytes.Compare(a.Bytes[:], b.Bytes[:]) }

// collectKeyed queues a query for the rows of some ids.
func collectKeyed[Row any](p *pipeline, rows *[]Row, sql string, ids []pgtype.UUID) {
	first, last := span(ids)
	collect(p, rows, sql, ids, first, last)
}

// millisecond is the range of ids that are of the same instant.
func millisecond(id ulid.ULID) (first, last pgtype.UUID) {
	from, to := id, id
	for i := 6; i < len(id); i++ {
		from[i], to[i] = 0, 0xff
	}
	return pgULID(from), pgULID(to)
}
