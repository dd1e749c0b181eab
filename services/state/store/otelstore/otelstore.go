// Package otelstore tells what a store does for others, as metrics and spans: how much it is asked to do at a time, how
// long that takes, and what comes of it. It stands right in front of the store whose batches it tells of.
//
// It must not change what any caller is told.
package otelstore

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// Store is the store behind it, and tells what that does.
type Store struct {
	store.Store
	metrics
	tracer telemetry.Tracer
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Maintainer = (*Store)(nil)
	_ store.Prober     = (*Store)(nil)
)

// New returns a store on top of another.
func New(behind store.Store, t telemetry.Telemetry) (*Store, error) {
	m, err := newMetrics(t.Meter())
	if err != nil {
		return nil, fmt.Errorf("tell of the store: %w", err)
	}
	return &Store{Store: behind, metrics: m, tracer: t.Tracer()}, nil
}

// Ingest implements store.Ingester.
func (s *Store) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	began := time.Now()
	ctx, batch := s.begin(ctx, "state.Ingest", len(requests), func(i int) stepwell.Trace { return requests[i].Trace })
	results, err := s.Store.Ingest(ctx, requests)
	batch.end(err, func(i int) error { return results[i].Err })
	s.count(ctx, s.ingests, len(requests), began, err)
	return results, err
}

// Commit implements store.Committer.
func (s *Store) Commit(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	began := time.Now()
	ctx, batch := s.begin(ctx, "state.Commit", len(transitions), func(i int) stepwell.Trace { return transitions[i].Trace })
	results, err := s.Store.Commit(ctx, transitions)
	batch.end(err, func(i int) error { return results[i].Err })
	s.count(ctx, s.commits, len(transitions), began, err)
	return results, err
}

// LoadRuns implements store.Committer.
func (s *Store) LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	began := time.Now()
	loaded, err := s.Store.LoadRuns(ctx, ids)
	s.count(ctx, s.loads, len(ids), began, err)
	return loaded, err
}

// Maintain implements store.Maintainer, as far as the store behind does.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	if behind, ok := s.Store.(store.Maintainer); ok {
		return behind.Maintain(ctx, now)
	}
	return nil
}

// Ready implements store.Prober, as far as the store behind does.
func (s *Store) Ready(ctx context.Context) error {
	if behind, ok := s.Store.(store.Prober); ok {
		return behind.Ready(ctx)
	}
	return nil
}

// metrics are those of batches.
type metrics struct {
	sizes                   telemetry.Sizes
	took                    telemetry.Durations
	ingests, commits, loads kind
}

// kind are the labels of one kind of batches.
type kind struct{ all, done, failed telemetry.Labels }

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	of := func(name string) kind {
		key := attribute.String("kind", name)
		return kind{
			all:    telemetry.NewLabels(key),
			done:   telemetry.NewLabels(key, attribute.String("result", "done")),
			failed: telemetry.NewLabels(key, attribute.String("result", "failed")),
		}
	}
	return metrics{
		sizes: meter.Sizes("stepwell.db_group_commit.batch_size", "{request}",
			"How many requests to publish, changes of runs, or runs to load share a transaction of the database"),
		took:    meter.Durations("stepwell.db_group_commit", "How long such transactions take, getting a connection included"),
		ingests: of("ingest"), commits: of("commit"), loads: of("load"),
	}, meter.Err()
}

func (m *metrics) count(ctx context.Context, k kind, size int, began time.Time, err error) {
	labels := k.done
	if err != nil {
		labels = k.failed
	}
	m.sizes.Record(ctx, size, k.all)
	m.took.Record(ctx, time.Since(began), labels)
}
