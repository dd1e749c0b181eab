package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are what operators see of the connections to Postgres, and of the days that are kept.
type metrics struct {
	// poolWait is nil if nobody reads metrics.
	poolWait *telemetry.Durations
	days     days
}

// addMetrics adds those that must be there before connections are.
func (s *Store) addMetrics(t telemetry.Telemetry) error {
	meter := t.Meter()
	wait := meter.Durations("stepwell.db_pool_wait", "How long work waits for a connection to Postgres")
	if t.Meters != nil {
		s.metrics.poolWait = &wait
	}
	return meter.Err()
}

// days are for how many past days each family of tables has partitions.
type days struct {
	mu   sync.Mutex
	kept map[string]int
}

func (d *days) set(family string, kept int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[string]int{}
	}
	d.kept[family] = kept
}

func (d *days) of(family string) (kept int, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, known = d.kept[family]
	return kept, known
}

// addGauges adds those that are asked when somebody reads them.
func (s *Store) addGauges(meter *telemetry.Meter) error {
	pools := map[string]*pgxpool.Pool{"write": s.writes, "read": s.reads}
	labels := map[string]map[string]telemetry.Labels{}
	for pool := range pools {
		labels[pool] = map[string]telemetry.Labels{}
		for _, state := range []string{"used", "idle", "max"} {
			labels[pool][state] = telemetry.NewLabels(attribute.String("pool", pool), attribute.String("state", state))
		}
	}
	meter.Gauge("stepwell.db_connections", "{connection}",
		"Connections to Postgres: those that work, those that wait for work, and how many there may be",
		func(_ context.Context, observe telemetry.Observe) {
			for name, pool := range pools {
				stat := pool.Stat()
				observe(float64(stat.AcquiredConns()), labels[name]["used"])
				observe(float64(stat.IdleConns()), labels[name]["idle"])
				observe(float64(stat.MaxConns()), labels[name]["max"])
			}
		})
	families := map[string]telemetry.Labels{
		"runs": telemetry.Label("family", "runs"), "events": telemetry.Label("family", "events"),
	}
	meter.Gauge("stepwell.partition_days_kept", "{day}",
		"For how many past days there are partitions, as of the last pass of maintenance; what live runs need is kept longer",
		func(_ context.Context, observe telemetry.Observe) {
			for family, labels := range families {
				if kept, known := s.metrics.days.of(family); known {
					observe(float64(kept), labels)
				}
			}
		})
	return meter.Err()
}

// poolTracer measures how long work waits for a connection. pgx asks the tracer of queries for it, which it is not.
type poolTracer struct {
	wait   *telemetry.Durations
	labels telemetry.Labels
}

var (
	_ pgxpool.AcquireTracer = (*poolTracer)(nil)
	_ pgx.QueryTracer       = (*poolTracer)(nil)
)

// acquiring is where a context keeps when waiting began.
type acquiring struct{}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (p *poolTracer) TraceAcquireStart(
	ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData,
) context.Context {
	return context.WithValue(ctx, acquiring{}, time.Now())
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (p *poolTracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if began, ok := ctx.Value(acquiring{}).(time.Time); ok {
		p.wait.Record(ctx, time.Since(began), p.labels)
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (*poolTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*poolTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
