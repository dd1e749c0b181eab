package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
	"github.com/stepwell/stepwell/tools/load/scenario"
)

// options are what the command line says.
type options struct {
	servers   []server
	scenarios []scenario.Scenario
	sizes     scenario.Settings
	rounds    int
	asJSON    bool
}

// server is a server to measure.
type server struct {
	app   app.Config
	meter meter.Config
}

// serversMax is how many servers can be compared.
const serversMax = 2

// roundsMax bounds how often a case is run on a server.
const roundsMax = 100

const introduction = `Measures a running server.

  stepwell dev --no-discovery &
  load --scenario flood --pid stepwell=$!

With a second --url it runs everything on both servers in turn and compares them. The flags that describe a server
belong to the --url before them.

`

func parse(args []string, out io.Writer) (options, error) {
	o := options{sizes: scenario.Defaults(), rounds: 1}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, introduction, "Scenarios:\n")
		for _, s := range scenario.All() {
			fmt.Fprintf(out, "  %-8s %s\n", s.Name, s.About)
		}
		fmt.Fprint(out, "\nFlags:\n")
		flags.PrintDefaults()
	}
	serverFlags(flags, &o)
	sizeFlags(flags, &o.sizes)
	names := flags.String("scenario", "all", "scenarios to run, separated by commas; all means each of them")
	mode := flags.String("mode", "both", "how runs do their steps: checkpoint, plain or both")
	flags.IntVar(&o.rounds, "rounds", o.rounds, "how often each case is run on each server; the medians are shown")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	return o, o.complete(*names, *mode)
}

// complete checks what flags cannot check themselves.
func (o *options) complete(names, mode string) error {
	switch mode {
	case "checkpoint", "plain", "both":
		o.sizes.Checkpoint, o.sizes.Plain = mode != "plain", mode != "checkpoint"
	default:
		return fmt.Errorf("--mode is %q: use checkpoint, plain or both", mode)
	}
	if o.rounds < 1 || o.rounds > roundsMax {
		return fmt.Errorf("--rounds is %d: use 1 to %d", o.rounds, roundsMax)
	}
	var known []string
	for _, s := range scenario.All() {
		known = append(known, s.Name)
		if names == "all" || slices.Contains(strings.Split(names, ","), s.Name) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	if names != "all" {
		for name := range strings.SplitSeq(names, ",") {
			if !slices.Contains(known, name) {
				return fmt.Errorf("scenario %q is unknown: use all, %s", name, strings.Join(known, ", "))
			}
		}
	}
	return o.sizes.Validate()
}

// serverFlags are those that describe the server of the --url before them.
func serverFlags(flags *flag.FlagSet, o *options) {
	fresh := server{app: app.Config{
		Name: "load", Server: "http://localhost:8288", Listen: "127.0.0.1:0", EventKey: "load",
	}}
	o.servers = []server{fresh}
	isFirst := true
	flags.Func("url", "a server to measure (default http://localhost:8288); twice to compare two", func(url string) error {
		switch {
		case isFirst:
			isFirst = false
		case len(o.servers) == serversMax:
			return fmt.Errorf("%d servers are as many as can be compared", serversMax)
		default:
			o.servers = append(o.servers, fresh)
			last(o).app.Name = "load-second" // the same server may be given twice
		}
		last(o).app.Server = strings.TrimRight(url, "/")
		return nil
	})
	text := func(name, usage string, field func(*server) *string) {
		flags.Func(name, usage, func(value string) error {
			*field(last(o)) = value
			return nil
		})
	}
	text("event-key", "its event key", func(s *server) *string { return &s.app.EventKey })
	text("signing-key", "its signing key", func(s *server) *string { return &s.app.SigningKey })
	text("app-listen", "address of the app (default 127.0.0.1, any port)", func(s *server) *string { return &s.app.Listen })
	text("app-url", "URL at which it reaches the app, if that is not its address", func(s *server) *string { return &s.app.URL })
	text("postgres-url", "its Postgres, to count what it does", func(s *server) *string { return &s.meter.PostgresURL })
	text("redis-url", "its Redis, to count what it does", func(s *server) *string { return &s.meter.RedisURL })
	flags.BoolFunc("verify", "check the signatures of its calls", func(value string) error {
		verify, err := strconv.ParseBool(value)
		last(o).app.Verify = verify
		return err
	})
	flags.Func("pid", "NAME=PID of a process to count, with its children; may be repeated", func(value string) error {
		process, err := meter.ParseProcess(value)
		last(o).meter.Processes = append(last(o).meter.Processes, process)
		return err
	})
}

func last(o *options) *server { return &o.servers[len(o.servers)-1] }

// sizeFlags are the sizes of the scenarios.
func sizeFlags(flags *flag.FlagSet, s *scenario.Settings) {
	flags.IntVar(&s.Publishers, "publishers", s.Publishers, "how many publish at the same time")
	flags.IntVar(&s.Batch, "batch", s.Batch, "events of one request, where a scenario does not say otherwise")
	flags.DurationVar(&s.Timeout, "timeout", s.Timeout, "how long runs may take to end")
	flags.DurationVar(&s.Watch, "watch", s.Watch, "how long a server that does nothing is watched")
	flags.IntVar(&s.IngestEvents, "ingest-events", s.IngestEvents, "ingest: how many events")
	list(flags, &s.IngestBatches, "ingest-batches", "ingest: events of one request, one case for each")
	flags.IntVar(&s.FloodRuns, "flood-runs", s.FloodRuns, "flood: how many runs")
	list(flags, &s.FloodSteps, "flood-steps", "flood: steps of a run, one case for each")
	flags.IntVar(&s.SteadyRate, "steady-rate", s.SteadyRate, "steady: runs started in a second")
	flags.DurationVar(&s.SteadyFor, "steady-for", s.SteadyFor, "steady: for how long")
	flags.IntVar(&s.SteadySteps, "steady-steps", s.SteadySteps, "steady: steps of a run")
	flags.IntVar(&s.IdleRuns, "idle-runs", s.IdleRuns, "idle: how many runs")
	flags.IntVar(&s.IdleSteps, "idle-steps", s.IdleSteps, "idle: steps of a run")
	flags.DurationVar(&s.IdlePause, "idle-pause", s.IdlePause, "idle: pause between runs")
	flags.IntVar(&s.SleepsCount, "sleeps-count", s.SleepsCount, "sleeps: parallel sleeps of a run")
	flags.IntVar(&s.SleepsRuns, "sleeps-runs", s.SleepsRuns, "sleeps: how many runs in the second case")
	flags.DurationVar(&s.SleepsFor, "sleeps-for", s.SleepsFor, "sleeps: how long each is")
	flags.IntVar(&s.WaitingRuns, "waiting-runs", s.WaitingRuns, "waiting: how many runs")
	flags.DurationVar(&s.WaitingFor, "waiting-for", s.WaitingFor, "waiting: how long they sleep, if they cannot be cancelled")
	flags.IntVar(&s.LimitsRuns, "limits-runs", s.LimitsRuns, "limits: how many runs, with and without a limit")
	flags.IntVar(&s.LimitsKeys, "limits-keys", s.LimitsKeys, "limits: how many keys they have")
	list(flags, &s.LimitsWaiting, "limits-waiting", "limits: how many runs wait while others are started, one case for each")
	list(flags, &s.WaitsRuns, "waits-runs", "waits: how many runs wait, one case for each, few first")
	flags.IntVar(&s.WaitsEvents, "waits-events", s.WaitsEvents, "waits: how many of them are resumed in a case")
	flags.IntVar(&s.WaitsRate, "waits-rate", s.WaitsRate, "waits: events published in a second")
	flags.DurationVar(&s.WaitsFor, "waits-for", s.WaitsFor, "waits: how long those wait that are not resumed")
}

// list is a flag of numbers separated by commas.
func list(flags *flag.FlagSet, numbers *[]int, name, usage string) {
	shown := strings.Trim(strings.ReplaceAll(fmt.Sprint(*numbers), " ", ","), "[]")
	flags.Func(name, fmt.Sprintf("%s (default %s)", usage, shown), func(value string) error {
		*numbers = nil
		for text := range strings.SplitSeq(value, ",") {
			number, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			*numbers = append(*numbers, number)
		}
		return nil
	})
}
