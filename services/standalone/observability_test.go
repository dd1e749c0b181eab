package standalone_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/stateclient"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
	"github.com/stepwell/stepwell/services/state/store/memstore"
	"github.com/stepwell/stepwell/services/state/store/otelstore"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

var update = flag.Bool("update", false, "write the tables of docs/observability.md anew")

const observabilityPage = "../../docs/observability.md"

// instrument is a metric that a program has.
type instrument struct{ name, unit, description, kind string }

// registry is a provider of meters that remembers which instruments are made, and has them do nothing.
type registry struct {
	noop.MeterProvider
	made map[string]instrument
}

func newRegistry() *registry { return &registry{made: map[string]instrument{}} }

func (r *registry) Meter(string, ...metric.MeterOption) metric.Meter { return meter{r: r} }

// meter is the registry's only one.
type meter struct {
	noop.Meter
	r *registry
}

func (m meter) Int64Counter(name string, options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	c := metric.NewInt64CounterConfig(options...)
	m.r.made[name] = instrument{name, c.Unit(), c.Description(), "counter"}
	return noop.Int64Counter{}, nil
}

func (m meter) Float64Histogram(name string, options ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	c := metric.NewFloat64HistogramConfig(options...)
	m.r.made[name] = instrument{name, c.Unit(), c.Description(), "durations"}
	return noop.Float64Histogram{}, nil
}

func (m meter) Int64Histogram(name string, options ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	c := metric.NewInt64HistogramConfig(options...)
	m.r.made[name] = instrument{name, c.Unit(), c.Description(), "sizes"}
	return noop.Int64Histogram{}, nil
}

func (m meter) Float64ObservableGauge(
	name string, options ...metric.Float64ObservableGaugeOption,
) (metric.Float64ObservableGauge, error) {
	c := metric.NewFloat64ObservableGaugeConfig(options...)
	m.r.made[name] = instrument{name, c.Unit(), c.Description(), "gauge"}
	return noop.Float64ObservableGauge{}, nil
}

// exposed is a metric as Prometheus reads it.
type exposed struct{ name, kind, help string }

// expose is how an instrument looks to Prometheus: made and used once, and read.
func expose(t *testing.T, i instrument) exposed {
	t.Helper()
	telemeter, seen := telemetrytest.New(t)
	m := telemeter.Meter()
	switch i.kind {
	case "counter":
		m.Counter(i.name, i.unit, i.description).Add(t.Context(), 1, telemetry.Labels{})
	case "durations":
		m.Durations(i.name, i.description).Record(t.Context(), time.Second, telemetry.Labels{})
	case "sizes":
		m.Sizes(i.name, i.unit, i.description).Record(t.Context(), 1, telemetry.Labels{})
	case "gauge":
		m.Gauge(i.name, i.unit, i.description, func(_ context.Context, observe telemetry.Observe) { observe(1, telemetry.Labels{}) })
	}
	require.NoError(t, m.Err())
	lines := regexp.MustCompile(`(?m)^# HELP ((?:stepwell|inngest|rpc)_\S+) (.*)\n# TYPE \S+ (\w+)$`).FindStringSubmatch(seen.Metrics(t))
	require.NotNil(t, lines, i.name)
	return exposed{name: lines[1], help: lines[2], kind: lines[3]}
}

// programs makes the services of each program as its main does, and returns the instruments of each.
func programs(t *testing.T) map[string]map[string]instrument {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	network := rpc.NewMemory()
	made := map[string]*registry{}
	of := func(program string) telemetry.Telemetry {
		made[program] = newRegistry()
		telemeter := telemetry.Telemetry{Meters: made[program]}
		require.Len(t, rpc.Observed(telemeter), 1)
		listener, err := network.Listen(program)
		require.NoError(t, err)
		listener.Observed(telemeter)
		return telemeter
	}
	redis := func(telemeter telemetry.Telemetry) *redisqueue.Queue {
		config := redisqueue.DefaultConfig()
		config.URL = "redis://127.0.0.1:1" // nobody needs to be there
		queue, err := redisqueue.New(config, telemeter)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, queue.Close(context.WithoutCancel(t.Context()))) })
		return queue
	}
	conn, err := network.Dial("state")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	states, err := batchstore.New(stateclient.New(conn), batchstore.DefaultConfig())
	require.NoError(t, err)

	telemeter := of("event-api")
	_, err = eventapi.New(eventapi.Deps{
		State: states, Runner: runnerclient.New(conn), Executor: executorclient.New(conn), Keys: eventapi.OpenKeys{},
		ServerKind: sdk.KindCloud, Log: log, Telemetry: telemeter,
	})
	require.NoError(t, err)
	telemeter = of("runner")
	_, err = runner.New(runner.DefaultConfig(), runner.Deps{State: states, Queue: redis(telemeter), Log: log, Telemetry: telemeter})
	require.NoError(t, err)
	telemeter = of("executor")
	_, err = executor.New(executor.DefaultConfig(), executor.Deps{
		State: states, Queue: redis(telemeter), Runner: runnerclient.New(conn), Transport: http.DefaultTransport,
		Gateway: http.DefaultTransport, Random: rand.Float64, ServerKind: sdk.KindCloud, Log: log, Telemetry: telemeter,
	})
	require.NoError(t, err)
	telemeter = of("state")
	config := pgstore.DefaultConfig()
	config.URL = "postgres://127.0.0.1:1/nothing"
	postgres, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: log, Telemetry: telemeter})
	require.NoError(t, err)
	t.Cleanup(postgres.Close)
	_, err = otelstore.New(postgres, telemeter)
	require.NoError(t, err)
	_, err = state.New(state.Deps{Store: memstore.New(memstore.DefaultConfig()), Log: log, Telemetry: telemeter})
	require.NoError(t, err)

	instruments := map[string]map[string]instrument{}
	for program, r := range made {
		telemetry.CountSpans(telemetry.Telemetry{Meters: r}) // as with telemetry.otlp_endpoint
		instruments[program] = r.made
	}
	return instruments
}

// labelsOf are the labels of each metric. TestLabelsAreThoseOfThePage compares them with what a whole system tells.
func labelsOf() map[string]string {
	return map[string]string{
		"inngest_function_run_ended_total": "fn, status", "inngest_function_run_scheduled_total": "fn",
		"inngest_function_run_started_total": "fn", "inngest_sdk_req_ended_total": "fn, status",
		"inngest_sdk_req_scheduled_total": "fn", "inngest_sdk_req_started_total": "fn", "inngest_step_output_bytes_total": "fn",
		"rpc_client_call_duration_seconds":    "rpc_method, rpc_response_status_code",
		"rpc_server_call_duration_seconds":    "rpc_method, rpc_response_status_code",
		"stepwell_db_connections":             "pool, state",
		"stepwell_db_group_commit_batch_size": "kind", "stepwell_db_group_commit_seconds": "kind, result",
		"stepwell_db_pool_wait_seconds": "pool", "stepwell_duties_failed_total": "duty",
		"stepwell_event_to_run_start_seconds": "fn", "stepwell_events_acked_total": "transport",
		"stepwell_events_refused_total": "fn", "stepwell_function_queue_items": "fn",
		"stepwell_events_stored_total": "routed", "stepwell_http_request_seconds": "route, status",
		"stepwell_items_put_back_total": "why", "stepwell_items_total": "result", "stepwell_maintenance_total": "result",
		"stepwell_oldest_due_seconds": "shard", "stepwell_partition_days_kept": "family", "stepwell_queue_items": "state",
		"stepwell_redis_command_seconds": "command, result", "stepwell_sdk_request_seconds": "phase",
		"stepwell_telemetry_spans_total": "result", "stepwell_transitions_total": "result", "stepwell_waits_registered_total": "kind",
	}
}

// metricsTable is the table of docs/observability.md.
func metricsTable(t *testing.T) string {
	t.Helper()
	type row struct {
		exposed
		programs []string
	}
	rows := map[string]*row{}
	byProgram := programs(t)
	for _, program := range []string{"event-api", "runner", "executor", "state"} {
		for _, name := range slices.Sorted(maps.Keys(byProgram[program])) {
			e := expose(t, byProgram[program][name])
			if rows[e.name] == nil {
				rows[e.name] = &row{exposed: e}
			}
			require.Equal(t, e, rows[e.name].exposed, "the same metric in several programs is the same")
			rows[e.name].programs = append(rows[e.name].programs, program)
		}
	}
	labels := labelsOf()
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Program | Meaning |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		programs := strings.Join(r.programs, ", ")
		if len(r.programs) == len(byProgram) {
			programs = "all"
		}
		marked := ""
		if labels[name] != "" {
			marked = "`" + strings.ReplaceAll(labels[name], ", ", "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, r.kind, marked, programs, r.help)
	}
	return b.String()
}

const (
	metricsBegin = "<!-- metrics: generated, do not edit -->\n\n"
	metricsEnd   = "\n<!-- end of metrics -->"
)

// TestObservabilityPage: docs/observability.md lists the metrics that the programs have, and no others.
func TestObservabilityPage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(observabilityPage)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), metricsBegin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, metricsEnd)
	require.True(t, found)
	page := before + metricsBegin + metricsTable(t) + metricsEnd + after
	if *update {
		require.NoError(t, os.WriteFile(observabilityPage, []byte(page), 0o600))
	}
	require.Equal(t, page, string(content),
		"docs/observability.md is not what the programs have: go test ./services/standalone -run ObservabilityPage -update")
}

// pageMetrics are the names of the metrics on the page, and their types.
func pageMetrics(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(observabilityPage)
	require.NoError(t, err)
	metrics := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|").FindAllStringSubmatch(string(content), -1) {
		metrics[row[1]] = row[2]
	}
	require.NotEmpty(t, metrics)
	return metrics
}

// TestSpansOfThePage: those that a whole system makes are on the page.
func TestSpansOfThePage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(observabilityPage)
	require.NoError(t, err)
	inWorldWith(t, family("app-child", "2h"), observe, func(t *testing.T, w *world) {
		w.publish("order/placed", `{}`)
		<-time.After(3 * time.Hour)
		for _, span := range w.seen.Spans() {
			name, _, _ := strings.Cut(span.Name, " ") // that of a run or a step goes on with its own
			if service, _, isCall := strings.Cut(name, "/"); isCall {
				require.Regexp(t, `^stepwell\.\w+\.v1\.\w+Service$`, service)
				continue
			}
			require.Contains(t, string(content), "`"+name+"`")
		}
	})
}

// TestLabelsAreThoseOfThePage, and come from closed lists: none is an id, or a name that a publisher chose.
func TestLabelsAreThoseOfThePage(t *testing.T) {
	t.Parallel()
	known, labels := pageMetrics(t), labelsOf()
	inWorldWith(t, family("app-child", "2h"), observe, func(t *testing.T, w *world) {
		w.traceparent = published
		run := w.publish("order/placed", `{"id":"secret-1"}`)
		<-time.After(3 * time.Hour)
		text := w.seen.Metrics(t)
		require.NotContains(t, text, "secret-1")
		require.NotContains(t, text, run)
		require.NotContains(t, text, "order/placed")
		series := regexp.MustCompile(`(?m)^((?:stepwell|inngest|rpc)_\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`)
		found := map[string]bool{}
		for _, line := range series.FindAllStringSubmatch(text, -1) {
			name := line[1]
			if _, isMetric := known[name]; !isMetric {
				name += line[2]
			}
			require.Contains(t, known, name)
			found[name] = true
			var got []string
			for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[3], -1) {
				if label[1] != "le" {
					got = append(got, label[1])
				}
			}
			require.Equal(t, labels[name], strings.Join(got, ", "), line[0])
		}
		require.GreaterOrEqual(t, len(found), 25)
	})
}
