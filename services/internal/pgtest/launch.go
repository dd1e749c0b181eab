package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Instance is a Postgres server of a test's own, which it may stop and start.
type Instance struct {
	bin     string
	dir     string
	port    int
	command *exec.Cmd
	// exited is closed when command has ended.
	exited chan struct{}
	log    bytes.Buffer
}

// Launch starts a server of the test's own. It is gone when the test ends.
func Launch(t testing.TB) *Instance {
	t.Helper()
	i, err := launch()
	require.NoError(t, err)
	t.Cleanup(i.remove)
	return i
}

// launch starts a server on a free port, in a temporary folder. It survives being killed, but not a crash of the machine,
// since it does not wait for the disk.
func launch() (*Instance, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	i := &Instance{bin: bin, dir: dir}
	err = i.initialize()
	// Somebody may take the port before the server does.
	for attempt := 0; err == nil && attempt < startsMax; attempt++ {
		if i.port, err = freePort(); err != nil {
			break
		}
		if err = i.start(); err == nil {
			return i, nil
		}
		i.Stop()
		if attempt < startsMax-1 {
			err = nil
		}
	}
	i.remove()
	return nil, err
}

// startsMax is how many ports are tried.
const startsMax = 5

// URL is where the server is.
func (i *Instance) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", i.port)
}

// Stop stops the server at once, as a crash would.
func (i *Instance) Stop() {
	if i.command != nil {
		_ = i.command.Process.Signal(syscall.SIGQUIT) // it may have exited
		<-i.exited
		i.command = nil
	}
}

// Start starts the server again, at the same port with the same data.
func (i *Instance) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, i.start())
}

func (i *Instance) remove() {
	i.Stop()
	_ = os.RemoveAll(i.dir)
}

// binaries is the folder of Postgres' programs.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("initdb is not installed: install postgresql, or set TEST_POSTGRES_URL")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func (i *Instance) data() string { return filepath.Join(i.dir, "data") }

func (i *Instance) initialize() error {
	attributes, err := i.owner()
	if err != nil {
		return err
	}
	initdb := exec.Command(filepath.Join(i.bin, "initdb"), "-D", i.data(), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
		"--locale=C.UTF-8")
	initdb.SysProcAttr = attributes
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return nil
}

func (i *Instance) start() error {
	attributes, err := i.owner()
	if err != nil {
		return err
	}
	command := exec.Command(filepath.Join(i.bin, "postgres"), "-D", i.data(), "-p", strconv.Itoa(i.port), "-k", i.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "full_page_writes=off", "-c", "max_connections=300", "-c", "shared_buffers=128MB")
	command.SysProcAttr = attributes
	command.Stderr = &i.log
	exited, err := startKept(command)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	i.command, i.exited = command, exited
	return i.wait()
}

// startKept starts a command. What is to end with us ends with the thread that started it, so that thread is kept until
// then. exited is closed when the command has ended; how is in its log.
func startKept(command *exec.Cmd) (exited chan struct{}, err error) {
	started, exited := make(chan error, 1), make(chan struct{})
	go func() { // whoever stops the command waits for it
		defer close(exited)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	return exited, <-started
}

// owner says whom to run as.
func (i *Instance) owner() (*syscall.SysProcAttr, error) { return asNobody(i.dir) }

// asNobody makes files belong to a user who is not root, since Postgres refuses root, and says whom to run as. The
// program ends with the test binary, however that ends.
func asNobody(files ...string) (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() != 0 {
		return attributes, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user to run postgres as: %w", err)
		}
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("find a user to run postgres as: %w", err)
	}
	for _, file := range files {
		if err := os.Chown(file, int(uid), int(gid)); err != nil {
			return nil, fmt.Errorf("give file away: %w", err)
		}
	}
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes, nil
}

// startTimeout is how long the server may take to answer.
const startTimeout = 30 * time.Second

// wait waits until the server answers, and it is this one.
func (i *Instance) wait() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	exited := i.exited // of this start, not of a later one
	go func() {        // ends with ctx
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := answers(ctx, i.URL())
	if err == nil {
		err = i.isThis(ctx)
	}
	if err == nil {
		return nil
	}
	i.Stop() // so that its log is complete
	return fmt.Errorf("postgres: %w: %s", err, i.log.String())
}

// isThis tells whether it is this server that listens at the port.
func (i *Instance) isThis(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, i.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var data string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
		return err
	}
	if data != i.data() {
		return fmt.Errorf("the server at port %d is another one, at %s", i.port, data)
	}
	return nil
}

// answers waits until a server that was just started answers.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var problem error
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		problem = err
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("it does not answer: %w", problem)
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
