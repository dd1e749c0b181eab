// Package scaler tells an autoscaler how much work there is: it serves KEDA's external scaler API from the queue itself,
// so that scaling executors needs no store of metrics.
//
// It must not change the queue, nor decide how many replicas there are.
package scaler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/proto/gen/externalscaler"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	// freshFor is how long what was read of the queue is good for everybody who asks, so that many who ask cost no more.
	freshFor = time.Second
	// lookEvery is how soon a stream tells that the queue became active, or is no more.
	lookEvery = 2 * time.Second
	// streamFor is how long a stream lasts. No connection is closed under one that ends by itself.
	streamFor = rpc.StreamMax
)

// Deps are what the service works with.
type Deps struct {
	Queue queue.Inspector
}

// Service answers KEDA. It needs no more than one look at the queue a second, however many ask.
type Service struct {
	externalscaler.UnimplementedExternalScalerServer
	queue queue.Inspector
	// turn is held by who looks at the queue; last is what was seen then.
	turn chan struct{}
	last reading
	// stopping is closed when streams are to end.
	stopping chan struct{}
}

// reading is what the queue was at an instant.
type reading struct {
	queue.Stats
	at time.Time
}

// active tells whether there is work: some waits, or is being worked on.
func (r reading) active() bool { return r.Ready > r.Held || r.Leased > 0 }

// New checks the dependencies and starts nothing.
func New(deps Deps) (*Service, error) {
	if deps.Queue == nil {
		return nil, errors.New("scaler: a queue is needed")
	}
	return &Service{queue: deps.Queue, turn: make(chan struct{}, 1), stopping: make(chan struct{})}, nil
}

// Register offers the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	externalscaler.RegisterExternalScalerServer(r, s)
}

// Run blocks until the context ends, and then ends the streams, which no server would wait for. It can be called once.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	close(s.stopping)
	return nil
}

// read returns what the queue is now, or was a moment ago.
func (s *Service) read(ctx context.Context) (reading, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return reading{}, ctx.Err()
	}
	if now := time.Now(); s.last.at.IsZero() || now.Sub(s.last.at) >= freshFor {
		stats, err := s.queue.Stats(ctx, now)
		if err != nil {
			return reading{}, fmt.Errorf("look at the queue: %w", err)
		}
		s.last = reading{Stats: stats, at: now}
	}
	return s.last, nil
}

// IsActive implements externalscaler.ExternalScalerServer.
func (s *Service) IsActive(
	ctx context.Context, m *externalscaler.ScaledObjectRef,
) (*externalscaler.IsActiveResponse, error) {
	if _, err := readTargets(m.GetScalerMetadata()); err != nil {
		return nil, err
	}
	now, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	return &externalscaler.IsActiveResponse{Result: now.active()}, nil
}

// StreamIsActive implements externalscaler.ExternalScalerServer. A queue that does not answer is asked again, but for the
// first time: then nothing is known.
func (s *Service) StreamIsActive(
	m *externalscaler.ScaledObjectRef, stream grpc.ServerStreamingServer[externalscaler.IsActiveResponse],
) error {
	if _, err := readTargets(m.GetScalerMetadata()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), streamFor)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var told, active bool
	for {
		now, err := s.read(ctx)
		if err != nil && !told {
			return err
		}
		if err == nil && (!told || now.active() != active) {
			told, active = true, now.active()
			if err := stream.Send(&externalscaler.IsActiveResponse{Result: active}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return stream.Context().Err()
		case <-s.stopping:
			return nil
		case <-ticker.C:
		}
	}
}

// GetMetricSpec implements externalscaler.ExternalScalerServer.
func (s *Service) GetMetricSpec(
	_ context.Context, m *externalscaler.ScaledObjectRef,
) (*externalscaler.GetMetricSpecResponse, error) {
	targets, err := readTargets(m.GetScalerMetadata())
	if err != nil {
		return nil, err
	}
	response := &externalscaler.GetMetricSpecResponse{}
	for i, metric := range metrics() {
		response.MetricSpecs = append(response.MetricSpecs, &externalscaler.MetricSpec{
			MetricName: metric.name, TargetSize: int64(math.Ceil(targets[i])), TargetSizeFloat: targets[i],
		})
	}
	return response, nil
}

// GetMetrics implements externalscaler.ExternalScalerServer.
func (s *Service) GetMetrics(
	ctx context.Context, m *externalscaler.GetMetricsRequest,
) (*externalscaler.GetMetricsResponse, error) {
	if _, err := readTargets(m.GetScaledObjectRef().GetScalerMetadata()); err != nil {
		return nil, err
	}
	wanted := metrics()
	if name := m.GetMetricName(); name != "" {
		metric, err := metricNamed(name)
		if err != nil {
			return nil, err
		}
		wanted = []metricKind{metric}
	}
	now, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	response := &externalscaler.GetMetricsResponse{}
	for _, metric := range wanted {
		value := metric.value(now)
		response.MetricValues = append(response.MetricValues, &externalscaler.MetricValue{
			MetricName: metric.name, MetricValue: int64(math.Ceil(value)), MetricValueFloat: value,
		})
	}
	return response, nil
}

// metricNamed is the metric of a name.
func metricNamed(name string) (metricKind, error) {
	for _, metric := range metrics() {
		if metric.name == name {
			return metric, nil
		}
	}
	return metricKind{}, stepwell.Invalidf("there is no metric %q, only %s", name, list(metrics(), metricKind.String))
}
