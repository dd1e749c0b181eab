package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// schedule is one of the fixture's function.
func (f *fixture) schedule(cron string, next time.Time) stepwell.Schedule {
	return stepwell.Schedule{Environment: f.app.Environment, Function: f.function.ID, Cron: cron, NextAt: next}
}

func (f *fixture) setSchedules(revision int64, schedules ...stepwell.Schedule) error {
	f.t.Helper()
	return f.SetSchedules(f.ctx, store.ScheduleSet{Environment: f.app.Environment, Revision: revision, Schedules: schedules})
}

// due are all schedules that are due until an instant, and what is out of date.
func (f *fixture) due(until time.Time) store.DueSchedules {
	f.t.Helper()
	due, err := f.DueSchedules(f.ctx, store.ScheduleQuery{Until: until, Limit: 10})
	require.NoError(f.t, err)
	return due
}

func (f *fixture) requireDue(want, got store.DueSchedules) {
	f.t.Helper()
	require.Empty(f.t, cmp.Diff(want, got, cmpopts.EquateEmpty()))
}

func (f *fixture) syncAgain(checksum string) {
	f.t.Helper()
	f.app.Checksum = checksum
	modified, err := f.SyncApp(f.ctx, f.app, []stepwell.Function{f.function})
	require.NoError(f.t, err)
	require.True(f.t, modified)
}

func testSchedulesFollowTheCatalog(t *testing.T, f *fixture) {
	next := epoch().Add(time.Minute)
	minutely, hourly := f.schedule("* * * * *", next), f.schedule("0 * * * *", next.Add(time.Minute))
	environments := []stepwell.EnvironmentID{f.app.Environment}
	f.requireDue(store.DueSchedules{Outdated: environments}, f.due(later()))
	require.NoError(t, f.setSchedules(1, minutely, hourly))
	want := []stepwell.Schedule{minutely, hourly}
	f.requireDue(store.DueSchedules{Schedules: want}, f.due(later()))

	f.syncAgain("2")
	require.ErrorIs(t, f.setSchedules(1), stepwell.ErrStale)
	f.requireDue(store.DueSchedules{Schedules: want, Outdated: environments}, f.due(later())) // nothing was changed

	moved, daily := minutely, f.schedule("0 0 * * *", next.Add(5*time.Minute))
	moved.NextAt = next.Add(-time.Second)
	require.NoError(t, f.setSchedules(2, moved, daily))
	// Those that are there keep their time, others go.
	f.requireDue(store.DueSchedules{Schedules: []stepwell.Schedule{minutely, daily}}, f.due(later()))

	elsewhere := minutely
	elsewhere.Environment.UUID[15]++
	require.NoError(t, f.SetSchedules(f.ctx, store.ScheduleSet{
		Environment: elsewhere.Environment, Schedules: []stepwell.Schedule{elsewhere},
	}))
	require.NoError(t, f.setSchedules(2))
	require.Equal(t, []stepwell.Schedule{elsewhere}, f.due(later()).Schedules, "I24")
}

func testScheduleMovesOnOnce(t *testing.T, f *fixture) {
	at := func(minute int) time.Time {
		return epoch().Truncate(time.Hour).Add(time.Duration(minute) * time.Minute)
	}
	minutely, hourly := f.schedule("* * * * *", at(1)), f.schedule("0 * * * *", at(2))
	require.NoError(t, f.setSchedules(1, minutely, hourly))
	advance := func(s stepwell.Schedule, next time.Time) {
		t.Helper()
		require.NoError(t, f.AdvanceSchedules(f.ctx, []store.ScheduleAdvance{{Schedule: s, Next: next}}))
	}
	advance(minutely, at(3))
	advance(minutely, at(2)) // somebody who was late
	minutely.NextAt = at(3)
	require.Equal(t, []stepwell.Schedule{hourly, minutely}, f.due(at(5)).Schedules)
	require.Equal(t, []stepwell.Schedule{hourly}, f.due(at(2)).Schedules, "until is due too")
	require.Empty(t, f.due(at(2).Add(-time.Second)).Schedules)

	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			moves := []store.ScheduleAdvance{{Schedule: hourly, Next: at(10 + i)}, {Schedule: minutely, Next: at(20 + i)}}
			for range 3 { // Postgres may find that two wait for each other
				if f.AdvanceSchedules(f.ctx, moves) == nil {
					return
				}
			}
		})
	}
	all.Wait()
	moved := f.due(at(60)).Schedules
	require.Len(t, moved, 2)
	require.True(t, moved[0].NextAt.Before(at(20)) && !moved[0].NextAt.Before(at(10)), "%s", moved[0].NextAt)

	gone := minutely
	gone.Cron = "1 * * * *"
	advance(gone, at(30))
	ended := moved[1]
	ended.NextAt = at(5)
	advance(ended, time.Time{})
	require.Equal(t, moved, f.due(at(60)).Schedules, "neither was there")
	advance(moved[1], time.Time{})
	require.Equal(t, moved[:1], f.due(at(60)).Schedules)
	require.NoError(t, f.AdvanceSchedules(f.ctx, nil))
}

func testDueSchedulesAreBounded(t *testing.T, f *fixture) {
	var all []stepwell.Schedule
	for i := range 7 {
		all = append(all, f.schedule(fmt.Sprintf("%d * * * *", i), epoch().Add(time.Duration(i)*time.Minute)))
	}
	require.NoError(t, f.setSchedules(1, all...))
	due, err := f.DueSchedules(f.ctx, store.ScheduleQuery{Until: all[5].NextAt, Limit: 4})
	require.NoError(t, err)
	f.requireDue(store.DueSchedules{Schedules: all[:4]}, due) // the earliest
	require.Equal(t, all[:6], f.due(all[5].NextAt).Schedules)
}
