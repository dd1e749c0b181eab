package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The bounds of what is sent. A collector that is slow or away costs spans, and nothing else: what does not fit into the
// queue is dropped.
const (
	// spansQueuedMax bounds the spans that wait to be sent, spansPerExportMax those that are sent at a time.
	spansQueuedMax    = 8192
	spansPerExportMax = 512
	// exportSpansEvery and exportMetricsEvery are how often is sent, exportTimeout bounds each time.
	exportSpansEvery   = 2 * time.Second
	exportMetricsEvery = 15 * time.Second
	exportTimeout      = 5 * time.Second
	// closeTimeout bounds sending what is left when the program ends.
	closeTimeout = 3 * time.Second
	// valuesMax bounds the combinations of attributes of one metric.
	valuesMax = 2000
	// scrapesMax bounds the requests for metrics that are answered at a time, scrapeTimeout each of them.
	scrapesMax    = 4
	scrapeTimeout = 10 * time.Second
)

// Program says whose telemetry it is.
type Program struct {
	// Name, Version and Instance are the resource's service.name, service.version and service.instance.id.
	Name, Version, Instance string
	// Scraped says that somebody may ask for metrics, by Handler.
	Scraped bool
	// Log is told when nothing can be sent.
	Log *slog.Logger
}

// Exporters hand out what a program tells about itself.
type Exporters struct {
	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
	// spans sends spans; nil if nothing does.
	spans   sdktrace.SpanExporter
	handler http.Handler
}

// Open makes what the configuration asks for, and nothing else: without an endpoint there are no traces, and without
// anybody to read them no metrics. It does not wait for the collector. The caller closes it.
func Open(ctx context.Context, config Config, program Program) (*Exporters, error) {
	e := &Exporters{handler: http.NotFoundHandler()}
	if config.OTLPEndpoint == "" && !program.Scraped {
		return e, nil
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.namespace", "stepwell"), attribute.String("service.name", program.Name),
		attribute.String("service.version", program.Version), attribute.String("service.instance.id", program.Instance),
	), resource.WithFromEnv()) // OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
	if err != nil {
		return nil, fmt.Errorf("telemetry: describe the program: %w", err)
	}
	if config.OTLPEndpoint != "" {
		tellLog(program.Log)
	}
	err = errors.Join(e.openMetrics(ctx, config, program.Scraped, about), e.openTraces(ctx, config, about))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: %w", err), e.Close(ctx))
	}
	return e, nil
}

// Telemetry is what services measure and trace with.
func (e *Exporters) Telemetry() Telemetry {
	var t Telemetry
	if e.meters != nil {
		t.Meters = e.meters
	}
	if e.tracers != nil {
		t.Tracers = e.tracers
	}
	return t
}

// Handler answers with all metrics, as Prometheus reads them; 404 if the program is not scraped.
func (e *Exporters) Handler() http.Handler { return e.handler }

// Close sends what is left, for a few seconds at most, or until the context ends.
func (e *Exporters) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	var problems []error
	if e.tracers != nil {
		problems = append(problems, e.tracers.Shutdown(ctx))
	}
	if e.spans != nil && ctx.Err() != nil {
		_ = e.spans.Shutdown(ctx) // ends what is still under way
	}
	if e.meters != nil {
		problems = append(problems, e.meters.Shutdown(ctx))
	}
	return errors.Join(problems...)
}

func (e *Exporters) openMetrics(ctx context.Context, config Config, scraped bool, about *resource.Resource) error {
	options := []sdkmetric.Option{
		sdkmetric.WithResource(about), sdkmetric.WithCardinalityLimit(valuesMax), sdkmetric.WithView(callsByMethod()...),
	}
	if config.OTLPEndpoint == "" { // there are no traces that a value could be an example of
		options = append(options, sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	}
	if scraped {
		reader, handler, err := newScrapeReader()
		if err != nil {
			return err
		}
		e.handler = handler
		options = append(options, sdkmetric.WithReader(reader))
	}
	if config.OTLPMetrics {
		exporter, err := otlpmetricgrpc.New(ctx,
			otlpmetricgrpc.WithEndpointURL(config.OTLPEndpoint), otlpmetricgrpc.WithTimeout(exportTimeout))
		if err != nil {
			return fmt.Errorf("send metrics to otlp_endpoint: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter,
			sdkmetric.WithInterval(exportMetricsEvery), sdkmetric.WithTimeout(exportTimeout))))
	}
	if scraped || config.OTLPMetrics {
		e.meters = sdkmetric.NewMeterProvider(options...)
	}
	return nil
}

// newScrapeReader returns a reader of metrics, and what hands them to Prometheus, with those of the process and of Go.
func newScrapeReader() (sdkmetric.Reader, http.Handler, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, nil, fmt.Errorf("make metrics for Prometheus: %w", err)
	}
	return reader, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesMax, Timeout: scrapeTimeout,
		ErrorHandling: promhttp.ContinueOnError,
	}), nil
}

// callsByMethod leaves of the attributes of gRPC calls those that come from closed lists. Addresses do not: every pod
// that there ever was has one.
func callsByMethod() []sdkmetric.View {
	var views []sdkmetric.View
	for _, name := range []string{"rpc.server.call.duration", "rpc.client.call.duration"} {
		views = append(views, sdkmetric.NewView(sdkmetric.Instrument{Name: name}, sdkmetric.Stream{
			AttributeFilter: attribute.NewAllowKeysFilter("rpc.method", "rpc.response.status_code"),
		}))
	}
	return views
}

func (e *Exporters) openTraces(ctx context.Context, config Config, about *resource.Resource) error {
	if config.OTLPEndpoint == "" {
		return nil
	}
	exporter, err := otlptracegrpc.New(ctx,
		otlptracegrpc.WithEndpointURL(config.OTLPEndpoint), otlptracegrpc.WithTimeout(exportTimeout))
	if err != nil {
		return fmt.Errorf("send traces to otlp_endpoint: %w", err)
	}
	e.spans = exporter
	meter := e.Telemetry().Meter()
	count := newSpanCount(meter)
	queue := sdktrace.NewBatchSpanProcessor(countSent{exporter, count}, sdktrace.WithMaxQueueSize(spansQueuedMax),
		sdktrace.WithMaxExportBatchSize(spansPerExportMax), sdktrace.WithBatchTimeout(exportSpansEvery),
		sdktrace.WithExportTimeout(exportTimeout))
	e.tracers = NewTracers(config.TraceRatio, sdktrace.WithResource(about),
		sdktrace.WithSpanProcessor(countEnded{queue, count}))
	return meter.Err()
}

// tellLog has the log told what goes wrong with sending, from time to time: it is always the same.
func tellLog(log *slog.Logger) {
	told := &seldom{every: time.Minute, tell: func(err error) {
		log.Warn("telemetry cannot be sent, some of it is lost (telemetry.otlp_endpoint)",
			slog.String("error", err.Error()))
	}}
	otel.SetErrorHandler(told) // the library has no other way to tell
}
