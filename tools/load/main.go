// Command load measures a running server from outside. It speaks the SDK protocol itself, with an app in this process
// that does no work, so that what it measures is the server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// settings are the flags.
type settings struct {
	server   string
	scenario string
	count    int
	steps    int
	pause    time.Duration
	pids     []int
	asJSON   bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args, out)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, s.server)
	if err != nil {
		return err
	}
	defer a.close()
	var result report
	switch s.scenario {
	case "idle":
		result, err = idle(ctx, s, a)
	default:
		err = fmt.Errorf("scenario %q is unknown: use idle", s.scenario)
	}
	if err != nil {
		return err
	}
	if s.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	return result.print(out)
}

func parse(args []string, out io.Writer) (settings, error) {
	s := settings{}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.server, "server", "http://localhost:8288", "the server to measure")
	flags.StringVar(&s.scenario, "scenario", "idle", "idle: one run at a time on an idle server")
	flags.IntVar(&s.count, "count", 200, "how many runs")
	flags.IntVar(&s.steps, "steps", 5, "steps of each run")
	flags.DurationVar(&s.pause, "pause", 20*time.Millisecond, "pause between runs")
	flags.Func("pid", "a process whose CPU time is counted; may be repeated", func(text string) error {
		pid, err := strconv.Atoi(text)
		s.pids = append(s.pids, pid)
		return err
	})
	flags.BoolVar(&s.asJSON, "json", false, "print JSON")
	flags.Usage = func() {
		fmt.Fprint(out, "Measures a running server.\n\n  stepwell dev --no-discovery &\n  load --scenario idle --pid $!\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.server = strings.TrimRight(s.server, "/")
	if s.count < 1 || s.steps < 1 {
		return s, errors.New("--count and --steps must be above 0")
	}
	return s, nil
}
