package eventapi

import (
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are what operators see of the public door.
type metrics struct {
	acked    telemetry.Counter
	unrouted telemetry.Counter
	commit   telemetry.Durations
	requests telemetry.Durations
	// overHTTP and overGRPC are how events came.
	overHTTP, overGRPC telemetry.Labels
}

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	return metrics{
		acked: meter.Counter("stepwell.events_acked", "{event}", "Events that were answered with success, and so are committed"),
		unrouted: meter.Counter("stepwell.events_unrouted", "{event}",
			"Events of those that were stored without a runner, to be routed later, since none answered"),
		commit:   meter.Durations("stepwell.events_commit", "How long it takes to have the events of a request routed and committed"),
		requests: meter.Durations("stepwell.http_request", "How long requests over HTTP take, by route and class of status"),
		overHTTP: telemetry.Label("transport", "http"), overGRPC: telemetry.Label("transport", "grpc"),
	}, meter.Err()
}

// measured measures the requests of a route.
func (s *Service) measured(pattern string, serve http.HandlerFunc) http.HandlerFunc {
	if s.deps.Telemetry.Meters == nil {
		return serve
	}
	var classes [6]telemetry.Labels
	for i := range classes {
		classes[i] = telemetry.NewLabels(attribute.String("route", pattern), attribute.String("status", strconv.Itoa(i)+"xx"))
	}
	return func(w http.ResponseWriter, r *http.Request) {
		began, answer := time.Now(), &answered{ResponseWriter: w, status: http.StatusOK}
		serve(answer, r)
		s.metrics.requests.Record(r.Context(), time.Since(began), classes[min(answer.status/100, len(classes)-1)])
	}
}

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
