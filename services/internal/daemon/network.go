package daemon

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/rpc"
)

// Network says where services are, for a program that is one of several. Each reads what it needs of it, so that all can
// be given the same.
type Network struct {
	Listen   string `koanf:"listen" doc:"where this program is called by the others, over gRPC"`
	State    string `koanf:"state" doc:"where the state service is: host:port, several with commas between; every address of a host is a replica"`
	Runner   string `koanf:"runner" doc:"where the runner is"`
	Executor string `koanf:"executor" doc:"where the executor is"`
	// The files are read again when they change.
	TLSCertificate string `koanf:"tls_certificate" doc:"PEM file with this program's certificate, for TLS between the services at both ends; empty for none"`
	TLSKey         string `koanf:"tls_key" doc:"PEM file with the certificate's key"`
	TLSCA          string `koanf:"tls_ca" doc:"PEM file with the authorities whose certificates the services show each other"`
}

// DefaultNetwork returns the defaults: each service at the host of its name.
func DefaultNetwork() Network {
	return Network{Listen: ":9000", State: "state:9000", Runner: "runner:9000", Executor: "executor:9000"}
}

// Validate returns every problem at once, but those of files.
func (n Network) Validate() error {
	_, err := rpc.NewTCP(n.config())
	if tlsErr := n.files().Check(true); tlsErr != nil {
		err = errors.Join(err, fmt.Errorf("tls_certificate, tls_key and tls_ca belong together: %w", tlsErr))
	}
	return err
}

func (n Network) files() certificate.Files {
	return certificate.Files{Certificate: n.TLSCertificate, Key: n.TLSKey, CA: n.TLSCA}
}

func (n Network) config() rpc.TCPConfig {
	return rpc.TCPConfig{
		Addresses: map[string]string{"listen": n.Listen},
		Targets:   map[string]string{"state": n.State, "runner": n.Runner, "executor": n.Executor},
		DrainFor:  rpc.DrainDefault,
	}
}

// tcp makes the network. All that a program serves and calls has one certificate.
func (p *Process) tcp(n Network) (*rpc.TCP, error) {
	config := n.config()
	if n.TLSCertificate != "" {
		source, err := p.certificate(n.files())
		if err != nil {
			return nil, fmt.Errorf("network.tls_certificate, network.tls_key, network.tls_ca: %w", err)
		}
		config.Credentials = rpc.Credentials(source.Server, source.Client)
	}
	return rpc.NewTCP(config)
}

// certificate opens a certificate once for the whole program.
func (p *Process) certificate(files certificate.Files) (*certificate.Source, error) {
	if source, open := p.certificates[files]; open {
		return source, nil
	}
	source, err := certificate.Open(files, p.Log)
	if err != nil {
		return nil, err
	}
	if p.certificates == nil {
		p.certificates = map[certificate.Files]*certificate.Source{}
	}
	p.certificates[files] = source
	return source, nil
}

// Serve serves to the other programs.
func (p *Process) Serve(n Network, register ...func(grpc.ServiceRegistrar)) error {
	server, err := p.server(n, "network.listen", register...)
	if err == nil {
		p.Add("gRPC at network.listen", server.Run)
	}
	return err
}

// ServeOnceReady is Serve for a program that can do nothing before something is as it must be: until ready succeeds once,
// calls are refused with what it says. The program's readiness depends on it, under a name.
func (p *Process) ServeOnceReady(
	n Network, name string, ready func(ctx context.Context) error, register ...func(grpc.ServiceRegistrar),
) error {
	server, err := p.server(n, "network.listen", register...)
	if err == nil {
		p.NeedsReady(name, server.HoldUntil(ready))
		p.Add("gRPC at network.listen", server.Run)
	}
	return err
}

// ServeAt serves at an address of its own what is called by others than our programs; setting is what names the address.
func (p *Process) ServeAt(n Network, setting, address string, register ...func(grpc.ServiceRegistrar)) error {
	n.Listen = address
	server, err := p.server(n, setting, register...)
	if err == nil {
		p.Add("gRPC at "+setting, server.Run)
	}
	return err
}

// server makes a server that listens at network.listen, which a setting may say in its place.
func (p *Process) server(n Network, setting string, register ...func(grpc.ServiceRegistrar)) (*rpc.Server, error) {
	network, err := p.tcp(n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	listener, err := network.Listen("listen")
	if err != nil {
		return nil, fmt.Errorf("%s: %w. Is another server running?", setting, err)
	}
	return rpc.NewServer(listener.Observed(p.Telemetry), p.Log, register...), nil
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
	network, err := p.tcp(n)
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
