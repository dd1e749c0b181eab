package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"
)

const (
	// replicaScheme is the scheme under which gRPC asks for replicas.
	replicaScheme = "replicas"
	// resolveEvery is the time between look-ups of hosts: how soon a new replica gets work.
	resolveEvery = 5 * time.Second
	// resolveWaitMin is the least time between two, also when connections fail.
	resolveWaitMin = 200 * time.Millisecond
	// resolveTimeout bounds one look-up.
	resolveTimeout = 5 * time.Second
)

// target is a host with any number of replicas.
type target struct {
	host, port string
}

// replicas finds the replicas of a service by looking up its hosts again and again. gRPC's own resolver asks only when
// a connection fails, and after failed look-ups not for minutes; so it would neither see new replicas, nor soon a
// service that starts after its callers.
type replicas struct {
	targets []target
	lookup  func(ctx context.Context, host string) ([]string, error)
	every   time.Duration
}

var _ resolver.Builder = replicas{}

// Scheme implements resolver.Builder.
func (replicas) Scheme() string { return replicaScheme }

// Build implements resolver.Builder.
func (r replicas) Build(
	_ resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions,
) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &replicaWatch{
		replicas: r, conn: conn, found: make([][]string, len(r.targets)),
		now: make(chan struct{}, 1), stop: cancel, stopped: make(chan struct{}),
	}
	go w.run(ctx) // Close waits for it
	return w, nil
}

// replicaWatch tells one connection what replicas there are.
type replicaWatch struct {
	replicas
	conn resolver.ClientConn
	// found are the addresses of each target, as far as they are known.
	found   [][]string
	now     chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}
}

// ResolveNow implements resolver.Resolver.
func (w *replicaWatch) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case w.now <- struct{}{}:
	default:
	}
}

// Close implements resolver.Resolver.
func (w *replicaWatch) Close() {
	w.stop()
	<-w.stopped
}

func (w *replicaWatch) run(ctx context.Context) {
	defer close(w.stopped)
	var told []string
	for ctx.Err() == nil {
		addresses, err := w.resolve(ctx)
		switch {
		case ctx.Err() != nil:
		case len(addresses) == 0:
			told = nil
			w.conn.ReportError(fmt.Errorf("no replica found: %w", cmp.Or(err, errNoAddress)))
		case !slices.Equal(addresses, told):
			told = addresses
			_ = w.conn.UpdateState(w.state()) // what gRPC makes of it, calls are told
		}
		wait(ctx, resolveWaitMin, nil)
		wait(ctx, w.every-resolveWaitMin, w.now)
	}
}

// errNoAddress is why there is no replica, if hosts are known.
var errNoAddress = errors.New("hosts have no addresses")

// wait waits, at most until the context ends or it is woken.
func wait(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-woken:
	}
}

// resolve looks up every target and returns all addresses. A target whose look-up fails keeps those that it had, unless
// there is no such host.
func (w *replicaWatch) resolve(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var all []string
	var problems []error
	for i, target := range w.targets {
		hosts, err := w.lookup(ctx, target.host)
		var unknown *net.DNSError
		switch {
		case err == nil:
			w.found[i] = nil
			for _, host := range hosts {
				w.found[i] = append(w.found[i], net.JoinHostPort(host, target.port))
			}
			slices.Sort(w.found[i])
		case errors.As(err, &unknown) && unknown.IsNotFound:
			w.found[i] = nil
			fallthrough
		default:
			problems = append(problems, err)
		}
		all = append(all, w.found[i]...)
	}
	return all, errors.Join(problems...)
}

// state is what was found, as gRPC needs it: each address with the host that its certificate must name.
func (w *replicaWatch) state() resolver.State {
	var state resolver.State
	for i, target := range w.targets {
		for _, address := range w.found[i] {
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{
				Addresses: []resolver.Address{{Addr: address, ServerName: target.host}},
			})
		}
	}
	return state
}
