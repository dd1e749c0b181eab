package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Postgres is a Postgres server. It is not safe for concurrent use, but for databases, which are.
type Postgres struct {
	// programs is the folder of Postgres' programs.
	programs string
	data     string
	port     int
	user     *syscall.Credential
	process  *process.Process
}

// StartPostgres starts a server with its data in a new folder below dir, and waits until it answers. The server ends at the
// latest with the context. If we are root it runs as another user, who must be let through to dir.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	p := &Postgres{data: filepath.Join(dir, "postgres")}
	var err error
	if p.programs, err = postgresPrograms(ctx); err != nil {
		return nil, err
	}
	if p.port, err = process.FreePort(ctx); err != nil {
		return nil, err
	}
	if err = p.makeFolder(); err != nil {
		return nil, err
	}
	err = p.execute(ctx, "initdb", "-D", p.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8")
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is where the server's own database is, which stays empty.
func (p *Postgres) URL() string { return p.databaseURL("postgres") }

func (p *Postgres) databaseURL(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port, name)
}

// Start starts the server again after Stop, at the same port with the same data, and waits until it answers. What was
// committed is there, unless the machine itself crashed: the disk is not waited for.
func (p *Postgres) Start(ctx context.Context) error {
	var err error
	p.process, err = process.Start(ctx, process.Command{
		Name: "postgres", Program: filepath.Join(p.programs, "postgres"), User: p.user,
		Arguments: []string{
			"-D", p.data, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300", "-c", "shared_buffers=128MB",
		},
	})
	if err != nil {
		return err
	}
	err = await(ctx, p.process, func(ctx context.Context) error {
		return p.execute(ctx, "pg_isready", "--quiet", "-d", p.URL())
	})
	if err != nil {
		p.Stop()
		return fmt.Errorf("postgres at port %d: %w", p.port, err)
	}
	return nil
}

// Stop stops the server at once, as a crash would: no transaction ends well. It may be called again.
func (p *Postgres) Stop() { p.process.End(syscall.SIGQUIT) }

// CreateDatabase makes an empty database and returns its URL.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := p.execute(ctx, "createdb", "--maintenance-db", p.URL(), name); err != nil {
		return "", err
	}
	return p.databaseURL(name), nil
}

// Dump is a backup of a database, as pg_dump makes it while others write.
func (p *Postgres) Dump(ctx context.Context, database string) ([]byte, error) {
	var dump bytes.Buffer
	command := p.command(ctx, "pg_dump", "--format=custom", "--no-owner", database)
	command.Stdout = &dump
	err := run(command)
	return dump.Bytes(), err
}

// Restore makes a database of a backup and returns its URL.
func (p *Postgres) Restore(ctx context.Context, dump []byte, name string) (string, error) {
	url, err := p.CreateDatabase(ctx, name)
	if err != nil {
		return "", err
	}
	command := p.command(ctx, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+url)
	command.Stdin = bytes.NewReader(dump)
	return url, run(command)
}

// makeFolder makes the folder of the data. Postgres refuses root, so the folder is given to another user then.
func (p *Postgres) makeFolder() error {
	if err := os.Mkdir(p.data, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return fmt.Errorf("find a user to run postgres as: %w", err)
		}
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("find a user to run postgres as: %w", err)
	}
	p.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	// The folder around it is as closed to others as os.MkdirTemp makes it; they may now pass, and see nothing.
	if err := os.Chmod(filepath.Dir(p.data), 0o711); err != nil { //nolint:gosec // the other user must pass
		return fmt.Errorf("open folder: %w", err)
	}
	if err := os.Chown(p.data, int(uid), int(gid)); err != nil {
		return fmt.Errorf("give folder away: %w", err)
	}
	return nil
}

// execute runs one of Postgres' programs to its end.
func (p *Postgres) execute(ctx context.Context, name string, arguments ...string) error {
	return run(p.command(ctx, name, arguments...))
}

func (p *Postgres) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.programs, name), arguments...) //nolint:gosec // our callers name them
	command.Dir = filepath.Dir(p.data)                                                 // the other user may not be allowed to be here
	command.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	return command
}

func run(command *exec.Cmd) error {
	var problems bytes.Buffer
	command.Stderr = &problems
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(command.Path), err, problems.Bytes())
	}
	return nil
}

// postgresPrograms is the folder of Postgres' programs. Debian keeps most of them out of the path.
func postgresPrograms(ctx context.Context) (string, error) {
	const pattern = "/usr/lib/postgresql/*/bin/initdb"
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", fmt.Errorf("find Postgres' programs: %w", err)
		}
		return filepath.Dir(path), nil
	}
	found := func() bool {
		list, err := filepath.Glob(pattern)
		return err == nil && len(list) > 0
	}
	if err := install(ctx, "postgresql", found); err != nil {
		return "", err
	}
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		return "", errors.New("initdb is not installed: install postgresql")
	}
	return filepath.Dir(list[len(list)-1]), nil
}
