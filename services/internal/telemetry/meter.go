package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Meter makes the instruments of a package. What goes wrong is told by Err, once for all of them. Instruments of the same
// name are one.
type Meter struct {
	meter    metric.Meter
	problems []error
}

// Meter returns a meter; without a provider, one whose instruments do nothing.
func (t Telemetry) Meter() *Meter {
	if t.Meters == nil {
		return &Meter{meter: noop.Meter{}}
	}
	return &Meter{meter: t.Meters.Meter(scope)}
}

// Err is what was wrong with the instruments: mistakes in the program.
func (m *Meter) Err() error { return errors.Join(m.problems...) }

func (m *Meter) check(err error) {
	if err != nil {
		m.problems = append(m.problems, err)
	}
}

// Counter makes a counter of whole things; the unit is as in UCUM: By for bytes, {item} for items.
func (m *Meter) Counter(name, unit, description string) Counter {
	counter, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.check(err)
	return Counter{counter}
}

// Durations makes a histogram of durations, in seconds.
func (m *Meter) Durations(name, description string) Durations {
	histogram, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(durationBuckets()...))
	m.check(err)
	return Durations{histogram}
}

// Sizes makes a histogram of how many things there are in batches.
func (m *Meter) Sizes(name, unit, description string) Sizes {
	histogram, err := m.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(sizeBuckets()...))
	m.check(err)
	return Sizes{histogram}
}

// Observe reports the values of a gauge.
type Observe func(value float64, labels Labels)

// Gauge makes a gauge that is asked for its values when somebody reads it. The context has a deadline.
func (m *Meter) Gauge(name, unit, description string, values func(ctx context.Context, observe Observe)) {
	_, err := m.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description),
		metric.WithFloat64Callback(func(ctx context.Context, observer metric.Float64Observer) error {
			values(ctx, func(value float64, labels Labels) { observer.Observe(value, labels.observe...) })
			return nil
		}))
	m.check(err)
}

// durationBuckets are from half a millisecond to some minutes, closest where our budgets are.
func durationBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
}

func sizeBuckets() []float64 { return []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024} }

// Labels are the attributes of measurements. They are made once and used often: that costs no allocation.
type Labels struct {
	add     []metric.AddOption
	record  []metric.RecordOption
	observe []metric.ObserveOption
}

// NewLabels returns the attributes as labels.
func NewLabels(attributes ...attribute.KeyValue) Labels {
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	return Labels{[]metric.AddOption{set}, []metric.RecordOption{set}, []metric.ObserveOption{set}}
}

// Label is a single attribute as labels.
func Label(key, value string) Labels { return NewLabels(attribute.String(key, value)) }

// Counter counts. The zero Counter does not.
type Counter struct{ counter metric.Int64Counter }

// Add counts n things more.
func (c Counter) Add(ctx context.Context, n int, labels Labels) {
	if c.counter != nil {
		c.counter.Add(ctx, int64(n), labels.add...)
	}
}

// Durations collects durations. The zero Durations does not.
type Durations struct{ histogram metric.Float64Histogram }

// Record adds a duration; one below zero, as clocks that differ yield, counts as zero.
func (d Durations) Record(ctx context.Context, took time.Duration, labels Labels) {
	if d.histogram != nil {
		d.histogram.Record(ctx, max(took, 0).Seconds(), labels.record...)
	}
}

// On tells whether somebody reads it, for what costs something to find out.
func (d Durations) On(ctx context.Context) bool {
	return d.histogram != nil && d.histogram.Enabled(ctx)
}

// Sizes collects sizes. The zero Sizes does not.
type Sizes struct{ histogram metric.Int64Histogram }

// Record adds a size.
func (s Sizes) Record(ctx context.Context, n int, labels Labels) {
	if s.histogram != nil {
		s.histogram.Record(ctx, int64(n), labels.record...)
	}
}
