package process

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

// Ports are taken from below the range that systems use for outgoing connections: nobody takes one by chance between
// our look at it and the start of the program that is to have it.
const (
	portFirst = 20000
	portCount = 10000
)

// next is how many ports were tried. Programs of two test runs at a time begin at different places.
var next atomic.Int64 //nolint:gochecknoglobals // the ports of a machine are global

// FreePort returns a port of this machine at which nothing listens, each time another one.
func FreePort(ctx context.Context) (int, error) {
	for range portCount {
		port := portFirst + (os.Getpid()*97+int(next.Add(1)))%portCount
		if isFree(ctx, port) {
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}

// isFree looks at both loopback addresses. A machine without IPv6 has no second one.
func isFree(ctx context.Context, port int) bool {
	var config net.ListenConfig
	for _, host := range []string{"127.0.0.1", "::1"} {
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return false
		case err == nil && listener.Close() != nil:
			return false
		}
	}
	return true
}
