package redisqueue

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/services/internal/queue"
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
