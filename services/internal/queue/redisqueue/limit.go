package redisqueue

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// SetLimits implements queue.Limiter. A function's items may be in any shard, so every shard knows its limits.
func (q *Queue) SetLimits(ctx context.Context, functions []queue.FunctionLimits) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	var calls []call
	for chunk := range slices.Chunk(functions, chunkMax) {
		var arguments []any
		for _, f := range chunk {
			arguments = append(arguments, f.Function.String(), limitsText(f))
		}
		for _, s := range q.shards {
			calls = append(calls, newCall(q.scripts.limit, s.keys, "", arguments...))
		}
	}
	for _, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return q.failure(ctx, "set limits", got.err)
		}
	}
	return nil
}

// limitsText is what the limits hash says of a function:
//
//	<revision>;[p];<limit>=<most>,<period>;…
//
// p says that it is paused; the period is in microseconds, 0 for concurrency. Scripts read it.
func limitsText(f queue.FunctionLimits) string {
	var b strings.Builder
	b.WriteString(strconv.FormatInt(f.Revision, 10))
	b.WriteByte(';')
	if f.Paused {
		b.WriteByte('p')
	}
	for _, limit := range f.Limits {
		b.WriteByte(';')
		b.WriteString(limit.String())
		b.WriteByte('=')
		b.WriteString(strconv.Itoa(limit.Most))
		b.WriteByte(',')
		b.WriteString(strconv.FormatInt(limit.Period.Microseconds(), 10))
	}
	return b.String()
}

// Waiting implements queue.Inspector.
func (q *Queue) Waiting(
	ctx context.Context, _ time.Time, items []stepwell.Item,
) (map[stepwell.ItemID]stepwell.Waiting, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	byShard := map[*shard][]any{}
	for _, item := range items {
		s := q.shardOf(item)
		byShard[s] = append(byShard[s], string(item.ID))
	}
	var calls []call
	for s, ids := range byShard {
		for chunk := range slices.Chunk(ids, idsMax) {
			calls = append(calls, newCall(q.scripts.waiting, s.keys, "", chunk...))
		}
	}
	waiting := map[stepwell.ItemID]stepwell.Waiting{}
	for _, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return nil, q.failure(ctx, "look where items wait", got.err)
		}
		answer, _ := got.value.([]any)
		for fields := range slices.Chunk(answer, 3) {
			id, _ := fields[0].(string)
			place, _ := fields[1].(string)
			w := atPlace(place)
			w.Ahead = int(number(fields[2]))
			waiting[stepwell.ItemID(id)] = w
		}
	}
	return waiting, nil
}

// atPlace is why a lane waits at a place, as limiter.lua names it.
func atPlace(place string) stepwell.Waiting {
	set, _, _ := strings.Cut(place, "|")
	part := set[strings.LastIndexByte(set, '/')+1:]
	switch part {
	case "":
		return stepwell.Waiting{Why: stepwell.WhyTurn}
	case "p":
		return stepwell.Waiting{Why: stepwell.WhyPaused}
	case "?", "e", "w":
		return stepwell.Waiting{Why: stepwell.WhyUnknown}
	}
	key, _ := stepwell.ParseLimitKey(part)
	return stepwell.Waiting{Why: stepwell.WhyLimit, Limit: key}
}
