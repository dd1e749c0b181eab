package archtest

import "slices"

// A rule is one line of the table: what a package may import besides the standard library and itself.
type rule struct {
	pkg   string   // below services/, or proto/...; * stands for one folder
	ours  []string // packages of ours, written like pkg
	third []string // third party, by the prefix of the import path
	tests []string // of ours, in its tests only, besides what all tests may (see testRule)
	why   string
}

// everything in rule.ours allows any package of ours, programs excepted.
const everything = "(anything of ours)"

// Third-party code, by what it is for.
const (
	cel        = "cel.dev/cel-go"
	cmp        = "github.com/google/go-cmp"
	cobra      = "github.com/spf13/cobra"
	cronSyntax = "github.com/robfig/cron"
	datadriven = "github.com/cockroachdb/datadriven"
	goleak     = "go.uber.org/goleak"
	goose      = "github.com/pressly/goose"
	grpc       = "google.golang.org/grpc"
	jcs        = "github.com/gowebpki/jcs"
	jwt        = "github.com/golang-jwt/jwt"
	koanf      = "github.com/knadh/koanf"
	otel       = "go.opentelemetry.io"
	pflag      = "github.com/spf13/pflag"
	pgx        = "github.com/jackc/pgx"
	prometheus = "github.com/prometheus"
	protobuf   = "google.golang.org/protobuf"
	rapid      = "pgregory.net/rapid"
	redis      = "github.com/redis/go-redis"
	rpcStatus  = "google.golang.org/genproto/googleapis/rpc"
	testify    = "github.com/stretchr/testify"
	ulid       = "github.com/oklog/ulid"
	uuid       = "github.com/google/uuid"
	xsync      = "golang.org/x/sync"
	xterm      = "golang.org/x/term"
	yaml       = "go.yaml.in/yaml"
)

// table says who may import whom. What is not in it is not allowed, and neither is a package that has no line here.
// A package may import what stands above it in this list; the order is checked.
func table() []rule {
	return slices.Concat(
		generatedCode(), nouns(), infrastructure(), contracts(), drivers(), clients(), shells(), programs(),
	)
}

// testRule is what the tests of every package may import besides what the package may.
func testRule() rule {
	return rule{
		ours: []string{
			"internal/stepwell", "internal/engine", "internal/sdk",
			"internal/queue", "internal/queue/memqueue", "internal/queue/queuetest",
			"state/store", "state/store/memstore", "state/store/storetest",
			"internal/telemetry", "internal/telemetry/telemetrytest",
		},
		third: []string{cmp, datadriven, goleak, otel, protobuf, rapid, testify, ulid, uuid},
		why: "tests use suites, memory drivers, the SDK protocol and the engine, build values of the domain, and look at " +
			"metrics and spans",
	}
}

func generatedCode() []rule {
	return []rule{{
		pkg: "proto/gen/stepwell/*/v1", ours: []string{"proto/gen/stepwell/*/v1"}, third: []string{grpc, protobuf},
		why: "what protoc-gen-go and protoc-gen-go-grpc write",
	}, {
		pkg: "proto/gen/externalscaler", third: []string{grpc, protobuf},
		why: "what they write of KEDA's API",
	}}
}

func nouns() []rule {
	return []rule{{
		pkg: "internal/stepwell", third: []string{ulid, uuid},
		why: "the nouns of the domain; only their identifiers come from elsewhere",
	}, {
		pkg: "internal/engine", ours: []string{"internal/stepwell"},
		why: "pure decisions over the nouns",
	}, {
		pkg: "internal/cron", ours: []string{"internal/stepwell"}, third: []string{cronSyntax},
		why: "when a schedule fires next",
	}, {
		pkg: "internal/expr", ours: []string{"internal/stepwell"}, third: []string{cel},
		why: "expressions over events are CEL",
	}, {
		pkg: "internal/sdk", ours: []string{"internal/stepwell"}, third: []string{jcs},
		why: "the wire protocol of the SDKs is JSON over net/http; its tests compare with the Go SDK's canonical JSON",
	}, {
		pkg:   "internal/wire",
		ours:  []string{"internal/stepwell", "proto/gen/stepwell/*/v1"},
		third: []string{protobuf, ulid, uuid},
		why:   "turns nouns into messages and back, so it knows both",
	}}
}

func infrastructure() []rule {
	return []rule{{
		pkg: "internal/telemetry", ours: []string{"internal/stepwell"}, third: []string{grpc, otel, prometheus},
		why: "sets up logs, metrics and traces; its tests are a collector",
	}, {
		pkg: "internal/telemetry/telemetrytest", ours: []string{"internal/stepwell", "internal/telemetry"},
		third: []string{otel, testify},
		why:   "what services measure and trace, for their tests",
	}, {
		pkg: "internal/certificate", tests: []string{"internal/certtest"},
		why: "reads files, and knows no protocol above TLS",
	}, {
		pkg: "internal/certtest", ours: []string{"internal/certificate"}, third: []string{testify},
		why: "certificates for tests",
	}, {
		pkg: "internal/runtelemetry", ours: []string{"internal/stepwell", "internal/telemetry"}, third: []string{otel},
		why: "what becomes of runs, for runner and executor to tell",
	}, {
		pkg: "internal/rpc", ours: []string{"internal/stepwell", "internal/telemetry"}, third: []string{grpc, otel, rpcStatus, protobuf},
		tests: []string{"internal/certificate", "internal/certtest"},
		why:   "sets up gRPC and maps the domain's errors to status codes",
	}, {
		pkg: "internal/config", third: []string{koanf, pflag, yaml},
		why: "loads any struct, so it knows none of ours",
	}, {
		pkg: "internal/coalesce",
		why: "merges calls of anything into batches",
	}, {
		pkg: "internal/httpserver", tests: []string{"internal/certificate", "internal/certtest"},
		why: "bounds on net/http, whatever the routes",
	}, {
		pkg: "internal/process", third: []string{xsync},
		why: "runs and stops anything that has a Run method",
	}, {
		pkg: "internal/daemon",
		ours: []string{
			"internal/certificate", "internal/config", "internal/httpserver", "internal/process", "internal/rpc",
			"internal/telemetry",
		},
		third: []string{cobra, grpc},
		tests: []string{"internal/certtest"},
		why:   "makes a program of any services",
	}, {
		pkg: "internal/apttest",
		why: "finds and installs programs that tests need, whatever they do",
	}, {
		pkg: "internal/pgtest", ours: []string{"internal/apttest"}, third: []string{pgx, testify},
		why: "a real Postgres for tests, and a fresh database for each",
	}, {
		pkg: "internal/redistest", ours: []string{"internal/apttest"}, third: []string{redis, testify},
		why: "a real Redis for tests, and fresh keys for each",
	}, {
		pkg: "internal/archtest",
		why: "reads source, runs none of it",
	}}
}

func contracts() []rule {
	return []rule{{
		pkg: "internal/queue", ours: []string{"internal/stepwell"},
		why: "the contract of the queue speaks of nouns only",
	}, {
		pkg: "state/store", ours: []string{"internal/stepwell"},
		why: "the contract of the store speaks of nouns only",
	}, {
		pkg:   "internal/queue/queuetest",
		ours:  []string{"internal/stepwell", "internal/queue"},
		third: []string{rapid, testify, ulid, uuid},
		why:   "the suite of the queue's drivers",
	}, {
		pkg:   "state/store/storetest",
		ours:  []string{"internal/stepwell", "state/store"},
		third: []string{cmp, rapid, testify, ulid, uuid},
		why:   "the suite of the store's drivers",
	}}
}

func drivers() []rule {
	return []rule{{
		pkg: "internal/queue/memqueue", ours: []string{"internal/stepwell", "internal/queue"},
		why: "written to be read: standard library only",
	}, {
		pkg:   "internal/queue/redisqueue",
		ours:  []string{"internal/stepwell", "internal/coalesce", "internal/queue", "internal/telemetry"},
		third: []string{otel, redis},
		tests: []string{"internal/redistest"},
		why:   "the only package that talks to Redis",
	}, {
		pkg: "state/store/memstore", ours: []string{"internal/stepwell", "state/store"},
		why: "written to be read: standard library only",
	}, {
		pkg: "state/store/otelstore", ours: []string{"internal/stepwell", "internal/telemetry", "state/store"},
		third: []string{otel},
		why:   "tells what any store does",
	}, {
		pkg: "state/store/batchstore", ours: []string{"internal/stepwell", "internal/coalesce", "state/store"},
		why: "merges calls to any store",
	}, {
		pkg: "state/store/pgstore/internal/pgsql", third: []string{pgx},
		why: "what sqlc writes",
	}, {
		pkg: "state/store/pgstore",
		ours: []string{
			"internal/stepwell", "internal/telemetry", "state/store", "state/store/pgstore/internal/pgsql",
		},
		third: []string{goose, otel, pgx, ulid, uuid},
		tests: []string{"internal/pgtest", "state/store/batchstore"},
		why:   "the only package that talks to Postgres",
	}}
}

func clients() []rule {
	return []rule{{
		pkg: "state/stateclient",
		ours: []string{
			"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/wire", "internal/rpc", "state/store",
		},
		third: []string{grpc},
		tests: []string{"state"},
		why:   "nouns in and out, gRPC inside; it satisfies the roles of store",
	}, {
		pkg:   "runner/runnerclient",
		ours:  []string{"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/wire", "internal/rpc"},
		third: []string{grpc},
		tests: []string{"runner"},
		why:   "nouns in and out, gRPC inside",
	}, {
		pkg:   "executor/executorclient",
		ours:  []string{"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/wire", "internal/rpc"},
		third: []string{grpc},
		tests: []string{"executor"},
		why:   "nouns in and out, gRPC inside",
	}}
}

func shells() []rule {
	return []rule{{
		pkg: "event-api/discovery", ours: []string{"internal/sdk"},
		why: "looks for apps over HTTP and tells whoever asked; knows no service",
	}, {
		pkg: "state",
		ours: []string{
			"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/telemetry", "internal/wire", "internal/rpc",
			"state/store",
		},
		third: []string{grpc, otel},
		tests: []string{"state/stateclient", "state/store/batchstore"},
		why:   "serves a store over gRPC; decides nothing",
	}, {
		pkg: "runner",
		ours: []string{
			"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/engine", "internal/cron", "internal/expr",
			"internal/telemetry", "internal/runtelemetry", "internal/sdk", "internal/wire", "internal/rpc", "internal/queue", "state/store", "state/stateclient",
		},
		third: []string{grpc, otel},
		tests: []string{"runner/runnerclient"},
		why:   "decides what comes from outside: events, timers, schedules",
	}, {
		pkg:   "runner/scaler",
		ours:  []string{"proto/gen/externalscaler", "internal/stepwell", "internal/rpc", "internal/queue"},
		third: []string{grpc},
		why:   "tells KEDA how much is due; knows nothing of the runner beside it",
	}, {
		pkg: "executor",
		ours: []string{
			"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/engine", "internal/expr", "internal/sdk",
			"internal/telemetry", "internal/runtelemetry", "internal/wire", "internal/rpc", "internal/queue", "state/store", "state/stateclient",
		},
		third: []string{grpc, otel},
		tests: []string{"executor/executorclient"},
		why:   "decides what comes from apps: calls them and commits what they answered",
	}, {
		pkg: "event-api",
		ours: []string{
			"proto/gen/stepwell/*/v1", "internal/stepwell", "internal/cron", "internal/expr", "internal/sdk", "internal/config",
			"internal/telemetry", "internal/wire", "internal/rpc", "state/store", "state/stateclient", "runner/runnerclient",
			"executor/executorclient",
		},
		third: []string{grpc, jwt, otel},
		why:   "the public door: validates events and registrations, decides nothing, holds no queue",
	}, {
		pkg: "console", ours: []string{"internal/stepwell", "internal/rpc", "state/stateclient"}, third: []string{otel},
		why: "shows what the state service knows",
	}}
}

func programs() []rule {
	return []rule{{
		pkg: "standalone", ours: []string{everything}, third: []string{grpc, otel, xsync, yaml},
		why: "puts all services into one process; its tests read the alerts",
	}, {
		pkg: "standalone/cli", ours: []string{everything}, third: []string{cobra, otel, pflag, xterm},
		why: "the command line of the one binary",
	}, {
		pkg: "*/cmd/*", ours: []string{everything}, third: []string{cobra, grpc, otel},
		why: "programs wire what others wrote",
	}}
}
