package fleet

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
)

// Ports are taken from below the range that systems use for outgoing connections: nobody takes one by chance while the
// program is down that is to have it.
const (
	portFirst = 10000
	portCount = 10000
)

// ports gives out ports of this machine at which nothing listens, each once.
type ports struct{ tried int }

func (p *ports) free(ctx context.Context) (int, error) {
	for p.tried < portCount {
		port := portFirst + (os.Getpid()*97+p.tried)%portCount
		p.tried++
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil && listener.Close() == nil {
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}

// address is a free address.
func (p *ports) address(ctx context.Context) (string, error) {
	port, err := p.free(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// addresses are n free addresses.
func (p *ports) addresses(ctx context.Context, n int) ([]string, error) {
	free := make([]string, n)
	for i := range free {
		var err error
		if free[i], err = p.address(ctx); err != nil {
			return nil, err
		}
	}
	return free, nil
}
