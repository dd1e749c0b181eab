// Package telemetry sets up what a program tells about itself: metrics for Prometheus and OTLP, traces for OTLP, and the
// ids of traces in logs. Services measure and trace by it, in a way that costs nothing where nobody listens.
//
// It must not know any metric or span: each belongs to the package that has something to tell. Attributes of metrics
// come from closed lists, and neither metrics nor spans hold payloads or secrets (I27).
package telemetry

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope names the one meter and tracer of all our code. One is enough, and what two services measure together in one
// process is one metric.
const scope = "github.com/stepwell/stepwell"

// Config is what users set.
type Config struct {
	// OTLPEndpoint is where a collector takes OTLP over gRPC; empty for nowhere.
	OTLPEndpoint string `koanf:"otlp_endpoint" doc:"where an OpenTelemetry collector takes OTLP over gRPC, such as http://collector:4317; https for TLS; empty for nowhere"`
	// TraceRatio is for traces that begin here: a publisher who sends a traceparent has decided already.
	TraceRatio float64 `koanf:"trace_ratio" doc:"which part of the traces that begin here is kept, from 0 to 1; a publisher's traceparent decides about its own"`
	// OTLPMetrics sends metrics to the collector too.
	OTLPMetrics bool `koanf:"otlp_metrics" doc:"send metrics to the collector too; without it, they are at /metrics only"`
}

// DefaultConfig returns the defaults: nothing is sent, and all is traced once there is an endpoint.
func DefaultConfig() Config { return Config{TraceRatio: 1} }

// Validate returns every problem at once.
func (c Config) Validate() error {
	var problems []error
	if c.TraceRatio < 0 || c.TraceRatio > 1 || c.TraceRatio != c.TraceRatio {
		problems = append(problems, fmt.Errorf("trace_ratio is %v, it must be between 0 and 1", c.TraceRatio))
	}
	if c.OTLPEndpoint != "" && !isEndpoint(c.OTLPEndpoint) {
		problems = append(problems,
			fmt.Errorf("otlp_endpoint is %q, it must be like http://collector:4317 or https://collector:4317", c.OTLPEndpoint))
	}
	if c.OTLPMetrics && c.OTLPEndpoint == "" {
		problems = append(problems, errors.New("otlp_metrics needs otlp_endpoint: there is nowhere to send them to"))
	}
	return errors.Join(problems...)
}

// isEndpoint tells whether the text is a scheme, host and port.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return false
	}
	host, port, err := net.SplitHostPort(u.Host)
	return err == nil && host != "" && port != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == ""
}

// Telemetry is what services measure and trace with. The zero Telemetry measures and traces nothing.
type Telemetry struct {
	// Meters is nil if nobody reads metrics.
	Meters metric.MeterProvider
	// Tracers is nil if nobody reads traces. It must be one of NewTracers, so that spans find their parents.
	Tracers trace.TracerProvider
}

// On tells whether anybody reads anything.
func (t Telemetry) On() bool { return t.Meters != nil || t.Tracers != nil }
