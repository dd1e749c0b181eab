package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/httpserver"
	"github.com/stepwell/stepwell/services/internal/process"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Process is a program that is being composed.
type Process struct {
	// Log is the program's log.
	Log *slog.Logger
	// Telemetry is what services measure and trace with.
	Telemetry telemetry.Telemetry

	level   slog.LevelVar
	probes  *Probes
	parts   []process.Part
	closers []func(ctx context.Context) error
	// certificates are those that are open.
	certificates map[certificate.Files]*certificate.Source
}

// Probes answer whether the program is alive and ready.
func (p *Process) Probes() *Probes { return p.probes }

// Add adds a part that runs until its context ends. Parts are stopped in reverse order.
func (p *Process) Add(name string, run func(ctx context.Context) error) {
	p.parts = append(p.parts, process.Part{Name: name, Run: run})
}

// NeedsReady makes the program's readiness depend on something. ready returns what is wrong, with what to do.
func (p *Process) NeedsReady(name string, ready func(ctx context.Context) error) {
	p.probes.add(name, ready)
}

// OnExit has something closed when all parts have ended; what was opened last is closed first.
func (p *Process) OnExit(closer func(ctx context.Context) error) {
	p.closers = append(p.closers, closer)
}

// closeTimeout bounds closing.
const closeTimeout = 5 * time.Second

func (p *Process) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var problems []error
	for _, closer := range slices.Backward(p.closers) {
		problems = append(problems, closer(ctx))
	}
	return errors.Join(problems...)
}

// run composes the program and runs it until a signal says to stop. A second signal ends it at once. name is the
// command that the log says was started.
func (p Program) run(ctx context.Context, name string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	made := &Process{}
	made.level.Set(p.Common.LogLevel)
	made.Log = p.Common.logger(out, &made.level)
	made.probes = newProbes(made.Log)
	metrics, err := p.openTelemetry(ctx, name, made)
	if err == nil {
		err = p.Compose(ctx, made)
	}
	if err == nil {
		err = errors.Join(p.addProbeListener(ctx, made), p.addAdminListener(ctx, made, metrics))
	}
	if err != nil {
		return errors.Join(err, made.close(ctx))
	}
	made.Add("readiness", made.probes.watch)

	working, finish := context.WithCancel(context.WithoutCancel(ctx))
	defer finish()
	untold := context.AfterFunc(ctx, func() {
		stop() // the next signal is nobody's but the system's
		made.Log.InfoContext(working, "stopping", slog.Duration("drain_delay", p.Common.DrainDelay))
		made.probes.drain()
		time.AfterFunc(p.Common.DrainDelay, finish)
	})
	defer untold() // a program that ended by itself was not told to stop
	made.Log.InfoContext(ctx, "starting", slog.String("program", name), slog.String("version", p.Version))
	err = process.Run(working, made.Log, made.parts...)
	err = errors.Join(err, made.close(ctx))
	if err == nil {
		made.Log.InfoContext(working, "stopped")
	}
	return err
}

// openTelemetry makes what the program measures and traces with, and returns what hands out its metrics. It is closed
// after everything that has something to tell.
func (p Program) openTelemetry(ctx context.Context, name string, made *Process) (http.Handler, error) {
	instance, err := os.Hostname()
	if err != nil {
		instance = rand.Text()
	}
	exporters, err := telemetry.Open(ctx, p.Common.Telemetry, telemetry.Program{
		Name: serviceName(name), Version: p.Version, Instance: instance + "-" + strconv.Itoa(os.Getpid()),
		Scraped: p.Common.Admin.Address != "", Log: made.Log,
	})
	if err != nil {
		return nil, err
	}
	made.Telemetry = exporters.Telemetry()
	made.OnExit(func(ctx context.Context) error {
		if err := exporters.Close(ctx); err != nil { // no reason for the program to fail
			made.Log.WarnContext(ctx, "telemetry that was left is lost", slog.String("error", err.Error()))
		}
		return nil
	})
	return exporters.Handler(), nil
}

// serviceName is what collectors call the program that a command runs: stepwell, stepwell-executor.
func serviceName(command string) string {
	program, _, _ := strings.Cut(command, " ")
	if program == "stepwell" {
		return program
	}
	return "stepwell-" + program
}

// addProbeListener serves the probes at an address of their own, if there is one.
func (p Program) addProbeListener(ctx context.Context, made *Process) error {
	if p.Common.ProbeAddress == "" {
		return nil
	}
	listener, err := made.Listen(ctx, "probe_address", p.Common.ProbeAddress)
	if err != nil {
		return err
	}
	routes, health := made.probes.Routes(), http.NewServeMux()
	health.Handle("GET /health", routes["GET /livez"])
	made.Add("probes over HTTP", httpserver.New(listener, httpserver.Beside(routes, health)).Run)
	return nil
}
