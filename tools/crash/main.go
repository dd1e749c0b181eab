// Command crash runs the whole system as real processes, breaks them while events come in, and checks by the database
// and by an app of its own that the promises hold: an event answered with 200 is never lost, a recorded result never
// changes, every run ends, once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/stepwell/stepwell/tools/crash/fleet"
	"github.com/stepwell/stepwell/tools/crash/record"
	"github.com/stepwell/stepwell/tools/crash/witness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "crash:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// errBroken is what is said when a promise was broken.
var errBroken = errors.New("promises were broken")

// run does the trials. The table is printed for those that were done before a failure, too.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return fmt.Errorf("--bin: %w", err)
	}
	dir, err := os.MkdirTemp("", "stepwell-crash-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if err == nil && !o.keep {
			err = os.RemoveAll(dir)
			return
		}
		fmt.Fprintf(progress, "The logs and Postgres' data are in %s\n", dir)
	}()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // Postgres may run as somebody else
		return fmt.Errorf("open the folder to Postgres: %w", err)
	}
	config := fleet.Config{
		Bin: bin, Dir: dir, LeaseFor: leaseFor, EventKey: fmt.Sprintf("crash-%032x", o.seed),
		SigningKey: fmt.Sprintf("signkey-test-%064x", o.seed),
	}
	all, err := fleet.Start(ctx, config, func(ctx context.Context, f *fleet.Fleet) error {
		return record.Watch(ctx, f.URL(fleet.Postgres))
	})
	if err != nil {
		return fmt.Errorf("start the system: %w", err)
	}
	defer all.Close()
	app, err := witness.Start(ctx, witness.Config{
		Doors: all.Doors, EventKey: config.EventKey, SigningKey: config.SigningKey,
	})
	if err != nil {
		return err
	}
	defer app.Close()
	return trials(ctx, &rig{fleet: all, witness: app, progress: progress}, o, out)
}

// trials does one trial after the other, all of them even if promises are broken.
func trials(ctx context.Context, r *rig, o options, out io.Writer) error {
	var results []result
	var broken error
	for n := range o.trials {
		one, err := r.trial(ctx, o.seed+uint64(n), o)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			broken = fmt.Errorf("trial with seed %d: %w", o.seed+uint64(n), err)
			break
		}
		results = append(results, one)
		one.show(out, n+1)
		if len(one.violations) > 0 {
			broken = errBroken
		}
	}
	summarize(out, results, o)
	return broken
}
