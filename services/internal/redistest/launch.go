package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/apttest"
)

const (
	// startTimeout is how long a server may take to answer.
	startTimeout = 30 * time.Second
	// portsMax is how many ports are tried: another process may be faster to take a free one.
	portsMax = 5
)

// errExited is why a server that was started does not answer.
var errExited = errors.New("redis-server ended")

// launch starts a server on a free port, in a temporary folder. It keeps nothing on disk. The settings may begin with the
// path of a file of settings.
func launch(settings ...string) (*Server, error) {
	program, err := apttest.Program("redis-server", "redis-server",
		"install redis-server (apt-get install redis-server), or set TEST_REDIS_URL")
	if err != nil {
		return nil, err
	}
	for range portsMax {
		var port int
		if port, err = freePort(); err != nil {
			return nil, err
		}
		var server *Server
		server, err = launchOn(program, port, settings)
		if err == nil || !errors.Is(err, errExited) {
			return server, err
		}
	}
	return nil, err
}

func launchOn(program string, port int, settings []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	p := &process{dir: dir, started: make(chan error), exited: make(chan struct{})}
	p.command = exec.Command(program, slices.Concat(settings, []string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no", "--save", "",
		"--appendonly", "no",
	})...)
	p.command.SysProcAttr = diesWithUs()
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := p.start(address); err != nil {
		p.stop()
		return nil, err
	}
	return &Server{URL: "redis://" + address, stop: p.stop}, nil
}

// process is a redis-server.
type process struct {
	command *exec.Cmd
	dir     string
	log     bytes.Buffer
	started chan error
	exited  chan struct{}
}

func (p *process) start(address string) error {
	go p.run() // stop waits for it
	if err := <-p.started; err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := answers(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("%w: %s", errExited, p.log.String())
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer at %s: %w", address, err)
		}
	}
}

// answers tells whether a server answers, be it with a refusal.
func answers(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// run is the server's life. The kernel ends the server with the thread that started it, not only with the process; so
// that thread does nothing else until then.
func (p *process) run() {
	runtime.LockOSThread()
	defer close(p.exited)
	err := p.command.Start()
	p.started <- err
	if err == nil {
		_ = p.command.Wait() // it is killed, or says in its log why it ended
	}
}

func (p *process) stop() {
	if p.command.Process != nil {
		_ = p.command.Process.Kill() // it may have ended already
	}
	<-p.exited
	_ = os.RemoveAll(p.dir)
}

// freePort is a port that nobody listens at now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("find a free port: not TCP")
	}
	return address.Port, nil
}
