// Command load measures a running server from outside. It speaks the SDK protocol itself, with an app in this process
// that does no work, so that what it measures is the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// run measures as the arguments say. What was measured before a failure is printed too.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(progress, nil))
	rigs, err := open(ctx, o, log)
	defer rigs.close()
	if err != nil {
		return err
	}
	results, err := measure(ctx, o, rigs, log)
	return errors.Join(err, show(out, o, results))
}
