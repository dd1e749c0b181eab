package fleet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Kind is what a member is.
type Kind string

// The kinds, by the names of the programs.
const (
	EventAPI Kind = "event-api"
	Runner   Kind = "runner"
	Executor Kind = "executor"
	State    Kind = "state"
	Postgres Kind = "postgres"
	Redis    Kind = "redis-server"
)

// restartAfter is the pause before a program is started again that ended by itself.
const restartAfter = 300 * time.Millisecond

// youngFor is how long a program is so young that it may not hear yet that it is to end.
const youngFor = time.Second

// Member is a program of the fleet, which is started again whenever it ends.
type Member struct {
	Kind Kind
	Name string

	// url is where it is found, for those that have one.
	url       string
	program   string
	arguments []string
	user      *syscall.Credential
	// death ends the program at once.
	death syscall.Signal
	// alive asks the program whether it answers, ready whether it works.
	alive, ready func(ctx context.Context) error
	log          string
	// logRead is how much of the log was looked through.
	logRead int
	done    chan struct{}

	mu      sync.Mutex
	process *os.Process
	begun   time.Time
	// killed says that we ended the program, stopped that it could do that in order, downFor how long it is to stay so.
	killed, stopped bool
	downFor         time.Duration
	exits           []string
}

// start begins to keep the program running. It ends with the context, and then done is closed.
func (m *Member) start(ctx context.Context, dir string) {
	m.log, m.done = filepath.Join(dir, m.Name+".log"), make(chan struct{})
	go m.supervise(ctx)
}

func (m *Member) supervise(ctx context.Context) {
	defer close(m.done)
	// The kernel ends the program with the thread that started it. This one does nothing else.
	runtime.LockOSThread()
	for ctx.Err() == nil {
		err := m.live(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(m.pauseAfter(err)):
		}
	}
}

// live is one life of the program.
func (m *Member) live(ctx context.Context) error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()                             // what was written is the program's own
	command := exec.CommandContext(ctx, m.program, m.arguments...) //nolint:gosec // the fleet says what it starts
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(m.death) }
	command.SysProcAttr = &syscall.SysProcAttr{Credential: m.user}
	dieWithUs(command, m.death)
	m.mu.Lock()
	err = command.Start()
	m.process, m.begun = command.Process, time.Now()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return command.Wait()
}

// pauseAfter is how long the program is to stay down now that it has ended.
func (m *Member) pauseAfter(err error) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = nil
	if m.killed {
		if m.stopped && err != nil {
			m.exits = append(m.exits, fmt.Sprintf("%s did not end in order (%v): see %s", m.Name, err, m.log))
		}
		m.killed = false
		return m.downFor
	}
	m.exits = append(m.exits, fmt.Sprintf("%s ended by itself (%v): see %s", m.Name, err, m.log))
	return restartAfter
}

// Kill ends the program at once, as kill -9 or a crash of the machine does, and has it started again later. It reports
// whether the program was running.
func (m *Member) Kill(downFor time.Duration) bool { return m.end(m.death, downFor) }

// Stop asks the program to end in order, as a deployment does, and has it started again later. It reports whether the
// program was running, and for long enough to listen to that.
func (m *Member) Stop(downFor time.Duration) bool {
	m.mu.Lock()
	young := time.Since(m.begun) < youngFor
	m.mu.Unlock()
	return !young && m.end(syscall.SIGTERM, downFor)
}

func (m *Member) end(signal syscall.Signal, downFor time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil || m.killed {
		return false
	}
	m.killed, m.stopped, m.downFor = true, signal != m.death, downFor
	if m.process.Signal(signal) != nil {
		m.killed = false // it has just ended by itself
	}
	return m.killed
}

// Freeze stops the program without its knowledge for some time, as a machine does that is moved or swaps. It reports
// whether the program was running.
func (m *Member) Freeze(ctx context.Context, lasts time.Duration) bool {
	m.mu.Lock()
	frozen := m.process
	m.mu.Unlock()
	if frozen == nil || frozen.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	select {
	case <-ctx.Done():
	case <-time.After(lasts):
	}
	_ = frozen.Signal(syscall.SIGCONT) // it may have been killed meanwhile
	return true
}

// takeExits are the times that the program ended by itself since this was asked last.
func (m *Member) takeExits() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	exits := m.exits
	m.exits = nil
	return exits
}
