package runner_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/runner"
)

// observed replaces the rig's runner by one whose metrics and spans are kept.
func (r *rig) observed() *telemetrytest.Seen {
	r.t.Helper()
	telemeter, seen := telemetrytest.New(r.t)
	var err error
	r.service, err = runner.New(runner.DefaultConfig(), runner.Deps{
		State: r.between, Queue: r.Queue, Log: r.logger(), Telemetry: telemeter,
	})
	require.NoError(r.t, err)
	return seen
}

func TestMetricsOfRunsThatStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"), on("mail", "a", "b"))
		seen := r.observed()
		again := event("a")
		again.Key = "once"
		require.NoError(t, r.publish(event("a"), event("b"), event("nothing")))
		require.NoError(t, r.publish(again))
		require.NoError(t, r.publish(again))
		for series, want := range map[string]float64{
			`inngest_function_run_scheduled_total{fn="charge"}`: 2,
			`inngest_function_run_scheduled_total{fn="mail"}`:   3,
			`inngest_sdk_req_scheduled_total{fn="charge"}`:      2,
			`inngest_sdk_req_scheduled_total{fn="mail"}`:        3,
			"stepwell_route_seconds_count":                      3,
		} {
			require.InDelta(t, want, seen.Value(t, series), 0, series)
		}
	})
}

// TestOnlyTheKeeperTellsOfTheQueue, or the sum over all runners would be wrong.
func TestOnlyTheKeeperTellsOfTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		seen := r.observed()
		other := &rig{Store: r.Store, Queue: r.Queue, t: t, log: r.log, between: r.between}
		otherSeen := other.observed()
		require.NotContains(t, seen.Metrics(t), "inngest_queue_depth")
		stop := r.run()
		synctest.Wait()
		stopOther := other.run()
		synctest.Wait()
		require.NoError(t, r.publish(event("a"), event("a")))
		later := event("a")
		later.Time = time.Now().Add(5 * time.Minute)
		require.NoError(t, r.publish(later))
		<-time.After(7 * time.Second)
		require.Len(t, r.lease(), 2)
		require.NoError(t, r.publish(event("a")))
		<-time.After(2 * time.Second)
		for series, want := range map[string]float64{
			"inngest_queue_depth": 1, `stepwell_queue_items{state="ready"}`: 1, `stepwell_queue_items{state="delayed"}`: 1,
			`stepwell_queue_items{state="leased"}`: 2, `stepwell_queue_items{state="dead"}`: 0,
			`stepwell_oldest_due_seconds{shard="0"}`: 2,
		} {
			require.InDelta(t, want, seen.Value(t, series), 0.01, series)
		}
		require.NotContains(t, otherSeen.Metrics(t), "stepwell_queue_items")
		stop()
		<-time.After(time.Minute)
		require.NotContains(t, seen.Metrics(t), "stepwell_queue_items")
		require.Contains(t, otherSeen.Metrics(t), "stepwell_queue_items")
		stopOther()
	})
}

func TestMetricsOfDuties(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"), at("report", "* * * * *"))
		seen := r.observed()
		r.unrouted(event("a"), event("quiet"))
		stop := r.run()
		<-time.After(3*time.Minute + time.Second)
		for _, lease := range r.lease() {
			require.NoError(t, r.Remove(t.Context(), []stepwell.ItemID{lease.Item.ID}))
		}
		<-time.After(30 * time.Second)
		stop()
		for series, want := range map[string]float64{
			"stepwell_events_routed_late_total": 2, "stepwell_cron_fired_total": 3, "stepwell_cron_missed_total": 0,
			"stepwell_queue_rebuild_seconds_count": 1, `inngest_function_run_scheduled_total{fn="report"}`: 3,
		} {
			require.InDelta(t, want, seen.Value(t, series), 0, series)
		}
		require.GreaterOrEqual(t, seen.Value(t, `stepwell_items_put_back_total{why="overdue"}`), 4.0)
	})
}

// down is a state service that does not answer who looks for unrouted events.
type down struct{ runner.State }

func (down) UnroutedEvents(context.Context, int) ([]stepwell.Event, error) {
	return nil, stepwell.ErrUnavailable
}

func TestMetricsOfDutiesThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		seen := r.observed()
		r.between.State = down{r.Store}
		stop := r.run()
		<-time.After(3 * time.Second)
		stop()
		require.InDelta(t, 2, seen.Value(t, `stepwell_duties_failed_total{duty="route_events"}`), 0)
		require.Zero(t, seen.Value(t, `stepwell_duties_failed_total{duty="feed_the_queue"}`))
	})
}
