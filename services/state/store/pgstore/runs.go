package pgstore

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// insertRuns queues the rows of new runs, and of those that are recorded as skipped.
func (in *ingestion) insertRuns(ctx context.Context, p *pipeline) error {
	q := pgsql.New(p)
	var runs pgsql.InsertRunsParams
	var heads pgsql.InsertHeadsParams
	var linkEvents, linkRuns, timed []pgtype.UUID
	var deadlines []pgtype.Timestamptz
	for _, start := range in.starts {
		if start.leadsElsewhere() {
			linkEvents = append(linkEvents, pgULID(start.event.ULID))
			linkRuns = append(linkRuns, pgULID(start.result.ID.ULID))
		}
		if lost := start.lost(); lost != nil {
			if err := appendRun(&runs, &heads, lost.Missed()); err != nil {
				return err
			}
		}
		if start.result.Existed || start.put != nil {
			continue
		}
		run, skipped := start.Run, start.result.Skip != stepwell.SkipNone
		if skipped {
			run = run.Skipped(start.result.Skip)
			run.Existing = start.existing
		}
		if err := appendRun(&runs, &heads, run); err != nil {
			return err
		}
		if skipped {
			continue
		}
		heads.Timed = append(heads.Timed, !start.Deadline.IsZero())
		heads.Places = append(heads.Places, start.place())
		if !start.Deadline.IsZero() {
			timed, deadlines = append(timed, pgULID(start.Run.ID.ULID)), append(deadlines, pgTime(start.Deadline))
		}
		for _, w := range start.Waits {
			in.waits.add(w, start.Run.CreatedAt)
		}
	}
	if len(runs.Ids) > 0 {
		if err := q.InsertRuns(ctx, runs); err != nil {
			return err
		}
	}
	if len(heads.RunIds) > 0 {
		if err := q.InsertHeads(ctx, heads); err != nil {
			return err
		}
	}
	if len(timed) > 0 {
		if err := q.InsertDeadlines(ctx, timed, deadlines); err != nil {
			return err
		}
	}
	if err := in.waits.write(ctx, p); err != nil {
		return err
	}
	if len(linkRuns) > 0 {
		return q.InsertEventRuns(ctx, linkEvents, linkRuns)
	}
	return nil
}

func appendRun(runs *pgsql.InsertRunsParams, heads *pgsql.InsertHeadsParams, run stepwell.Run) error {
	limits, err := encodeList(run.Limits)
	if err != nil {
		return err
	}
	notes, err := encodeList(run.Notes)
	if err != nil {
		return err
	}
	open, err := encodeOpen(run.Progress.Open)
	if err != nil {
		return err
	}
	id, environment, function := pgULID(run.ID.ULID), pgUUID(run.Environment.UUID), pgUUID(run.Function.UUID)
	runs.Ids = append(runs.Ids, id)
	runs.EnvironmentIds = append(runs.EnvironmentIds, environment)
	runs.FunctionIds = append(runs.FunctionIds, function)
	runs.FunctionVersions = append(runs.FunctionVersions, int32(run.FunctionVersion))
	runs.EventIds = append(runs.EventIds, idArray(run.Events))
	runs.EventNames = append(runs.EventNames, run.EventName)
	runs.CreatedAt = append(runs.CreatedAt, pgTime(run.CreatedAt))
	runs.PriorityNanos = append(runs.PriorityNanos, int64(run.Priority))
	runs.Limits = append(runs.Limits, limits)
	runs.Notes = append(runs.Notes, notes)
	runs.Statuses = append(runs.Statuses, int16(run.Status))
	runs.Skips = append(runs.Skips, int16(run.Skip))
	runs.ExistingIds = append(runs.ExistingIds, nullableULID(run.Existing.ULID))
	if run.Status.Ended() {
		return nil
	}

	heads.RunIds = append(heads.RunIds, id)
	heads.EnvironmentIds = append(heads.EnvironmentIds, environment)
	heads.FunctionIds = append(heads.FunctionIds, function)
	heads.PriorityNanos = append(heads.PriorityNanos, int64(run.Priority))
	heads.Limits = append(heads.Limits, limits)
	heads.RequestVersions = append(heads.RequestVersions, int32(run.Progress.RequestVersion))
	heads.Open = append(heads.Open, open)
	heads.DiscoveryCounts = append(heads.DiscoveryCounts, int32(run.Progress.DiscoveryCount))
	heads.DueMinutes = append(heads.DueMinutes, dueMinute(run.Progress.Open))
	heads.ParkedMinutes = append(heads.ParkedMinutes, parkedMinute(run.Progress.Open))
	return nil
}

// idArray is ids as the text of an array.
func idArray(ids []stepwell.EventID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = uuid.UUID(id.ULID).String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}
