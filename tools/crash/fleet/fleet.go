// Package fleet runs a whole system of real processes: Postgres, Redis and several of each service. It starts again what
// ends, and breaks what it is told to break.
//
// It must not know what the system is for, nor judge it.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config says what to start.
type Config struct {
	// Bin is the folder of the programs, Dir that of their logs and data.
	Bin, Dir string
	// EventKey and SigningKey are those of all services.
	EventKey, SigningKey string
	// LeaseFor is how long an item stays with an executor that says nothing.
	LeaseFor time.Duration
}

// Fleet is the running system.
type Fleet struct {
	// Doors are the URLs of the event-apis.
	Doors []string
	// Logs is the folder of the logs.
	Logs string

	members []*Member
	client  *http.Client
	stop    context.CancelFunc
}

// Count is how many there are of a kind.
func Count(kind Kind) int {
	switch kind {
	case Executor:
		return 3
	case EventAPI, Runner, State:
		return 2
	case Postgres, Redis:
		return 1
	}
	return 0
}

const (
	// startTimeout bounds how long a member may take to be ready.
	startTimeout = 60 * time.Second
	// askEvery is how often one is asked that is not ready yet, askTimeout bounds each question.
	askEvery   = 50 * time.Millisecond
	askTimeout = 2 * time.Second
)

// Start starts the system and waits until it is ready. prepare is called when the database has its tables and no service
// runs yet.
func Start(ctx context.Context, c Config, prepare func(ctx context.Context, f *Fleet) error) (*Fleet, error) {
	ctx, stop := context.WithCancel(ctx)
	f := &Fleet{Logs: c.Dir, stop: stop, client: &http.Client{Timeout: askTimeout}}
	err := f.start(ctx, c, prepare)
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context, c Config, prepare func(ctx context.Context, f *Fleet) error) error {
	free := &ports{}
	postgres, err1 := newPostgres(ctx, c.Dir, free)
	redis, err2 := newRedis(ctx, c.Dir, free)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	f.add(ctx, postgres, redis)
	if err := f.Ready(ctx); err != nil {
		return err
	}
	migrate := exec.CommandContext(ctx, filepath.Join(c.Bin, string(State)), "migrate", "--database-url", postgres.url) //nolint:gosec // the fleet says what it starts
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("state migrate: %w: %s", err, output)
	}
	if err := prepare(ctx, f); err != nil {
		return err
	}
	services, err := f.services(ctx, c, free)
	if err != nil {
		return err
	}
	f.add(ctx, services...)
	return f.Ready(ctx)
}

func (f *Fleet) add(ctx context.Context, members ...*Member) {
	for _, m := range members {
		m.start(ctx, f.Logs)
		f.members = append(f.members, m)
	}
}

// services are all processes of ours.
func (f *Fleet) services(ctx context.Context, c Config, free *ports) ([]*Member, error) {
	states, err1 := free.addresses(ctx, Count(State))
	runners, err2 := free.addresses(ctx, Count(Runner))
	executors, err3 := free.addresses(ctx, Count(Executor))
	doors, err4 := free.addresses(ctx, Count(EventAPI))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	redisURL := f.URL(Redis)
	shared := []string{
		"--log-format", "text", "--network-state", strings.Join(states, ","),
		"--network-runner", strings.Join(runners, ","), "--network-executor", strings.Join(executors, ","),
	}
	var services []*Member
	add := func(kind Kind, n int, probe string, arguments ...string) {
		services = append(services, &Member{
			Kind: kind, Name: fmt.Sprintf("%s-%d", kind, n+1), death: syscall.SIGKILL,
			program: filepath.Join(c.Bin, string(kind)), arguments: append(arguments, shared...),
			alive: func(ctx context.Context) error { return f.probe(ctx, "http://"+probe+"/livez") },
			ready: func(ctx context.Context) error { return f.probe(ctx, "http://"+probe+"/readyz") },
		})
	}
	inner := func(kind Kind, addresses []string, arguments ...string) error {
		for i, address := range addresses {
			probe, err := free.address(ctx)
			if err != nil {
				return err
			}
			add(kind, i, probe, append([]string{"--network-listen", address, "--probe-address", probe}, arguments...)...)
		}
		return nil
	}
	// Whatever waits in the defaults is shortened, so that a trial is.
	err := errors.Join(
		inner(State, states, "--database-url", f.URL(Postgres)),
		inner(Runner, runners, "--redis-url", redisURL, "--runner-route-every", "500ms", "--runner-rebuild-every", "500ms",
			"--runner-reconcile-every", "1s", "--runner-overdue-after", "1s", "--runner-lost-leases-for", c.LeaseFor.String()),
		inner(Executor, executors, "--redis-url", redisURL, "--executor-lease-for", c.LeaseFor.String(),
			"--executor-retry-interval", "200ms", "--signing-key", c.SigningKey),
	)
	for i, door := range doors {
		f.Doors = append(f.Doors, "http://"+door)
		host, port, _ := strings.Cut(door, ":")
		add(EventAPI, i, door, "--host", host, "--port", port, "--grpc-port", "0",
			"--event-key", c.EventKey, "--signing-key", c.SigningKey)
	}
	return services, err
}

// Members are those of a kind, in their order.
func (f *Fleet) Members(kind Kind) []*Member {
	var found []*Member
	for _, m := range f.members {
		if m.Kind == kind {
			found = append(found, m)
		}
	}
	return found
}

// URL is where the one member of a kind is.
func (f *Fleet) URL(kind Kind) string { return f.Members(kind)[0].url }

// Ready waits until every member works.
func (f *Fleet) Ready(ctx context.Context) error {
	return f.wait(ctx, func(m *Member) func(context.Context) error { return m.ready })
}

// Alive waits until every member answers. Services may not have noticed yet that others are back.
func (f *Fleet) Alive(ctx context.Context) error {
	return f.wait(ctx, func(m *Member) func(context.Context) error { return m.alive })
}

func (f *Fleet) wait(ctx context.Context, question func(*Member) func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, m := range f.members {
		for {
			err := ask(ctx, question(m))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready after %s, see %s: %w", m.Name, startTimeout, m.log, err)
			case <-time.After(askEvery):
			}
		}
	}
	return nil
}

func ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return question(ctx)
}

func (f *Fleet) probe(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s was answered %d", url, response.StatusCode)
	}
	return nil
}

// Close ends everything, and waits until it is gone.
func (f *Fleet) Close() {
	f.stop()
	var ending sync.WaitGroup // waited for below
	for _, m := range f.members {
		ending.Go(func() { <-m.done })
	}
	ending.Wait()
	f.client.CloseIdleConnections()
}
