package runner

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are what operators see of a runner, beside those of runs (runtelemetry).
type metrics struct {
	route       telemetry.Durations
	waitsMatch  telemetry.Durations
	rebuild     telemetry.Durations
	putBack     telemetry.Counter
	routedLate  telemetry.Counter
	cronFired   telemetry.Counter
	cronMissed  telemetry.Counter
	dutyFailed  telemetry.Counter
	refused     telemetry.Counter
	fed, missed telemetry.Labels
	rebuilt     telemetry.Labels
}

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	return metrics{
		route: meter.Durations("stepwell.route", "How long it takes to decide what the events of a request start, and to have that stored"),
		waitsMatch: meter.Durations("stepwell.waits_match",
			"How long it takes to find the runs that wait for an event, and to end their waits"),
		rebuild: meter.Durations("stepwell.queue_rebuild", "How long it takes to fill shards of the queue that were lost"),
		putBack: meter.Counter("stepwell.items_put_back", "{item}",
			"Items of the store that were put into the queue again, or for the first time, by why"),
		routedLate: meter.Counter("stepwell.events_routed_late", "{event}",
			"Events that were stored unrouted, and routed later: the server's own about runs, where functions listen to them, "+
				"and those published while no runner answered"),
		cronFired: meter.Counter("stepwell.cron_fired", "{instant}", "Instants at which cron triggers fired"),
		cronMissed: meter.Counter("stepwell.cron_missed", "{instant}",
			"Instants of cron triggers that were missed for longer than runner.cron_catch_up, and did not fire"),
		refused: meter.Counter("stepwell.events_refused", "{event}",
			"Events that were refused, with all others of their request, since too much of a function waited that one of them starts"),
		dutyFailed: meter.Counter("stepwell.duties_failed", "{pass}", "Passes of a runner's duties that failed and are made again"),
		fed:        telemetry.Label("why", "due_soon"), missed: telemetry.Label("why", "overdue"),
		rebuilt: telemetry.Label("why", "rebuilt"),
	}, meter.Err()
}

// gaugeTimeout bounds looking into the queue for somebody who reads metrics.
const gaugeTimeout = 2 * time.Second

// countedFor is how long what was counted is used for all that is told of it.
const countedFor = time.Second

// queueGauges count the queue when somebody reads metrics. Only the runner that keeps the queue filled tells, so that the
// sum over all runners is right.
type queueGauges struct {
	service *Service
	// functions bounds the names of functions.
	functions *telemetry.Bounded[string]

	mu      sync.Mutex
	at      time.Time
	stats   queue.Stats
	counted bool
}

func newQueueGauges(s *Service) *queueGauges {
	names := func(slug string) string { return slug }
	return &queueGauges{service: s, functions: telemetry.NewBounded(runtelemetry.FunctionsMax, names)}
}

// count is the queue; ok is false if another runner tells, or the queue does not answer.
func (g *queueGauges) count(ctx context.Context) (_ queue.Stats, ok bool) {
	if !g.service.keeps.Load() {
		return queue.Stats{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Sub(g.at) < countedFor {
		return g.stats, g.counted
	}
	ctx, cancel := context.WithTimeout(ctx, gaugeTimeout)
	defer cancel()
	stats, err := g.service.deps.Queue.Stats(ctx, now)
	g.at, g.stats, g.counted = now, stats, err == nil // the log tells why the queue does not answer
	return g.stats, g.counted
}

// addTo adds the gauges.
func (g *queueGauges) addTo(meter *telemetry.Meter) error {
	ready, delayed := telemetry.Label("state", "ready"), telemetry.Label("state", "delayed")
	held := telemetry.Label("state", "held")
	leased, dead := telemetry.Label("state", "leased"), telemetry.Label("state", "dead")
	meter.Gauge("stepwell.queue_items", "{item}",
		"Items in the queue: ready are due and wait for an executor, held are due and wait for a limit, delayed are due soon, "+
			"leased are worked on, dead are set aside",
		func(ctx context.Context, observe telemetry.Observe) {
			if total, ok := g.count(ctx); ok {
				observe(float64(total.Ready-total.Held), ready)
				observe(float64(total.Held), held)
				observe(float64(total.Delayed), delayed)
				observe(float64(total.Leased), leased)
				observe(float64(total.Dead), dead)
			}
		})
	meter.Gauge("inngest.queue_depth", "{item}", "Items that are due and wait for an executor or a limit",
		func(ctx context.Context, observe telemetry.Observe) {
			if total, ok := g.count(ctx); ok {
				observe(float64(total.Ready), telemetry.Labels{})
			}
		})
	meter.Gauge("stepwell.function_queue_items", "{item}",
		"Items of a function that are due and wait for an executor or a limit, counted once a second", g.tellDepths)
	meter.Gauge("stepwell.oldest_due", "s", "For how long the item that is due for the longest has waited for an executor",
		func(ctx context.Context, observe telemetry.Observe) {
			total, _ := g.count(ctx)
			for shard, stats := range total.Shards {
				waited := time.Duration(0)
				if !stats.OldestDueAt.IsZero() {
					waited = max(time.Since(stats.OldestDueAt), 0)
				}
				observe(waited.Seconds(), telemetry.Label("shard", strconv.Itoa(shard)))
			}
		})
	return meter.Err()
}
