package daemon_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/daemon"
)

func TestMain(m *testing.M) {
	// The first one to ask for signals starts a goroutine for all, which must not be in a bubble of fake time.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	signal.Stop(signals)
	goleak.VerifyTestMain(m)
}

// settings are those of a program that is no service.
type settings struct {
	daemon.Settings

	Shop    string          `koanf:"shop" doc:"what the shop is called"`
	Till    till            `koanf:"till"`
	Network daemon.Network  `koanf:"network"`
	Secrets []config.Secret `koanf:"secrets" doc:"what nobody may see"`
}

type till struct {
	Count int `koanf:"count" doc:"how many there are"`
}

// program is one in a test: its settings, its parts and its log.
type program struct {
	daemon.Program
	settings *settings
	log      *lines
	// ended is closed when a program that was started has ended.
	ended chan struct{}
}

// newProgram returns a program that consists of what compose makes.
func newProgram(compose func(ctx context.Context, p *daemon.Process) error, environ ...string) *program {
	s := &settings{Settings: daemon.DefaultSettings(), Network: daemon.DefaultNetwork(), Shop: "corner", Till: till{Count: 1}}
	return &program{
		settings: s, log: &lines{}, ended: make(chan struct{}),
		Program: daemon.Program{
			Use: "shop", Short: "Run the shop", Version: "v1.2.3", Settings: s, Common: &s.Settings, Environ: environ,
			Options: config.Options{EnvAliases: map[string]string{"SHOP_NAME": "shop"}}, Compose: compose,
		},
	}
}

// run runs a command line until the program ends.
func (p *program) run(ctx context.Context, command *cobra.Command, args ...string) (string, error) {
	var out strings.Builder
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(p.log)
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

// start runs the program beside the test, with its log as text. stop tells it to stop; wait returns its error when it
// has ended.
func (p *program) start(t *testing.T, args ...string) (stop func(), wait func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var problem error
	go func() { // wait waits for it
		defer close(p.ended)
		_, problem = p.run(ctx, p.Command(), append(args, "--log-format=text")...)
	}()
	wait = func() error { <-p.ended; return problem }
	t.Cleanup(func() { cancel(); _ = wait() })
	return cancel, wait
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with returns the lines with any of these in them since the last time it was asked, without their times.
func (l *lines) with(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, _ := io.ReadAll(&l.text)
	var found []string
	for line := range strings.Lines(string(all)) {
		_, said, _ := strings.Cut(strings.TrimSpace(line), "level=")
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) }) {
			found = append(found, said)
		}
	}
	return found
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func nothing(context.Context, *daemon.Process) error { return nil }
