package daemon

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/services/internal/rpc"
)

// Network says where services are, for a program that is one of several. Each reads what it needs of it, so that all can
// be given the same.
type Network struct {
	Listen   string `koanf:"listen" doc:"where this program is called by the others, over gRPC"`
	State    string `koanf:"state" doc:"where the state service is: host:port, several with commas between; every address of a host is a replica"`
	Runner   string `koanf:"runner" doc:"where the runner is"`
	Executor string `koanf:"executor" doc:"where the executor is"`
}

// DefaultNetwork returns the defaults: each service at the host of its name.
func DefaultNetwork() Network {
	return Network{Listen: ":9000", State: "state:9000", Runner: "runner:9000", Executor: "executor:9000"}
}

// Validate returns every problem at once.
func (n Network) Validate() error {
	_, err := n.tcp()
	return err
}

func (n Network) tcp() (*rpc.TCP, error) {
	return rpc.NewTCP(rpc.TCPConfig{
		Addresses: map[string]string{"listen": n.Listen},
		Targets:   map[string]string{"state": n.State, "runner": n.Runner, "executor": n.Executor},
		DrainFor:  rpc.DrainDefault,
	})
}

// Serve serves to the other programs.
func (p *Process) Serve(n Network, register ...func(grpc.ServiceRegistrar)) error {
	return p.serve(n, "network.listen", register...)
}

// ServeAt serves at an address of its own what is called by others than our programs; setting is what names the address.
func (p *Process) ServeAt(n Network, setting, address string, register ...func(grpc.ServiceRegistrar)) error {
	n.Listen = address
	return p.serve(n, setting, register...)
}

func (p *Process) serve(n Network, setting string, register ...func(grpc.ServiceRegistrar)) error {
	network, err := n.tcp()
	if err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	listener, err := network.Listen("listen")
	if err != nil {
		return fmt.Errorf("%s: %w. Is another server running?", setting, err)
	}
	p.Add("gRPC at "+setting, rpc.NewServer(listener.Observed(p.Telemetry), p.Log, register...).Run)
	return nil
}

// Dial returns a connection to the service called name. The program is ready only if the service serves.
func (p *Process) Dial(n Network, name string) (*grpc.ClientConn, error) {
	conn, err := p.DialOptional(n, name)
	if err != nil {
		return nil, err
	}
	p.NeedsReady(name, func(ctx context.Context) error {
		if err := rpc.Ready(ctx, conn); err != nil {
			return fmt.Errorf("the service does not answer (network.%s): %w", name, err)
		}
		return nil
	})
	return conn, nil
}

// DialOptional is Dial for a service that the program can do without for a while.
func (p *Process) DialOptional(n Network, name string) (*grpc.ClientConn, error) {
	network, err := n.tcp()
	if err != nil {
		return nil, err
	}
	conn, err := network.Dial(name, rpc.Observed(p.Telemetry)...)
	if err != nil {
		return nil, err
	}
	p.OnExit(func(context.Context) error { return conn.Close() })
	return conn, nil
}
