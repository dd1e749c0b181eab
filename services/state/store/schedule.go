package store

import (
	"context"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Scheduler keeps when cron triggers fire. It knows no expressions: whoever fires says when the next time is. Any number
// of processes may do so at once; the events by which they fire are the same (I18).
type Scheduler interface {
	// DueSchedules returns schedules that are due until an instant, and environments whose schedules are out of date.
	DueSchedules(ctx context.Context, query ScheduleQuery) (DueSchedules, error)
	// SetSchedules makes the environment's schedules exactly these: those that are there already keep their NextAt,
	// missing ones are added, others removed. Errors: stepwell.ErrStale if the catalog is newer than the revision, and
	// then nothing changes.
	SetSchedules(ctx context.Context, set ScheduleSet) error
	// AdvanceSchedules moves schedules on to their next instants. One whose NextAt is not the given one any more, or that
	// is gone, is passed over: somebody else was first.
	AdvanceSchedules(ctx context.Context, advances []ScheduleAdvance) error
}

// ScheduleQuery asks for a page of due schedules.
type ScheduleQuery struct {
	// Until selects those whose NextAt is not after it.
	Until time.Time
	// Limit is at most PageMax.
	Limit int
}

// DueSchedules is what is to be done about schedules.
type DueSchedules struct {
	// Schedules are those that are due earliest, in that order, at most as many as the limit.
	Schedules []stepwell.Schedule
	// Outdated are environments whose catalog changed since their schedules were set, at most as many as the limit.
	Outdated []stepwell.EnvironmentID
}

// ScheduleSet are all schedules of an environment.
type ScheduleSet struct {
	Environment stepwell.EnvironmentID
	// Revision is the revision of the catalog that asks for them.
	Revision  int64
	Schedules []stepwell.Schedule
}

// ScheduleAdvance says that all instants of a schedule before Next are done.
type ScheduleAdvance struct {
	// Schedule is as it was when that was decided.
	Schedule stepwell.Schedule
	// Next is zero if there is none: the schedule is removed.
	Next time.Time
}
