// Package process runs the programs under test: it starts them, keeps what they print, and ends them.
//
// It must not know what the programs are.
package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Command is what is to be started.
type Command struct {
	// Name is what people call it.
	Name      string
	Program   string
	Arguments []string
	// Env is added to the environment of the tests.
	Env []string
	// User is whom it runs as; nil for whoever runs the tests.
	User *syscall.Credential
}

// Process is a program that was started.
type Process struct {
	name    string
	command *exec.Cmd
	log     log
	ended   chan struct{}
}

// Start starts a command, which ends at the latest with the context.
func Start(ctx context.Context, c Command) (*Process, error) {
	command := exec.CommandContext(ctx, c.Program, c.Arguments...) //nolint:gosec // the tests say what they start
	command.Env = append(os.Environ(), c.Env...)
	p := &Process{name: c.Name, command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.log, &p.log
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.User}
	dieWithParent(command.SysProcAttr)
	started := make(chan error, 1)
	go func() { // ended by Kill, which every starter calls
		defer close(p.ended)
		// It ends with the thread that started it, so that thread is kept until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		if err := command.Wait(); err != nil {
			fmt.Fprintf(&p.log, "%s ended: %v\n", c.Name, err)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone. It may be called again.
func (p *Process) Kill() { p.End(syscall.SIGKILL) }

// End sends a signal that the process does not survive, and waits until it is gone. It may be called again.
func (p *Process) End(signal os.Signal) {
	_ = p.command.Process.Signal(signal) // it fails if the process has ended, which is as well
	<-p.ended
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// LogSize is how much the process has printed, to be given to LogSince.
func (p *Process) LogSize() int {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.log.text.Len()
}

// logLinesMax bounds what is shown of a log.
const logLinesMax = 60

// LogSince is the end of what the process has printed since LogSize was size, with a title.
func (p *Process) LogSince(size int) string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(p.log.text.Bytes()[size:])), "\n")
	if len(lines) > logLinesMax {
		lines = append([]string{"…"}, lines[len(lines)-logLinesMax:]...)
	}
	return fmt.Sprintf("--- log of %s\n%s", p.name, strings.Join(lines, "\n"))
}

// log is what a process has printed.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}
