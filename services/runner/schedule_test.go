package runner_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
)

// at is a function of the shop that fires by these cron expressions.
func at(slug string, crons ...string) stepwell.Function {
	function := on(slug)
	for _, cron := range crons {
		function.Triggers = append(function.Triggers, stepwell.Trigger{Cron: cron})
	}
	return function
}

// runsOf are the runs of a function, oldest first.
func (r *rig) runsOf(slug string) []stepwell.Run {
	r.t.Helper()
	synctest.Wait()
	runs, err := r.Runs(r.t.Context(), store.RunQuery{
		Environment: stepwell.DefaultEnvironment(), Function: on(slug).ID, Limit: store.PageMax,
	})
	require.NoError(r.t, err)
	slices.Reverse(runs)
	return runs
}

// slots are the public ids of the events that started runs of a function, oldest first, as times of day.
func (r *rig) slots(slug string) []string {
	r.t.Helper()
	slots := []string{}
	for _, run := range r.runsOf(slug) {
		e, err := r.Event(r.t.Context(), run.Environment, run.Events[0])
		require.NoError(r.t, err)
		slot, err := time.Parse(time.RFC3339, e.PublicID())
		require.NoError(r.t, err)
		slots = append(slots, slot.Format("15:04"))
	}
	return slots
}

// another is a runner beside the rig's, on the same store, that does nothing often but to fire.
func (r *rig) another(deps runner.Deps, change ...func(*runner.Config)) *rig {
	r.t.Helper()
	config := runner.DefaultConfig()
	config.FeedEvery, config.RouteEvery = stepwell.Horizon-time.Minute, time.Hour
	config.ReconcileEvery, config.RebuildEvery = time.Hour, time.Hour
	for _, c := range change {
		c(&config)
	}
	deps.Log = slog.New(slog.DiscardHandler)
	service, err := runner.New(config, deps)
	require.NoError(r.t, err)
	return &rig{Store: r.Store, Queue: r.Queue, t: r.t, service: service}
}

// firing lets a test stand between the runner and the schedules.
type firing struct {
	runner.State
	advance  func(ctx context.Context, advances []store.ScheduleAdvance) error
	advances atomic.Int64
	// slow is how long an answer about due schedules is under way.
	slow time.Duration
}

func (f *firing) DueSchedules(ctx context.Context, query store.ScheduleQuery) (store.DueSchedules, error) {
	due, err := f.State.DueSchedules(ctx, query)
	<-time.After(f.slow)
	return due, err
}

func (f *firing) AdvanceSchedules(ctx context.Context, advances []store.ScheduleAdvance) error {
	f.advances.Add(1)
	if f.advance != nil {
		return f.advance(ctx, advances)
	}
	return f.State.AdvanceSchedules(ctx, advances)
}

func TestI18_FiresAtEachInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "*/20 * * * *"), at("other", "TZ=Asia/Kathmandu 0 6 * * *"), on("charge", "a"))
		defer r.run()()
		begin := time.Now()
		<-time.After(time.Hour - time.Nanosecond)
		require.Equal(t, []string{"00:20", "00:40"}, r.slots("report"), "not early")
		<-time.After(time.Nanosecond)
		require.Equal(t, []string{"00:20", "00:40", "01:00"}, r.slots("report"), "nor late")
		for i, run := range r.runsOf("report") {
			require.Equal(t, begin.Add(time.Duration(i+1)*20*time.Minute), run.CreatedAt)
			require.Equal(t, stepwell.TimerEventName, run.EventName)
		}
		require.Equal(t, []string{"00:15"}, r.slots("other"), "a quarter past midnight is six in Kathmandu")
		require.Empty(t, r.runsOf("charge"))
	})
}

func TestI18_TwoExpressionsFireAtTheSameInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "0 * * * *", "*/30 * * * *"))
		defer r.run()()
		<-time.After(time.Hour + time.Minute)
		require.Equal(t, []string{"00:30", "01:00", "01:00"}, r.slots("report"))
	})
}

// TestI18_RunnersThatFireTogetherStartOneRun: the queue cannot keep one of them from it.
func TestI18_RunnersThatFireTogetherStartOneRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *"))
		// Both know that it is due before one of them has fired.
		states := []*firing{{State: r.Store, slow: time.Millisecond}, {State: r.Store, slow: time.Millisecond}}
		for _, state := range states {
			between := &broken{Queue: r.Queue}
			between.down.Store(true)
			defer r.another(runner.Deps{State: state, Queue: between}).run()()
		}
		<-time.After(5*time.Minute + time.Second)
		require.Equal(t, []string{"00:01", "00:02", "00:03", "00:04", "00:05"}, r.slots("report"))
		require.Equal(t, []int64{5, 5}, []int64{states[0].advances.Load(), states[1].advances.Load()}, "both fired")
	})
}

func TestI18_OneRunnerFiresForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *"))
		first, second := &firing{State: r.Store}, &firing{State: r.Store}
		stop := r.another(runner.Deps{State: first, Queue: r.Queue}).run()
		synctest.Wait()
		defer r.another(runner.Deps{State: second, Queue: r.Queue}).run()()
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, []int64{2, 0}, []int64{first.advances.Load(), second.advances.Load()})
		stop()
		<-time.After(2 * time.Minute)
		require.Equal(t, []string{"00:01", "00:02", "00:03", "00:04"}, r.slots("report"), "the other one goes on at once")
	})
}

// TestI18_CrashBetweenFiringAndMovingOn: what was fired is fired again, which starts nothing.
func TestI18_CrashBetweenFiringAndMovingOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *"))
		state := &firing{State: r.Store}
		state.advance = func(ctx context.Context, advances []store.ScheduleAdvance) error {
			if state.advances.Load() <= 30 {
				return stepwell.ErrUnavailable
			}
			return r.AdvanceSchedules(ctx, advances)
		}
		defer r.another(runner.Deps{State: state, Queue: r.Queue}).run()()
		<-time.After(3 * time.Minute)
		require.Equal(t, []string{"00:01", "00:02", "00:03"}, r.slots("report"))
		require.Greater(t, state.advances.Load(), int64(30))
	})
}

// TestI18_InstantThatCannotBeStoredIsFiredLater: no time is lost before it is.
func TestI18_InstantThatCannotBeStoredIsFiredLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *"))
		away := atomic.Bool{}
		away.Store(true)
		r.between.ingest = func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
			if away.Load() {
				return nil, stepwell.ErrUnavailable
			}
			return r.Ingest(ctx, requests)
		}
		defer r.run()()
		<-time.After(3*time.Minute + time.Second)
		require.Empty(t, r.slots("report"))
		away.Store(false)
		<-time.After(time.Second)
		require.Equal(t, []string{"00:01", "00:02", "00:03"}, r.slots("report"))
	})
}

// TestI18_TimerEventIsRoutedByItself: whoever routes it knows what it starts.
func TestI18_TimerEventIsRoutedByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *", "*/2 * * * *"), at("other", "* * * * *"), on("listener", stepwell.TimerEventName))
		function := at("report", "* * * * *", "*/2 * * * *")
		<-time.After(2 * time.Minute)
		e := engine.Timer(function, function.Triggers[1], time.Now(), time.Now())
		r.unrouted(e)
		require.NoError(t, r.publish(e))
		require.ElementsMatch(t, []string{"report", "listener"}, r.started(e))
		require.NoError(t, r.publish(e))
		require.Len(t, r.runsOf("report"), 1)

		forged := event(stepwell.TimerEventName, string(e.Data))
		forged.Key = e.Key
		require.Equal(t, []string{"listener"}, r.starts(forged), "its id tells, and nothing else")
		renamed := e
		renamed.ID, renamed.Name = stepwell.NewTimerEventID(function.ID, "* * * * *", time.Now()), "a"
		require.Empty(t, r.starts(renamed))
	})
}

func TestI18_MissedInstantsAreCaughtUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		catchUp, away time.Duration
		want          []string
		log           string
	}{
		"all": {time.Hour, 41 * time.Minute, []string{"00:10", "00:20", "00:30", "00:40"}, ""},
		"those of the last hour": {
			time.Hour, 150 * time.Minute, []string{"01:30", "01:40", "01:50", "02:00", "02:10", "02:20", "02:30"}, "skipped_count=8",
		},
		"none":                {0, 41 * time.Minute, []string{}, "skipped_count=4"},
		"one that is not old": {0, 40*time.Minute + 9*time.Second, []string{"00:40"}, "skipped_count=3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("report", "*/10 * * * *"))
				config := runner.DefaultConfig()
				config.CronCatchUp = test.catchUp
				var err error
				r.service, err = runner.New(config, runner.Deps{State: r.between, Queue: r.Queue, Log: r.logger()})
				require.NoError(t, err)
				<-time.After(test.away)
				stop := r.run()
				require.Equal(t, test.want, r.slots("report"))
				stop()
				skips := strings.Count(r.log.String(), "is not caught up")
				require.Equal(t, test.log != "", skips == 1, "%d", skips)
				require.Contains(t, r.log.String(), test.log)
			})
		})
	}
}

// TestI18_ManyMissedInstants: more than fit into one pass, of several functions.
func TestI18_ManyMissedInstants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("a", "* * * * *"), at("b", "* * * * *", "*/2 * * * *"))
		<-time.After(5 * time.Hour)
		defer r.another(runner.Deps{State: r.between, Queue: r.Queue}, func(c *runner.Config) { c.CronCatchUp = 5 * time.Hour }).run()()
		require.Len(t, r.runsOf("a"), 300)
		require.Len(t, r.runsOf("b"), 450)
	})
}

func TestI18_ArchivedFunctionDoesNotFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "* * * * *"), at("other", "*/2 * * * *"))
		defer r.run()()
		<-time.After(2*time.Minute + time.Second)
		r.sync(at("other", "*/2 * * * *"))
		<-time.After(2 * time.Minute)
		require.Equal(t, []string{"00:01", "00:02"}, r.slots("report"))
		require.Equal(t, []string{"00:02", "00:04"}, r.slots("other"), "others go on")
		due, err := r.DueSchedules(t.Context(), store.ScheduleQuery{Until: time.Now().Add(time.Hour), Limit: 10})
		require.NoError(t, err)
		require.Len(t, due.Schedules, 1)
		require.Empty(t, due.Outdated)

		<-time.After(time.Minute)
		r.sync(at("report", "* * * * *"))
		<-time.After(time.Minute)
		require.Equal(t, []string{"00:01", "00:02", "00:06"}, r.slots("report"), "it is back, and missed nothing meanwhile")
	})
}

func TestI18_ChangedExpressionFires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "*/10 * * * *"))
		defer r.run()()
		<-time.After(15 * time.Minute)
		r.sync(at("report", "7,17 * * * *", "*/15 * * * *"))
		<-time.After(20 * time.Minute)
		require.Equal(t, []string{"00:10", "00:17", "00:30"}, r.slots("report"))
	})
}

// TestI18_ClockThatStepsBack: what is left of it is a schedule that is further than the clock. Nothing is fired again,
// and nothing waits for longer than the clock.
func TestI18_ClockThatStepsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("report", "*/20 * * * *"), at("other", "*/20 * * * *"))
		ahead := time.Now().Add(time.Hour)
		require.NoError(t, r.SetSchedules(t.Context(), store.ScheduleSet{
			Environment: stepwell.DefaultEnvironment(), Revision: 1, Schedules: []stepwell.Schedule{{
				Environment: stepwell.DefaultEnvironment(), Function: on("report").ID, Cron: "*/20 * * * *", NextAt: ahead,
			}, {
				Environment: stepwell.DefaultEnvironment(), Function: on("other").ID, Cron: "*/20 * * * *", NextAt: ahead.Add(-time.Hour),
			}},
		}))
		defer r.run()()
		<-time.After(time.Hour - time.Second)
		require.Empty(t, r.slots("report"))
		require.Equal(t, []string{"00:00", "00:20", "00:40"}, r.slots("other"))
		<-time.After(21 * time.Minute)
		require.Equal(t, []string{"01:00", "01:20"}, r.slots("report"))
	})
}

func TestI18_JitterDelaysTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		function := at("report", "* * * * *")
		function.Triggers[0].Jitter = 5 * time.Minute
		r := newRig(t, function)
		defer r.run()()
		<-time.After(time.Minute)
		runs := r.runsOf("report")
		require.Len(t, runs, 1, "it is known from its instant on")
		e, err := r.Event(t.Context(), runs[0].Environment, runs[0].Events[0])
		require.NoError(t, err)
		require.Greater(t, time.Until(e.Time), 500*time.Millisecond)
		require.Equal(t, e.Time.UTC(), runs[0].Progress.Open[0].DueAt.UTC())
		require.Empty(t, r.lease())
		<-time.After(time.Until(e.Time))
		require.Equal(t, runs[0].ID, r.lease()[0].Item.Run)
	})
}

// TestI18_ClocksAreChanged: days with an hour less and an hour more. Fake time begins in 2000.
func TestI18_ClocksAreChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		berlin, early, late := "TZ=Europe/Berlin 30 2 * * *", "TZ=America/New_York 30 1 * * *", "TZ=America/New_York 30 2 * * *"
		r := newRig(t, at("report", berlin, early, late))
		for _, days := range []string{"2000-03-25", "2000-04-01", "2000-10-28"} { // from the day before a change on
			from, err := time.Parse(time.DateOnly, days)
			require.NoError(t, err)
			<-time.After(time.Until(from))
			stop := r.another(runner.Deps{State: r.Store, Queue: r.Queue}, func(c *runner.Config) { c.CronEvery = time.Hour }).run()
			<-time.After(72 * time.Hour)
			stop()
		}
		got := map[string][]string{}
		for _, run := range r.runsOf("report") {
			e, err := r.Event(t.Context(), run.Environment, run.Events[0])
			require.NoError(t, err)
			require.Equal(t, e.Time.UTC(), run.CreatedAt.UTC(), "on time")
			for _, cron := range []string{berlin, early, late} {
				if strings.Contains(string(e.Data), cron) {
					got[cron] = append(got[cron], e.Time.UTC().Format("01-02 15:04"))
				}
			}
		}
		require.Equal(t, map[string][]string{
			berlin: {
				"03-25 01:30", "03-27 00:30", // not on the 26th
				"04-01 00:30", "04-02 00:30", "04-03 00:30",
				"10-28 00:30", "10-29 00:30", "10-29 01:30", "10-30 01:30", // twice on the 29th
			},
			early: {
				"03-25 06:30", "03-26 06:30", "03-27 06:30", "04-01 06:30", "04-02 06:30", "04-03 05:30",
				"10-28 05:30", "10-29 05:30", "10-29 06:30", "10-30 06:30", // twice on the 29th
			},
			late: {
				"03-25 07:30", "03-26 07:30", "03-27 07:30",
				"04-01 07:30", "04-03 06:30", // not on the 2nd
				"10-28 06:30", "10-29 07:30", "10-30 07:30",
			},
		}, got)
	})
}
