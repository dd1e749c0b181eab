package executor

import (
	"context"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are what operators see of an executor, beside those of runs (runtelemetry).
type metrics struct {
	runStart  telemetry.Durations
	stepGap   telemetry.Durations
	queueWait telemetry.Durations
	items     telemetry.Counter
	unreached telemetry.Counter
	phases    phases
}

// What becomes of an item that was worked on.
type itemResult int

const (
	// itemSettled: what was decided about it is committed.
	itemSettled itemResult = iota
	// itemSettledBefore: somebody else was faster, or the run has ended.
	itemSettledBefore
	// itemLost: its lease was lost while it was worked on.
	itemLost
	// itemWaits: its app does not answer, so it is given back until that may be tried again.
	itemWaits
	// itemHandedBack: the store or the app could not be asked to the end.
	itemHandedBack
	// itemFailed: it cannot be worked on, and its lease expires.
	itemFailed
)

// results are the labels of what becomes of items.
func results() map[itemResult]telemetry.Labels {
	return map[itemResult]telemetry.Labels{
		itemSettled:       telemetry.Label("result", "settled"),
		itemSettledBefore: telemetry.Label("result", "settled_before"),
		itemLost:          telemetry.Label("result", "lease_lost"),
		itemWaits:         telemetry.Label("result", "waits_for_app"),
		itemHandedBack:    telemetry.Label("result", "handed_back"),
		itemFailed:        telemetry.Label("result", "failed"),
	}
}

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	return metrics{
		runStart: meter.Durations("stepwell.event_to_run_start",
			"How long it takes from when an event was received, or is to have an effect, to the first call of a run that it starts"),
		stepGap: meter.Durations("stepwell.step_gap",
			"How long it takes from when a further call of a run is due, most often since the one before was settled, to when it begins"),
		queueWait: meter.Durations("stepwell.queue_wait", "How long items that are due wait in the queue for an executor"),
		items:     meter.Counter("stepwell.items", "{item}", "Items that were worked on, by what became of them"),
		unreached: meter.Counter("stepwell.calls_unreached", "{call}", "Calls that reached no app, and so did not count as attempts"),
		phases:    newPhases(meter),
	}, meter.Err()
}

// addGauges adds those that are asked when somebody reads them.
func (s *Service) addGauges(meter *telemetry.Meter) error {
	meter.Gauge("stepwell.workers", "{worker}", "How many items can be worked on at a time (executor.workers)",
		func(_ context.Context, observe telemetry.Observe) {
			observe(float64(s.config.Workers), telemetry.Labels{})
		})
	meter.Gauge("stepwell.workers_busy", "{worker}", "How many items are worked on; as many leases are held",
		func(_ context.Context, observe telemetry.Observe) {
			observe(float64(s.busy.Load()), telemetry.Labels{})
		})
	meter.Gauge("stepwell.circuits_open", "{app}",
		"How many addresses of apps do not answer, as this executor found out, so that what is due for them waits",
		func(_ context.Context, observe telemetry.Observe) {
			observe(float64(s.circuits.open()), telemetry.Labels{})
		})
	return meter.Err()
}

// began counts a call that begins.
func (s *Service) began(ctx context.Context, state stepwell.RunState, item stepwell.Item, now time.Time) {
	s.runs.Know(state.Function)
	s.runs.Calling(ctx, state.Function)
	if item.Kind == stepwell.ItemDiscovery && item.Number == 1 {
		if item.Attempt == 0 && !state.Function.Endpoint() { // a run of an endpoint was begun by the app itself
			s.runs.Started(ctx, state.Function)
			s.metrics.runStart.Record(ctx, now.Sub(wantedAt(state.Events)), s.runs.LabelsOf(state.Function))
		}
		return
	}
	s.metrics.stepGap.Record(ctx, now.Sub(item.DueAt), telemetry.Labels{})
}

// wantedAt is when the first of the events was received, or is to have an effect if that is later.
func wantedAt(events []stepwell.Event) time.Time {
	if len(events) == 0 {
		return time.Time{}
	}
	if events[0].Time.After(events[0].ReceivedAt) {
		return events[0].Time
	}
	return events[0].ReceivedAt
}
