package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/services/internal/httpserver"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Door is where a program listens for the world.
type Door struct {
	Host     string `koanf:"host" doc:"the address to listen at; empty for all that the machine has"`
	Port     int    `koanf:"port" doc:"port for HTTP"`
	GRPCPort int    `koanf:"grpc_port" doc:"port for events over gRPC; 0 for none"`
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
	return errors.Join(problems...)
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

// Open opens the door: the handler over HTTP, beside the probes, and what register registers over gRPC.
func (p *Process) Open(
	ctx context.Context, d Door, handler http.Handler, register ...func(grpc.ServiceRegistrar),
) error {
	listener, err := p.Listen(ctx, "port", d.HTTPAddress())
	if err != nil {
		return err
	}
	p.Add("HTTP", httpserver.New(listener, httpserver.Beside(p.probes.Routes(), handler)).Run)
	if d.GRPCPort == 0 {
		return nil
	}
	if listener, err = p.Listen(ctx, "grpc_port", d.GRPCAddress()); err != nil {
		return err
	}
	// Whose trace a call belongs to is for the service to say, which knows whether it may be made.
	public := rpc.NewListener(listener, nil, rpc.DrainDefault).Observed(telemetry.Telemetry{Meters: p.Telemetry.Meters})
	p.Add("public gRPC", rpc.NewServer(public, p.Log, register...).Run)
	return nil
}
