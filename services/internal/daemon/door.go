package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/httpserver"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Door is where a program listens for the world.
type Door struct {
	Host     string `koanf:"host" doc:"the address to listen at; empty for all that the machine has"`
	Port     int    `koanf:"port" doc:"port for HTTP"`
	GRPCPort int    `koanf:"grpc_port" doc:"port for events over gRPC; 0 for none"`
	// The files are read again when they change.
	TLSCertificate string `koanf:"tls_certificate" doc:"PEM file with a certificate, for TLS over HTTP and gRPC; empty for none"`
	TLSKey         string `koanf:"tls_key" doc:"PEM file with the certificate's key"`
}

// DefaultDoor returns the defaults.
func DefaultDoor() Door { return Door{Port: 8080, GRPCPort: 8081} }

// Validate returns every problem at once.
func (d Door) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(d.Port > 0 && d.Port < 1<<16, "port is %d, it must be 1 to 65535", d.Port)
	check(d.GRPCPort >= 0 && d.GRPCPort < 1<<16, "grpc_port is %d, it must be 0 to 65535", d.GRPCPort)
	check(d.Port != d.GRPCPort, "port and grpc_port are both %d", d.Port)
	if err := d.files().Check(false); err != nil {
		check(false, "tls_certificate and tls_key belong together: %w", err)
	}
	return errors.Join(problems...)
}

func (d Door) files() certificate.Files {
	return certificate.Files{Certificate: d.TLSCertificate, Key: d.TLSKey}
}

// HTTPAddress is where the door is open over HTTP.
func (d Door) HTTPAddress() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.Port)) }

// GRPCAddress is where events are taken over gRPC; empty if nowhere.
func (d Door) GRPCAddress() string {
	if d.GRPCPort == 0 {
		return ""
	}
	return net.JoinHostPort(d.Host, strconv.Itoa(d.GRPCPort))
}

// Listen listens at an address, which is given back when the program ends.
func (p *Process) Listen(ctx context.Context, setting, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w. Is another server running?", setting, err)
	}
	p.OnExit(func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, nil
}

// Listeners are where a door is open.
type Listeners struct {
	HTTP net.Listener
	// GRPC is nil if the door is not open over gRPC.
	GRPC *rpc.Listener
}

// ListenAt listens where the door is, with TLS if it has a certificate.
func (p *Process) ListenAt(ctx context.Context, d Door) (Listeners, error) {
	var secure func(net.Listener) net.Listener
	var secured credentials.TransportCredentials
	if d.TLSCertificate != "" {
		source, err := p.certificate(d.files())
		if err != nil {
			return Listeners{}, fmt.Errorf("tls_certificate, tls_key: %w", err)
		}
		secure, secured = source.Listen, rpc.Credentials(source.Server, nil)
	}
	var at Listeners
	var err error
	if at.HTTP, err = p.Listen(ctx, "port", d.HTTPAddress()); err != nil {
		return Listeners{}, err
	}
	if secure != nil {
		at.HTTP = secure(at.HTTP)
	}
	if d.GRPCPort == 0 {
		return at, nil
	}
	listener, err := p.Listen(ctx, "grpc_port", d.GRPCAddress())
	if err != nil {
		return Listeners{}, err
	}
	public := rpc.NewListener(listener, secured, rpc.DrainDefault)
	at.GRPC = &public
	return at, nil
}

// Open opens the door: the handler over HTTP, beside the probes, and what register registers over gRPC, whose health says
// what readiness does.
func (p *Process) Open(
	ctx context.Context, d Door, handler http.Handler, register ...func(grpc.ServiceRegistrar),
) error {
	at, err := p.ListenAt(ctx, d)
	if err != nil {
		return err
	}
	p.Add("HTTP", httpserver.New(at.HTTP, httpserver.Beside(p.probes.Routes(), handler)).LogTo(p.Log).Run)
	if at.GRPC != nil {
		// Whose trace a call belongs to is for the service to say, which knows whether it may be made.
		public := at.GRPC.Observed(telemetry.Telemetry{Meters: p.Telemetry.Meters})
		server := rpc.NewServer(public, p.Log, register...)
		p.probes.Follow(server.SetServing)
		p.Add("public gRPC", server.Run)
	}
	return nil
}
