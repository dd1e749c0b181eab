package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// How both ends of a connection over TCP treat it.
const (
	// pingEvery and pingTimeout bound how long a dead peer goes unnoticed. A server takes pings that are twice as
	// frequent, and closes the connection on a client with more.
	pingEvery   = 20 * time.Second
	pingTimeout = 10 * time.Second
	// connectTimeout bounds one attempt to connect, its handshake included; connectWaitMin and connectWaitMax are the
	// waits between attempts.
	connectTimeout = 5 * time.Second
	connectWaitMin = 50 * time.Millisecond
	connectWaitMax = 2 * time.Second
	// connectionAgeMax is how long a connection lives, so that new replicas get work also behind a load balancer of
	// connections. Calls that are under way have until connectionAgeGrace, which is longer than any of ours.
	connectionAgeMax   = 5 * time.Minute
	connectionAgeGrace = 2 * DeadlineDefault
	// StreamMax is how long a stream may last without its connection being closed under it.
	StreamMax = connectionAgeGrace - 10*time.Second
	// callsPerConnectionMax bounds the calls that one client has under way.
	callsPerConnectionMax = 1000
	// headerBytesMax bounds the headers of a call, which are kept in memory before anybody looks at them.
	headerBytesMax = 64 << 10
)

// serviceConfig says how clients call. Every call goes to the next replica; with none, it waits until its deadline.
// Every RPC of ours is idempotent, so one that got no answer is made again, within its deadline. A failure takes one of
// 1000 tokens and a success gives back a tenth; with half of them gone nothing is tried again. So all calls of a replica
// that is killed get their chance, and a service that is down is not asked three times as often.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [{}],
		"waitForReady": true,
		"retryPolicy": {
			"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 3,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}],
	"retryThrottling": {"maxTokens": 1000, "tokenRatio": 0.1}
}`

// TCPConfig says where services are.
type TCPConfig struct {
	// Addresses are where this process's services listen, by name: ":9000".
	Addresses map[string]string
	// Targets are where services are called, by name: "state:9000", several with commas between, each with or without
	// "dns:///" before it. Every address that a host has is a replica.
	Targets map[string]string
	// Credentials secure connections, at both ends; nil for none.
	Credentials credentials.TransportCredentials
	// DrainFor bounds how long a stopping server waits for calls that are under way.
	DrainFor time.Duration
	// LookupHost returns the addresses of a host; nil for the usual way.
	LookupHost func(ctx context.Context, host string) ([]string, error)
}

// TCP is a network between processes.
type TCP struct {
	config  TCPConfig
	targets map[string][]target
	// resolveEvery is the time between two look-ups of hosts, age how old a connection gets.
	resolveEvery, age time.Duration
}

var _ Network = (*TCP)(nil)

// NewTCP checks the configuration and connects nothing. The error names every problem.
func NewTCP(config TCPConfig) (*TCP, error) {
	t := &TCP{
		config: config, targets: map[string][]target{}, resolveEvery: resolveEvery, age: connectionAgeMax,
	}
	var problems []error
	if config.DrainFor < 0 {
		problems = append(problems, fmt.Errorf("drain_for is %s, it cannot be below 0", config.DrainFor))
	}
	for name, address := range config.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			problems = append(problems, fmt.Errorf("address of %s is %q, it must be like :9000", name, address))
		}
	}
	for name, text := range config.Targets {
		targets, err := parseTargets(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("target of %s: %w", name, err))
		}
		t.targets[name] = targets
	}
	if t.config.Credentials == nil {
		t.config.Credentials = insecure.NewCredentials()
	}
	if t.config.LookupHost == nil {
		t.config.LookupHost = net.DefaultResolver.LookupHost
	}
	return t, errors.Join(problems...)
}

// parseTargets reads "host:port", several with commas between.
func parseTargets(text string) ([]target, error) {
	var targets []target
	for part := range strings.SplitSeq(text, ",") {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimSpace(part), "dns:///"))
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%q is not like state:9000, or several such with commas between", text)
		}
		targets = append(targets, target{host: host, port: port})
	}
	return targets, nil
}

// Listen implements Network.
func (t *TCP) Listen(name string) (Listener, error) {
	address, known := t.config.Addresses[name]
	if !known {
		return Listener{}, fmt.Errorf("listen as %s: no address is configured", name)
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return Listener{}, fmt.Errorf("listen as %s: %w", name, err)
	}
	return newListener(listener, t.config.Credentials, t.config.DrainFor, t.age), nil
}

// NewListener makes a listener of TCP, such as the public door's, one for a server. drainFor bounds how long the server
// waits for calls that are under way when it stops; secured may be nil.
func NewListener(
	listener net.Listener, secured credentials.TransportCredentials, drainFor time.Duration,
) Listener {
	if secured == nil {
		secured = insecure.NewCredentials()
	}
	return newListener(listener, secured, drainFor, connectionAgeMax)
}

func newListener(
	listener net.Listener, secured credentials.TransportCredentials, drainFor, age time.Duration,
) Listener {
	return Listener{Listener: listener, drainFor: drainFor, options: []grpc.ServerOption{
		grpc.Creds(secured),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.MaxConcurrentStreams(callsPerConnectionMax),
		grpc.MaxHeaderListSize(headerBytesMax),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: age, MaxConnectionAgeGrace: connectionAgeGrace, Time: pingEvery, Timeout: pingTimeout,
		}),
	}}
}

// Dial implements Network.
func (t *TCP) Dial(name string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	targets, known := t.targets[name]
	if !known {
		return nil, fmt.Errorf("connect to %s: no target is configured", name)
	}
	options := append(append(dialOptions(), more...),
		grpc.WithTransportCredentials(t.config.Credentials),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// What cannot be kept for another attempt is not tried again.
		grpc.WithDefaultCallOptions(grpc.MaxRetryRPCBufferSize(messageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: connectWaitMin, Multiplier: 1.6, Jitter: 0.2, MaxDelay: connectWaitMax,
			},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithNoProxy(), // a proxy of the environment is for what is outside
		grpc.WithResolvers(replicas{targets: targets, lookup: t.config.LookupHost, every: t.resolveEvery}),
	)
	conn, err := grpc.NewClient(replicaScheme+":///"+name, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	return conn, nil
}
