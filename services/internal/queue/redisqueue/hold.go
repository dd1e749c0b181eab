package redisqueue

import (
	"context"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// idsMax bounds the items of one call of the scripts that are not put.
const idsMax = 512

// Extend implements queue.Consumer.
func (q *Queue) Extend(ctx context.Context, leases []queue.Lease, _, until time.Time) ([]queue.Lease, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	byShard := map[*shard][]int{}
	for i, lease := range leases {
		s := q.shardOf(lease.Item)
		byShard[s] = append(byShard[s], i)
	}
	var calls []call
	var asked [][]int
	for s, places := range byShard {
		for chunk := range slices.Chunk(places, idsMax) {
			arguments := []any{micros(until)}
			for _, i := range chunk {
				arguments = append(arguments, string(leases[i].Item.ID), leases[i].Generation)
			}
			calls, asked = append(calls, newCall(q.scripts.extend, s.keys, "", arguments...)), append(asked, chunk)
		}
	}
	var places []int
	for i, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return nil, q.failure(ctx, "extend leases", got.err)
		}
		numbers, _ := got.value.([]any)
		for _, n := range numbers {
			places = append(places, asked[i][number(n)-1])
		}
	}
	slices.Sort(places)
	var lost []queue.Lease
	for _, i := range places {
		lost = append(lost, leases[i])
	}
	return lost, nil
}

// Release implements queue.Consumer.
func (q *Queue) Release(ctx context.Context, lease queue.Lease, now, dueAt time.Time) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	s := q.shardOf(lease.Item)
	calls := []call{
		newCall(q.scripts.release, s.keys, "", micros(now), string(lease.Item.ID), lease.Generation, micros(dueAt)),
	}
	if micros(dueAt) <= micros(now) {
		calls = append(calls, q.advance(s, now))
	}
	s.sooner(dueAt)
	return q.failure(ctx, "release lease", q.run(ctx, calls...)[0].err)
}

// Bury implements queue.Consumer.
func (q *Queue) Bury(ctx context.Context, lease queue.Lease, now time.Time, reason string) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	s := q.shardOf(lease.Item)
	id, reason := string(lease.Item.ID), queue.CutReason(reason)
	got := q.run(ctx, newCall(q.scripts.bury, s.keys, "", id, lease.Generation, micros(now), reason))
	return q.failure(ctx, "bury item", got[0].err)
}

// Remove implements queue.Producer. An id does not say whether its item has limits, so it is looked for where items
// without are, and only then elsewhere.
func (q *Queue) Remove(ctx context.Context, ids []stepwell.ItemID) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	byShard := map[*shard][]stepwell.ItemID{}
	for _, id := range ids {
		s := q.home(id)
		byShard[s] = append(byShard[s], id)
	}
	var tasks []func() error
	for s, ids := range byShard {
		for chunk := range slices.Chunk(ids, idsMax) {
			tasks = append(tasks, func() error { return q.removeAnywhere(ctx, s, chunk) })
		}
	}
	return q.failure(ctx, "remove", atOnce(tasks))
}

// home is the shard of the item if it has no limits.
func (q *Queue) home(id stepwell.ItemID) *shard { return q.shardOf(stepwell.Item{Run: id.Run()}) }

// removeAnywhere takes items out of the shard, or else of any other.
func (q *Queue) removeAnywhere(ctx context.Context, home *shard, ids []stepwell.ItemID) error {
	unknown, err := q.removeFrom(ctx, []*shard{home}, ids)
	if err != nil || len(unknown) == 0 || len(q.shards) == 1 {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(q.shards), func(s *shard) bool { return s == home })
	_, err = q.removeFrom(ctx, others, unknown)
	return err
}

// removeFrom takes items out of the shards and returns those that are unknown to the last of them.
func (q *Queue) removeFrom(ctx context.Context, shards []*shard, ids []stepwell.ItemID) ([]stepwell.ItemID, error) {
	arguments := make([]any, len(ids))
	for i, id := range ids {
		arguments[i] = string(id)
	}
	calls := make([]call, len(shards))
	for i, s := range shards {
		calls[i] = newCall(q.scripts.remove, s.keys, "", arguments...)
	}
	var unknown []stepwell.ItemID
	for _, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return nil, got.err
		}
		unknown = nil
		for _, id := range texts(got.value) {
			unknown = append(unknown, stepwell.ItemID(id))
		}
	}
	return unknown, nil
}
