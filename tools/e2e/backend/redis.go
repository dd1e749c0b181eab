package backend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Redis is a Redis server, which keeps nothing on disk. It is not safe for concurrent use, but for FlushAll, which is.
type Redis struct {
	program string
	dir     string
	address string
	process *process.Process
}

// StartRedis starts a server in a folder that exists, and waits until it answers. It ends at the latest with the context.
func StartRedis(ctx context.Context, dir string) (*Redis, error) {
	const name = "redis-server"
	found := func() bool {
		_, err := exec.LookPath(name)
		return err == nil
	}
	if err := install(ctx, name, found); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("find redis: %w", err)
	}
	port, err := process.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redis{program: program, dir: dir, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// URL is where the server is.
func (r *Redis) URL() string { return "redis://" + r.address }

// Start starts the server again after Stop, at the same port and without its data, and waits until it answers.
func (r *Redis) Start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return fmt.Errorf("address of redis: %w", err)
	}
	r.process, err = process.Start(ctx, process.Command{
		Name: "redis-server", Program: r.program,
		Arguments: []string{
			"--port", port, "--bind", host, "--dir", r.dir, "--daemonize", "no", "--save", "", "--appendonly", "no",
		},
	})
	if err != nil {
		return err
	}
	err = await(ctx, r.process, func(ctx context.Context) error { return r.do(ctx, "PING", "+PONG") })
	if err != nil {
		r.Stop()
		return fmt.Errorf("redis at %s: %w", r.address, err)
	}
	return nil
}

// Stop stops the server at once, as kill -9 does; all it had is lost. It may be called again.
func (r *Redis) Stop() { r.process.Kill() }

// FlushAll deletes all keys.
func (r *Redis) FlushAll(ctx context.Context) error { return r.do(ctx, "FLUSHALL", "+OK") }

// commandTimeout bounds a command.
const commandTimeout = 10 * time.Second

// do sends a command and reads its answer, which is one line.
func (r *Redis) do(ctx context.Context, command, want string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("reach redis: no deadline")
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return fmt.Errorf("tell redis: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read redis' answer: %w", err)
	}
	if line = strings.TrimSpace(line); line != want {
		return fmt.Errorf("redis answers %s with %q", command, line)
	}
	return nil
}
