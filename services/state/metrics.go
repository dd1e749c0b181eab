package state

import (
	"context"
	"errors"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// metrics are what operators see of the truth: what was committed and what was refused.
type metrics struct {
	transitions telemetry.Counter
	fenced      telemetry.Counter
	events      telemetry.Counter
	waits       telemetry.Counter
	maintenance telemetry.Counter

	committed, conflict, gone, again, refused telemetry.Labels
	routed, unrouted                          telemetry.Labels
	waitKinds                                 map[stepwell.WaitKind]telemetry.Labels
	maintained, unmaintained                  telemetry.Labels
}

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	result := func(name string) telemetry.Labels { return telemetry.Label("result", name) }
	return metrics{
		transitions: meter.Counter("stepwell.transitions", "{transition}", "Changes of runs that were to be committed, by what came of it"),
		fenced: meter.Counter("stepwell.fenced_commit_rejected", "{transition}",
			"Changes that were refused since another executor, or another attempt, was first: each is a result that would have been recorded twice"),
		events: meter.Counter("stepwell.events_stored", "{event}", "Events that were committed, routed or to be routed later"),
		waits:  meter.Counter("stepwell.waits_registered", "{wait}", "Waits that runs began, by what for"),
		maintenance: meter.Counter("stepwell.maintenance", "{pass}",
			"Passes of the store's maintenance, which makes and drops partitions, by what came of it"),
		committed: result("committed"), conflict: result("conflict"), gone: result("not_found"), again: result("decide_again"),
		refused: result("refused"),
		routed:  telemetry.Label("routed", "true"), unrouted: telemetry.Label("routed", "false"),
		waitKinds: map[stepwell.WaitKind]telemetry.Labels{
			stepwell.WaitEvent: telemetry.Label("kind", "event"), stepwell.WaitSignal: telemetry.Label("kind", "signal"),
			stepwell.WaitCancel: telemetry.Label("kind", "cancel"),
		},
		maintained: result("done"), unmaintained: result("failed"),
	}, meter.Err()
}

// count tells what came of a transition.
func (m *metrics) count(ctx context.Context, t stepwell.Transition, err error) {
	switch {
	case err == nil:
		m.transitions.Add(ctx, 1, m.committed)
		for _, opening := range t.Opens {
			if opening.Wait != nil {
				m.waits.Add(ctx, 1, m.waitKinds[opening.Wait.Kind])
			}
		}
	case errors.Is(err, stepwell.ErrConflict):
		m.transitions.Add(ctx, 1, m.conflict)
		if t.Generation > 0 { // else it is a match that lost to a time-out, as it may
			m.fenced.Add(ctx, 1, telemetry.Labels{})
		}
	case errors.Is(err, stepwell.ErrNotFound):
		m.transitions.Add(ctx, 1, m.gone)
	case errors.Is(err, stepwell.ErrStale), errors.Is(err, stepwell.ErrTaken):
		m.transitions.Add(ctx, 1, m.again)
	default:
		m.transitions.Add(ctx, 1, m.refused)
	}
}

// countIngested tells what was stored of a request.
func (m *metrics) countIngested(ctx context.Context, request store.Ingest, ingested store.Ingested) {
	if ingested.Err != nil {
		return
	}
	labels := m.routed
	if request.Unrouted {
		labels = m.unrouted
	}
	m.events.Add(ctx, len(request.Events), labels)
	for i, event := range request.Events {
		for j, start := range event.Starts {
			if i < len(ingested.Runs) && j < len(ingested.Runs[i]) && ingested.Runs[i][j].Started() && len(start.Waits) > 0 {
				m.waits.Add(ctx, len(start.Waits), m.waitKinds[stepwell.WaitCancel])
			}
		}
	}
}
