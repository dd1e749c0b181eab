package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// rated are the starts of one key of a function's rate that are decided together, in order.
type rated struct {
	key    startKey
	starts []*startInProgress
	// last is the number of the latest start, at the instants of those that are a limit back.
	last int64
	at   map[int64]time.Time
}

// limitRates records those of the new starts as skipped that their rates do not allow. The locks of the rates are held.
func (in *ingestion) limitRates(ctx context.Context, conn sender, p *pipeline) error {
	var keys []*rated
	byKey := map[startKey]*rated{}
	for _, start := range in.starts {
		if start.Rate == nil || !start.result.Started() {
			continue
		}
		key := startKeyOf(start.RunStart, start.Rate.Key)
		if byKey[key] == nil {
			byKey[key] = &rated{key: key, at: map[int64]time.Time{}}
			keys = append(keys, byKey[key])
		}
		byKey[key].starts = append(byKey[key].starts, start)
	}
	if len(keys) == 0 {
		return nil
	}
	if err := loadRates(ctx, conn, keys); err != nil {
		return err
	}
	var taken pgsql.InsertRateStartsParams
	for _, key := range keys {
		key.decide(&taken)
	}
	if len(taken.Numbers) == 0 {
		return nil
	}
	return pgsql.New(p).InsertRateStarts(ctx, taken)
}

// loadRates finds out what the rates have counted.
func loadRates(ctx context.Context, conn sender, keys []*rated) error {
	var ask pgsql.RateStartsParams
	for _, key := range keys {
		ask.FunctionIds = append(ask.FunctionIds, pgUUID(key.key.function.UUID))
		ask.KeyHashes = append(ask.KeyHashes, []byte(key.key.hash))
		ask.Limits = append(ask.Limits, int64(key.starts[0].Rate.Limit))
		ask.Counts = append(ask.Counts, int64(len(key.starts)))
	}
	var rows []pgsql.RateStartsRow
	p := &pipeline{}
	collect(p, &rows, pgsql.RateStarts, ask.FunctionIds, ask.KeyHashes, ask.Limits, ask.Counts)
	if err := p.send(ctx, conn); err != nil {
		return fmt.Errorf("look at rates: %w", err)
	}
	for _, row := range rows {
		key := keys[row.Position-1]
		key.last = row.Last
		key.at[row.Number] = fromTime(row.StartedAt)
	}
	return nil
}

// decide numbers the starts that the rate allows, and skips the others.
func (r *rated) decide(taken *pgsql.InsertRateStartsParams) {
	for _, start := range r.starts {
		now := start.Run.CreatedAt
		if !start.Rate.Allows(r.at[r.last+1-int64(start.Rate.Limit)], now) {
			start.result.Skip = stepwell.SkipRateLimited
			continue
		}
		r.last++
		r.at[r.last] = now
		taken.FunctionIds = append(taken.FunctionIds, pgUUID(r.key.function.UUID))
		taken.KeyHashes = append(taken.KeyHashes, []byte(r.key.hash))
		taken.Numbers = append(taken.Numbers, r.last)
		taken.StartedAt = append(taken.StartedAt, pgTime(now))
	}
}
