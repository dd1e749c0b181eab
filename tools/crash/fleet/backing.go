package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// newPostgres makes a server that survives being stopped at once, but not a crash of the machine: it does not wait for
// the disk.
func newPostgres(ctx context.Context, dir string, free *ports) (*Member, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	port, err := free.free(ctx)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "postgres")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, fmt.Errorf("make Postgres' folder: %w", err)
	}
	owner, err := postgresUser(home)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(home, "data")
	arguments := []string{"-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8"}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), arguments...) //nolint:gosec // the installed Postgres
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, output)
	}
	url := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	connect := func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	return &Member{
		Kind: Postgres, Name: string(Postgres), user: owner, death: syscall.SIGQUIT,
		program: filepath.Join(bin, "postgres"),
		arguments: []string{
			"-D", data, "-p", strconv.Itoa(port), "-k", home, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
			"-c", "full_page_writes=off", "-c", "max_connections=100", "-c", "shared_buffers=64MB",
		},
		url: url, alive: connect, ready: connect,
	}, nil
}

// postgresBin is the folder of Postgres' programs.
func postgresBin() (string, error) {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("initdb is not installed: install postgresql")
	}
	return filepath.Dir(path), nil
}

// postgresUser gives the folder to a user who is not root, since Postgres refuses root; nil if we are somebody else.
func postgresUser(home string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nobody in particular
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user to run Postgres as: %w", err)
		}
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(home, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("give Postgres its folder: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// newRedis makes a server that keeps nothing on disk, so that it is empty when it is started again.
func newRedis(ctx context.Context, dir string, free *ports) (*Member, error) {
	program, err := exec.LookPath(string(Redis))
	if err != nil {
		return nil, fmt.Errorf("%w: install redis-server", err)
	}
	address, err := free.address(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address) // just made of both
	logging.Disable()                        // that Redis is down is no news here
	ping := func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: address})
		defer client.Close()
		return client.Ping(ctx).Err()
	}
	return &Member{
		Kind: Redis, Name: string(Redis), death: syscall.SIGKILL, program: program,
		arguments: []string{
			"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
		},
		url: "redis://" + address, alive: ping, ready: ping,
	}, nil
}
