package target

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Split is every service as a program of its own, in several replicas, as on a cluster.
func Split() Kind { return Kind{Name: "split", Keys: true, Costly: true, Start: startSplit} }

// replicas is how many there are of each service.
func replicas() map[string]int {
	return map[string]int{"state": 2, "runner": 2, "executor": 3, "event-api": 2}
}

// split is a server that is being started.
type split struct {
	settings Settings
	store    store
	keys     keys
	// network tells every program where the others are.
	network []string
	server  *Server
}

func startSplit(ctx context.Context, settings Settings) (*Server, error) {
	store, err := settings.Stores.next(ctx)
	if err != nil {
		return nil, err
	}
	keys := newKeys()
	s := &split{
		settings: settings, store: store, keys: keys,
		server: &Server{EventKey: keys.event, SigningKey: keys.signing, QueueDepthMax: queueDepthMax},
	}
	if err := s.start(ctx); err != nil {
		s.server.Stop()
		return nil, err
	}
	// Apps register at one door and publish at the other: what one replica learns, all must know.
	s.server.AppEnv = append(keys.appEnv(),
		"INNGEST_API_BASE_URL="+s.server.URLs[0], "INNGEST_EVENT_API_BASE_URL="+s.server.URLs[1])
	return s.server, nil
}

func (s *split) start(ctx context.Context) error {
	migrate := exec.CommandContext(ctx, s.settings.program("state"), "migrate") //nolint:gosec // the program under test
	migrate.Env = append(os.Environ(), s.store.databaseEnv()...)
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("state migrate: %w\n%s", err, output)
	}
	inside := map[string][]string{}
	for _, service := range []string{"state", "runner", "executor"} {
		for range replicas()[service] {
			address, err := freeAddress(ctx)
			if err != nil {
				return err
			}
			inside[service] = append(inside[service], address)
		}
		s.network = append(s.network, "--network-"+service, strings.Join(inside[service], ","))
	}
	env := map[string][]string{
		"state": s.store.databaseEnv(), "runner": s.store.redisEnv(),
		"executor": append(s.store.redisEnv(), s.keys.signingEnv()...),
	}
	settings := map[string][]string{
		"executor": {"--executor-retry-interval", retryInterval},
		"runner":   {"--runner-queue-depth-max", strconv.Itoa(queueDepthMax)},
	}
	for service, addresses := range inside { // in any order: none must wait for another
		for _, address := range addresses {
			arguments := append([]string{"--network-listen", address}, settings[service]...)
			if err := s.run(ctx, service, env[service], arguments...); err != nil {
				return err
			}
		}
	}
	for range replicas()["event-api"] {
		if err := s.openDoor(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openDoor starts an event-api.
func (s *split) openDoor(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.server.URLs = append(s.server.URLs, "http://"+address)
	host, port, _ := strings.Cut(address, ":")
	return s.run(ctx, "event-api", append(s.keys.eventEnv(), s.keys.signingEnv()...), "--host", host, "--port", port,
		"--grpc-port", "0", "--apps-poll-interval", pollInterval, "--apps-urls", strings.Join(s.settings.AppURLs, ","))
}

// run starts a program.
func (s *split) run(ctx context.Context, name string, env []string, arguments ...string) error {
	probes, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	program, err := process.Start(ctx, process.Command{
		Name: name + " with probes at " + probes, Program: s.settings.program(name), Env: env,
		Arguments: slices.Concat(s.network, arguments, []string{"--probe-address", probes}),
	})
	if err != nil {
		return err
	}
	s.server.Processes = append(s.server.Processes, program)
	s.server.Probes = append(s.server.Probes, "http://"+probes+"/readyz")
	return nil
}

// freeAddress is host:port of this machine where nothing listens.
func freeAddress(ctx context.Context) (string, error) {
	port, err := process.FreePort(ctx)
	return fmt.Sprintf("127.0.0.1:%d", port), err
}
