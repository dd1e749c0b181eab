package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/event-api/discovery"
	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/standalone"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// devOptions are the flags of the dev server.
type devOptions struct {
	host         string
	port         int
	grpcPort     int
	discovery    discovery.Config
	noDiscovery  bool
	runner       runner.Config
	executor     executor.Config
	memory       memstore.Config
	logLevel     slog.Level
	version      string
	logLevelText string
}

func newDev(version string) *cobra.Command {
	o := devOptions{
		version: version, runner: runner.DefaultConfig(), executor: executor.DefaultConfig(), memory: memstore.DefaultConfig(),
		discovery: discovery.Config{Interval: 5 * time.Second},
	}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the dev server: everything in one process, in memory, without keys",
		Long: `Run the dev server: everything in one process, in memory, without keys.

Apps find it by themselves if they run with INNGEST_DEV=1 (INNGEST_DEV=http://localhost:PORT for another port than 8288).
It finds apps at the URLs given, and at the usual local ports.`,
		Example: `  stepwell dev
  stepwell dev --urls http://localhost:4000/api/inngest --no-discovery
  stepwell dev --retry-interval 1s   # failed steps are tried again soon`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.logLevel.UnmarshalText([]byte(o.logLevelText)); err != nil {
				return fmt.Errorf("--log-level is %q: use debug, info, warn or error", o.logLevelText)
			}
			o.discovery.Scan = !o.noDiscovery
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return o.run(ctx, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.host, "host", "localhost", "where to listen; there are no keys, so leave it on this machine")
	flags.IntVar(&o.port, "port", 8288, "port for HTTP")
	flags.IntVar(&o.grpcPort, "grpc-port", 8289, "port for gRPC; 0 for none")
	flags.StringSliceVarP(&o.discovery.URLs, "urls", "u", nil, "serve endpoints of apps; may be repeated")
	flags.BoolVar(&o.noDiscovery, "no-discovery", false, "do not look for apps at the usual local ports")
	flags.DurationVar(&o.discovery.Interval, "poll-interval", o.discovery.Interval, "how often apps are asked what they serve")
	flags.DurationVar(&o.executor.RetryInterval, "retry-interval", 0,
		"wait after a first failed attempt, from which the later ones grow; 0 means 15s, as in production")
	flags.IntVar(&o.runner.QueueDepthMax, "queue-depth-max", o.runner.QueueDepthMax,
		"how many items of one function may wait before events that start it are refused with 429; 0 for any number")
	flags.IntVar(&o.memory.RunsMax, "runs-max", o.memory.RunsMax, "how many finished runs are kept")
	flags.StringVar(&o.logLevelText, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (o *devOptions) validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(o.port > 0 && o.port < 1<<16, "--port is %d, it must be 1 to 65535", o.port)
	check(o.grpcPort >= 0 && o.grpcPort < 1<<16, "--grpc-port is %d, it must be 0 to 65535", o.grpcPort)
	check(o.port != o.grpcPort, "--port and --grpc-port are both %d", o.port)
	check(o.discovery.Interval >= 100*time.Millisecond, "--poll-interval is %s, it must be at least 100ms", o.discovery.Interval)
	check(o.executor.RetryInterval >= 0, "--retry-interval is %s, it cannot be below 0", o.executor.RetryInterval)
	check(o.runner.QueueDepthMax >= 0, "--queue-depth-max is %d, it cannot be below 0", o.runner.QueueDepthMax)
	check(o.memory.RunsMax > 0, "--runs-max is %d, it must be above 0", o.memory.RunsMax)
	for _, url := range o.discovery.URLs {
		check(strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://"),
			"--urls: %q is not a URL such as http://localhost:3000/api/inngest", url)
	}
	return errors.Join(problems...)
}

func (o *devOptions) run(ctx context.Context, out io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	httpListeners, err := listen(ctx, o.host, o.port)
	if err != nil {
		return err
	}
	var grpcListeners []rpc.Listener
	if o.grpcPort != 0 {
		listeners, err := listen(ctx, o.host, o.grpcPort)
		if err != nil {
			return err
		}
		for _, listener := range listeners {
			grpcListeners = append(grpcListeners, rpc.NewListener(listener, nil, rpc.DrainDefault))
		}
	}
	system, err := standalone.New(standalone.Config{Runner: o.runner, Executor: o.executor, Discovery: o.discovery}, standalone.Deps{
		Store: memstore.New(o.memory), Queue: memqueue.New(), Keys: eventapi.OpenKeys{},
		HTTP: httpListeners, GRPC: grpcListeners, Transport: executor.NewTransport(), Gateway: executor.NewTransport(),
		Dial: (&net.Dialer{}).DialContext, ServerKind: sdk.KindDev,
		Routes: map[string]http.Handler{"GET /dev": http.HandlerFunc(o.serveDev)},
		Log:    slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: o.logLevel})),
	})
	if err != nil {
		return err
	}
	o.greet(out)
	return system.Run(ctx)
}

// listen listens at the host's port; on both loopback addresses for localhost, since programs differ in which they try.
func listen(ctx context.Context, host string, port int) ([]net.Listener, error) {
	hosts := []string{host}
	if host == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	}
	var config net.ListenConfig
	var listeners []net.Listener
	var problems []error
	for _, h := range hosts {
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(h, strconv.Itoa(port)))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		listeners = append(listeners, listener)
	}
	// A machine may have no IPv6; but a port that somebody else has is a problem on any address.
	if len(listeners) == 0 || errors.Is(errors.Join(problems...), syscall.EADDRINUSE) {
		for _, listener := range listeners {
			problems = append(problems, listener.Close())
		}
		return nil, fmt.Errorf("cannot listen on port %d: %w. Is another server running? Choose another port with --port or --grpc-port",
			port, errors.Join(problems...))
	}
	return listeners, nil
}

// greet says where the server listens and what to do next.
func (o *devOptions) greet(out io.Writer) {
	origin := "http://" + net.JoinHostPort(o.host, strconv.Itoa(o.port))
	dev := "1"
	if o.port != 8288 {
		dev = origin
	}
	fmt.Fprintf(out, "Stepwell dev %s: in memory, without keys, for this machine only\n\n", o.version)
	fmt.Fprintf(out, "  HTTP   %s\n", origin)
	if o.grpcPort != 0 {
		fmt.Fprintf(out, "  gRPC   %s\n", net.JoinHostPort(o.host, strconv.Itoa(o.grpcPort)))
	}
	for _, url := range o.discovery.URLs {
		fmt.Fprintf(out, "  app    %s\n", url)
	}
	if o.discovery.Scan {
		fmt.Fprintln(out, "  apps   looked for at the usual local ports")
	}
	fmt.Fprintf(out, "\nRun your app with INNGEST_DEV=%s. Then: stepwell send NAME --data '{}', stepwell runs show\n\n", dev)
}

// serveDev serves GET /dev, by which version 3 of the JS SDK finds a dev server.
func (o *devOptions) serveDev(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(sdk.HeaderServerKind, sdk.KindDev)
	_ = printJSON(w, map[string]any{ // a client that has gone is nobody's error
		"version": o.version, "authed": false, "isSingleNodeService": false, "isMissingSigningKey": false,
		"isMissingEventKeys": false, "functions": []string{}, "handlers": []string{}, "features": map[string]any{},
		"startOpts": map[string]any{
			"urls": o.discovery.URLs, "autodiscover": o.discovery.Scan, "poll": true,
			"poll_interval":  int(o.discovery.Interval.Seconds()),
			"retry_interval": int(o.executor.RetryInterval.Seconds()), "require_keys": false,
		},
	})
}
