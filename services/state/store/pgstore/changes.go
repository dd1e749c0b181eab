package pgstore

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// changes are the rows that a batch of transitions writes beside heads and runs, as columns.
type changes struct {
	opens    pgsql.OpenStepsParams
	records  pgsql.RecordStepsParams
	attempts pgsql.InsertAttemptsParams
	waits    waitRows
	events   pgsql.InsertEventsParams
	// waitRuns and waitSteps are of waits that are over.
	waitRuns  []pgtype.UUID
	waitSteps []string
	begun     []stepwell.ThrottleStart
}

func (c *changes) add(t stepwell.Transition, applied store.Applied) {
	run := pgULID(t.Run.ULID)
	for i, opening := range applied.Opens {
		c.open(run, i, opening)
		if opening.Wait != nil {
			c.waits.add(*opening.Wait, t.At)
		}
	}
	for _, event := range applied.Emits {
		appendEvent(&c.events, event, false)
	}
	for i, step := range applied.Records {
		c.record(run, i, step)
	}
	for _, id := range applied.Dropped {
		c.dropWait(run, id)
	}
	c.dropWait(run, t.Settles)
	if applied.Begins != nil {
		c.begun = append(c.begun, *applied.Begins)
	}
	if a := t.Attempt; a != nil {
		c.attempts.RunIds = append(c.attempts.RunIds, run)
		c.attempts.Items = append(c.attempts.Items, localItem(a.Item))
		c.attempts.StepIds = append(c.attempts.StepIds, string(a.Step))
		c.attempts.StepNames = append(c.attempts.StepNames, a.StepName)
		c.attempts.Numbers = append(c.attempts.Numbers, int32(a.Number))
		c.attempts.Statuses = append(c.attempts.Statuses, int16(a.Status))
		c.attempts.StartedAt = append(c.attempts.StartedAt, pgTime(a.StartedAt))
		c.attempts.EndedAt = append(c.attempts.EndedAt, pgTime(a.EndedAt))
		c.attempts.NextAt = append(c.attempts.NextAt, pgTime(a.NextAt))
		c.attempts.HttpStatuses = append(c.attempts.HttpStatuses, int16(a.HTTPStatus))
		c.attempts.Errors = append(c.attempts.Errors, nullable(a.Error))
	}
}

// localItem is an item's id without its run, which has a column of its own.
func localItem(id stepwell.ItemID) string {
	_, local, _ := strings.Cut(string(id), ".")
	return local
}

// globalItem is the reverse of localItem.
func globalItem(run stepwell.RunID, local string) stepwell.ItemID {
	return stepwell.ItemID(run.String() + "." + local)
}

func (c *changes) open(run pgtype.UUID, order int, o stepwell.Opening) {
	c.opens.RunIds = append(c.opens.RunIds, run)
	c.opens.StepIds = append(c.opens.StepIds, string(o.Step.ID))
	c.opens.Names = append(c.opens.Names, o.Step.Name)
	c.opens.Kinds = append(c.opens.Kinds, int16(o.Step.Kind))
	c.opens.OpenedAt = append(c.opens.OpenedAt, pgTime(o.Step.OpenedAt))
	c.opens.OpenedOrders = append(c.opens.OpenedOrders, int16(order))
	c.opens.StartedAt = append(c.opens.StartedAt, pgTime(o.Step.StartedAt))
	c.opens.DueAt = append(c.opens.DueAt, pgTime(o.Step.DueAt))
}

func (c *changes) record(run pgtype.UUID, order int, s stepwell.Step) {
	c.records.RunIds = append(c.records.RunIds, run)
	c.records.StepIds = append(c.records.StepIds, string(s.ID))
	c.records.Names = append(c.records.Names, s.Name)
	c.records.Kinds = append(c.records.Kinds, int16(s.Kind))
	c.records.Statuses = append(c.records.Statuses, int16(s.Status))
	c.records.ResultKinds = append(c.records.ResultKinds, int16(s.Result.Kind))
	c.records.Results = append(c.records.Results, nullable(s.Result.JSON))
	c.records.OpenedAt = append(c.records.OpenedAt, pgTime(s.OpenedAt))
	c.records.OpenedOrders = append(c.records.OpenedOrders, int16(order))
	c.records.StartedAt = append(c.records.StartedAt, pgTime(s.StartedAt))
	c.records.EndedAt = append(c.records.EndedAt, pgTime(s.EndedAt))
	c.records.DueAt = append(c.records.DueAt, pgTime(s.DueAt))
	c.records.EventIds = append(c.records.EventIds, nullableULID(s.Event.ULID))
	c.records.RecordedOrders = append(c.records.RecordedOrders, int32(s.Order))
}

// dropWait ends the wait of an item that is no longer open, if it is one of a wait.
func (c *changes) dropWait(run pgtype.UUID, id stepwell.ItemID) {
	if item, err := id.Item(); err == nil && item.Kind == stepwell.ItemTimeout {
		c.waitRuns, c.waitSteps = append(c.waitRuns, run), append(c.waitSteps, string(item.Step))
	}
}

// write queues the rows. Steps that were opened and recorded in the same batch are opened first.
func (c *changes) write(ctx context.Context, p *pipeline) error {
	q := pgsql.New(p)
	if len(c.opens.RunIds) > 0 {
		if err := q.OpenSteps(ctx, c.opens); err != nil {
			return err
		}
	}
	if len(c.records.RunIds) > 0 {
		if err := q.RecordSteps(ctx, c.records); err != nil {
			return err
		}
	}
	if len(c.attempts.RunIds) > 0 {
		if err := q.InsertAttempts(ctx, c.attempts); err != nil {
			return err
		}
	}
	if len(c.events.Ids) > 0 {
		insertEvents(p, new([]pgsql.InsertEventsRow), c.events)
	}
	if err := insertThrottleStarts(ctx, q, c.begun); err != nil {
		return err
	}
	if err := c.waits.write(ctx, p); err != nil {
		return err
	}
	if len(c.waitRuns) > 0 {
		return q.DeleteWaits(ctx, c.waitRuns, c.waitSteps)
	}
	return nil
}

// updateHeads queues what changed in live runs.
func updateHeads(ctx context.Context, q *pgsql.Queries, runs []stepwell.Run) error {
	if len(runs) == 0 {
		return nil
	}
	var u pgsql.UpdateHeadsParams
	for _, run := range runs {
		open, err := encodeOpen(run.Progress.Open)
		if err != nil {
			return err
		}
		u.RunIds = append(u.RunIds, pgULID(run.ID.ULID))
		u.StartedAt = append(u.StartedAt, pgTime(run.StartedAt))
		u.RequestVersions = append(u.RequestVersions, int32(run.Progress.RequestVersion))
		u.Open = append(u.Open, open)
		u.DiscoveryCounts = append(u.DiscoveryCounts, int32(run.Progress.DiscoveryCount))
		u.Rediscover = append(u.Rediscover, run.Progress.Rediscover)
		u.StepCounts = append(u.StepCounts, int32(run.Progress.StepCount))
		u.StateBytes = append(u.StateBytes, int64(run.Progress.StateBytes))
		u.DeferCounts = append(u.DeferCounts, int32(run.Progress.DeferCount))
		u.DeferBytes = append(u.DeferBytes, int32(run.Progress.DeferBytes))
		u.DueMinutes = append(u.DueMinutes, dueMinute(run.Progress.Open))
		u.ParkedMinutes = append(u.ParkedMinutes, parkedMinute(run.Progress.Open))
	}
	return q.UpdateHeads(ctx, u)
}

// endRuns queues the end of runs: status and output, and no head any more (I5), nor what they held beside it.
func endRuns(ctx context.Context, q *pgsql.Queries, heads []*head) error {
	if len(heads) == 0 {
		return nil
	}
	var e pgsql.EndRunsParams
	var timed []pgtype.UUID
	var places placeRows
	for _, head := range heads {
		run := head.run
		if head.timed {
			timed = append(timed, pgULID(run.ID.ULID))
		}
		if head.place != nil {
			places.add(startKey{run.Function, string(head.place)}, run.ID)
		}
		e.Ids = append(e.Ids, pgULID(run.ID.ULID))
		e.Statuses = append(e.Statuses, int16(run.Status))
		e.Outputs = append(e.Outputs, nullable(run.Output))
		e.StartedAt = append(e.StartedAt, pgTime(run.StartedAt))
		e.EndedAt = append(e.EndedAt, pgTime(run.EndedAt))
		e.RequestVersions = append(e.RequestVersions, int32(run.Progress.RequestVersion))
		e.DiscoveryCounts = append(e.DiscoveryCounts, int32(run.Progress.DiscoveryCount))
		e.StepCounts = append(e.StepCounts, int32(run.Progress.StepCount))
		e.StateBytes = append(e.StateBytes, int64(run.Progress.StateBytes))
	}
	e.First, e.Last = span(e.Ids)
	if err := q.EndRuns(ctx, e); err != nil {
		return err
	}
	if err := q.DeleteWaitsOfRuns(ctx, e.Ids); err != nil {
		return err
	}
	if len(timed) > 0 {
		if err := q.EndDeadlines(ctx, timed); err != nil {
			return err
		}
	}
	if len(places.runs) > 0 {
		if err := q.DeleteHolders(ctx, places.functions, places.hashes, places.runs); err != nil {
			return err
		}
	}
	return q.DeleteHeads(ctx, e.Ids)
}
