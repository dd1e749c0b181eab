package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/daemon"
)

// diary keeps what happened in its order.
type diary struct {
	mu   sync.Mutex
	told []string
}

func (d *diary) tell(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, fmt.Sprintf(format, args...))
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told
}

// part runs until its context ends.
func (d *diary) part(name string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		d.tell("%s stopped", name)
		return nil
	}
}

func (d *diary) closer(name string) func(ctx context.Context) error {
	return func(context.Context) error {
		d.tell("%s closed", name)
		return nil
	}
}

// TestPartsStopInReverseOrder, each when those after it have; what was opened is closed after all of them.
func TestPartsStopInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			for _, name := range []string{"store", "queue", "door"} {
				p.OnExit(d.closer(name))
				p.Add(name, d.part(name))
			}
			return nil
		})
		stop, wait := p.start(t)
		synctest.Wait()
		require.Empty(t, d.all())
		stop()
		require.NoError(t, wait())
		require.Equal(t, []string{
			"door stopped", "queue stopped", "store stopped", "door closed", "queue closed", "store closed",
		}, d.all())
		require.Equal(t, []string{
			`INFO msg=starting program=shop version=v1.2.3`, `INFO msg=stopping drain_delay=0s`, `INFO msg=stopped`,
		}, p.log.with("program=", "stop"))
	})
}

var errBroken = errors.New("till is broken")

// TestFailingPartEndsTheProgram: the others are stopped, everything is closed, and the error names the part.
func TestFailingPartEndsTheProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			p.OnExit(d.closer("store"))
			p.Add("store", d.part("store"))
			p.Add("till", func(context.Context) error { return errBroken })
			return nil
		})
		_, wait := p.start(t, "--drain-delay=1m")
		began := time.Now()
		require.EqualError(t, wait(), "till: till is broken")
		synctest.Wait()
		require.Zero(t, time.Since(began), "there is nothing to wait for")
		require.Equal(t, []string{"store stopped", "store closed"}, d.all())
		require.Empty(t, p.log.with("stop"), "nobody told it to stop, and its end is no good one")
	})
}

// TestWhatWasOpenedIsClosedIfComposingFails, and the error of closing is told, too.
func TestWhatWasOpenedIsClosedIfComposingFails(t *testing.T) {
	t.Parallel()
	d := &diary{}
	p := newProgram(func(_ context.Context, p *daemon.Process) error {
		p.OnExit(d.closer("store"))
		p.OnExit(func(context.Context) error { return errors.New("the door is stuck") })
		p.Add("store", d.part("store"))
		return errBroken
	})
	_, err := p.run(t.Context(), p.Command())
	require.EqualError(t, err, "till is broken\nthe door is stuck")
	require.Equal(t, []string{"store closed"}, d.all(), "nothing was started")
}

// TestClosingIsBounded, and is given time although the program's context has ended.
func TestClosingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			p.OnExit(d.closer("store"))
			p.OnExit(func(ctx context.Context) error {
				require.NoError(t, ctx.Err())
				<-ctx.Done()
				return ctx.Err()
			})
			return nil
		})
		stop, wait := p.start(t)
		synctest.Wait()
		began := time.Now()
		stop()
		require.ErrorIs(t, wait(), context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Equal(t, []string{"store closed"}, d.all())
		require.Empty(t, p.log.with("msg=stopped"))
	})
}

// TestDraining: a program that is told to stop is not ready at once, works on for the delay, and stops then.
func TestDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		var probes *daemon.Probes
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			probes = p.Probes()
			p.Add("till", d.part("till"))
			return nil
		})
		stop, wait := p.start(t, "--drain-delay=20s")
		synctest.Wait()
		status, body := ask(t, probes, "/readyz")
		require.Equal(t, 200, status, body)
		began := time.Now()
		stop()
		synctest.Wait()
		status, body = ask(t, probes, "/readyz")
		require.Equal(t, 503, status)
		require.JSONEq(t, `{"status":"draining"}`, body)
		status, _ = ask(t, probes, "/livez")
		require.Equal(t, 200, status, "it lives until it ends")
		require.Empty(t, d.all(), "work goes on")
		require.NoError(t, wait())
		require.Equal(t, 20*time.Second, time.Since(began))
		require.Equal(t, []string{"till stopped"}, d.all())
	})
}

// TestPartThatFailsWhileDraining is not waited for until the delay is over.
func TestPartThatFailsWhileDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(func(ctx context.Context, p *daemon.Process) error {
			p.Add("till", func(context.Context) error {
				<-ctx.Done() // it ends when the program is told to, instead of when the part is
				return errBroken
			})
			return nil
		})
		stop, wait := p.start(t, "--drain-delay=20s")
		synctest.Wait()
		began := time.Now()
		stop()
		require.ErrorIs(t, wait(), errBroken)
		require.Zero(t, time.Since(began))
	})
}

// TestSignalStopsTheProgram. It runs alone: the signal is everybody's.
func TestSignalStopsTheProgram(t *testing.T) { //nolint:paralleltest // see above
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		d := &diary{}
		running := make(chan struct{})
		p := newProgram(func(_ context.Context, p *daemon.Process) error {
			p.Add("till", func(ctx context.Context) error {
				close(running)
				return d.part("till")(ctx)
			})
			return nil
		})
		_, wait := p.start(t)
		<-running
		require.NoError(t, syscall.Kill(os.Getpid(), number))
		require.NoError(t, wait())
		require.Equal(t, []string{"till stopped"}, d.all())
	}
}
