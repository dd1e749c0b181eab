package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/apttest"
)

// Pooler is a PgBouncer in transaction mode in front of the server: each transaction may get another connection.
type Pooler struct {
	port    int
	dir     string
	command *exec.Cmd
	exited  chan struct{}
	log     bytes.Buffer
}

// Pooler starts a pooler. It is gone when the test ends.
func (s *Server) Pooler(t testing.TB) *Pooler {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgtest") //nolint:usetesting // a folder of the test is closed to whom we run as
	require.NoError(t, err)
	p := &Pooler{dir: dir}
	t.Cleanup(p.stop)
	require.NoError(t, p.start(t.Context(), s.url))
	return p
}

func (p *Pooler) stop() {
	if p.command != nil && p.command.Process != nil {
		_ = p.command.Process.Kill() // it may have ended already
		<-p.exited
	}
	_ = os.RemoveAll(p.dir)
}

// URL is the database of a URL, through the pooler.
func (p *Pooler) URL(t testing.TB, direct string) string {
	t.Helper()
	parsed, err := url.Parse(direct)
	require.NoError(t, err)
	parsed.User = url.User("anybody")
	parsed.Host = "127.0.0.1:" + strconv.Itoa(p.port)
	parsed.RawQuery = "sslmode=disable"
	return parsed.String()
}

// poolerSettings are few connections for each database, which many clients share.
const poolerSettings = `[databases]
* = %s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
server_idle_timeout = 1
`

func (p *Pooler) start(ctx context.Context, server string) error {
	program, err := apttest.Program("pgbouncer", "pgbouncer", "install pgbouncer (apt-get install pgbouncer)")
	if err != nil {
		return err
	}
	behind, err := pgx.ParseConfig(server)
	if err != nil {
		return fmt.Errorf("read TEST_POSTGRES_URL: %w", err)
	}
	if p.port, err = freePort(); err != nil {
		return err
	}
	target := fmt.Sprintf("host=%s port=%d user=%s", behind.Host, behind.Port, behind.User)
	if behind.Password != "" { // it may not be empty
		target += " password='" + strings.ReplaceAll(behind.Password, "'", "''") + "'"
	}
	file := filepath.Join(p.dir, "pgbouncer.ini")
	settings := fmt.Sprintf(poolerSettings, target, p.port)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	attributes, err := asNobody(p.dir, file)
	if err != nil {
		return err
	}
	p.command = exec.Command(program, file)
	p.command.SysProcAttr = attributes
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	if p.exited, err = startKept(p.command); err != nil {
		return fmt.Errorf("start pgbouncer: %w", err)
	}
	through := fmt.Sprintf("postgres://anybody@127.0.0.1:%d/%s?sslmode=disable", p.port, behind.Database)
	if err := answers(ctx, through); err != nil {
		return fmt.Errorf("pgbouncer: %w: %.1000s", err, p.log.String())
	}
	return nil
}
