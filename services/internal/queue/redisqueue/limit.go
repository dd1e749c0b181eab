package redisqueue

import (
	"context"
	"errors"
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
		for _, s := range q.shards {
			var arguments []any
			for _, f := range chunk {
				arguments = append(arguments, f.Function.String(), limitsText(f, q.countsApart(f, s)))
			}
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

// older are the limit keys that the queue gives to items which were opened when their function had no limits, so that they
// count with the others: that of the whole function.
func older() []stepwell.LimitKey { return []stepwell.LimitKey{{}} }

// countsApart tells whether older items of the function that are in the shard count in another one. Those of functions that
// share a limit with others, too, stay where they are.
func (q *Queue) countsApart(f queue.FunctionLimits, s *shard) bool {
	whole := false
	for _, limit := range f.Limits {
		if limit.Scope != stepwell.ScopeFunction {
			return false
		}
		whole = whole || limit.LimitName == stepwell.LimitName{}
	}
	return whole && q.shardOf(stepwell.Item{Function: f.Function, Limits: older()}) != s
}

// gather moves items to where those of their function count together. What is taken and not put, since this process is
// killed, is put back from the store.
func (q *Queue) gather(ctx context.Context, shards []*shard, now time.Time) error {
	calls := make([]call, len(shards))
	for i, s := range shards {
		calls[i] = newCall(q.scripts.take, s.keys, "", idsMax)
	}
	var items []stepwell.Item
	var failures []error
	for _, got := range q.run(ctx, calls...) {
		failures = append(failures, got.err)
		for pair := range slices.Chunk(texts(got.value), 2) {
			item, generation := readItem(pair[0], pair[1])
			item.Generation, item.Limits = generation, older()
			items = append(items, item)
		}
	}
	return errors.Join(append(failures, q.Enqueue(ctx, now, items))...)
}

// limitsText is what the limits hash says of a function:
//
//	<revision>;[p][c];<limit>=<most>,<period>;…
//
// p says that it is paused, c that its older items count in another shard, which stays so; the period is in microseconds, 0 for
// concurrency. Scripts read it.
func limitsText(f queue.FunctionLimits, apart bool) string {
	var b strings.Builder
	b.WriteString(strconv.FormatInt(f.Revision, 10))
	b.WriteByte(';')
	if f.Paused {
		b.WriteByte('p')
	}
	if apart {
		b.WriteByte('c')
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
	case "?", "e", "w", "c":
		return stepwell.Waiting{Why: stepwell.WhyUnknown}
	}
	key, _ := stepwell.ParseLimitKey(part)
	return stepwell.Waiting{Why: stepwell.WhyLimit, Limit: key}
}
