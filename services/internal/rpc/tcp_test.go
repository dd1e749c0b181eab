package rpc

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestCallsGoOnWhenAReplicaIsKilled: also those that it was working on.
func TestCallsGoOnWhenAReplicaIsKilled(t *testing.T) {
	t.Parallel()
	blocked := make(chan struct{}, 100)
	doomed := (&replica{name: "doomed"}).start(t, TCPConfig{DrainFor: time.Nanosecond})
	other := (&replica{name: "other"}).start(t, TCPConfig{DrainFor: time.Second})
	conn := client(t, TCPConfig{}, doomed.host, "dns:///"+other.host)
	callUntil(t, conn, "doomed")
	callUntil(t, conn, "other")

	doomed.handle = func(ctx context.Context) error {
		blocked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	var calls sync.WaitGroup
	failures := make(chan error, 20)
	for range cap(failures) {
		calls.Go(func() {
			if _, err := call(t.Context(), conn); err != nil {
				failures <- err
			}
		})
	}
	<-blocked // calls are under way
	doomed.stop(t)
	calls.Wait()
	for range 100 {
		answered, err := call(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, "other", answered)
	}
	require.Empty(t, failures)
}

// TestReplicaThatComesBackGetsWork: within the bound of the waits between attempts to connect.
func TestReplicaThatComesBackGetsWork(t *testing.T) {
	t.Parallel()
	stays := (&replica{name: "stays"}).start(t, TCPConfig{})
	leaves := (&replica{name: "leaves"}).start(t, TCPConfig{})
	conn := client(t, TCPConfig{}, stays.host, leaves.host)
	callUntil(t, conn, "leaves")
	leaves.stop(t)
	for range 50 {
		_, err := call(t.Context(), conn)
		require.NoError(t, err)
	}
	back := &replica{name: "back"}
	network, err := NewTCP(TCPConfig{Addresses: map[string]string{"service": leaves.host}})
	require.NoError(t, err)
	listener, err := network.Listen("service")
	require.NoError(t, err)
	back.serve(t, listener)
	callUntil(t, conn, "back")
}

func TestStoppingServerOverTCPLetsCallsFinish(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	r := &replica{name: "r", handle: func(context.Context) error {
		close(begun)
		<-finish
		return nil
	}}
	r.start(t, TCPConfig{DrainFor: time.Minute})
	conn := client(t, TCPConfig{}, r.host)
	answers := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), conn)
		answers <- err
	}()
	<-begun
	r.cancel()
	require.Eventually(t, func() bool { // nobody else is let in
		other, err := net.Dial("tcp", r.host)
		return err != nil || other.Close() != nil
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, r.stopped, "the server waits for the call")
	close(finish)
	require.NoError(t, <-answers)
	r.stop(t)
}

// TestDrainIsBounded: by the parameter.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 3)
	r := &replica{name: "r", handle: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	r.start(t, TCPConfig{DrainFor: 20 * time.Millisecond})
	conn := client(t, TCPConfig{}, r.host)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	answers := make(chan error, 1)
	go func() {
		_, err := call(ctx, conn)
		answers <- err
	}()
	<-begun
	r.stop(t)
	require.ErrorIs(t, <-answers, stepwell.ErrUnavailable)
}

func TestCallWithoutAReplicaEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	conn := client(t, TCPConfig{LookupHost: (&hosts{}).lookup}, "nowhere:9000")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := call(ctx, conn)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = call(ctx, conn)
	require.ErrorIs(t, err, context.Canceled)
}

// TestOnlyUnavailableIsTriedAgain, two times at most.
func TestOnlyUnavailableIsTriedAgain(t *testing.T) {
	t.Parallel()
	var answers []error
	var mu sync.Mutex
	r := &replica{name: "r", handle: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		next := answers[0]
		answers = answers[1:]
		return next
	}}
	r.start(t, TCPConfig{})
	conn := client(t, TCPConfig{}, r.host)
	away := stepwell.ErrUnavailable
	for _, test := range []struct {
		answers []error
		want    error
		calls   int64
	}{
		{[]error{nil}, nil, 1},
		{[]error{away, nil}, nil, 2},
		{[]error{away, away, nil}, nil, 3},
		{[]error{away, away, away}, away, 3},
		{[]error{stepwell.ErrConflict}, stepwell.ErrConflict, 1},
		{[]error{stepwell.ErrStale}, stepwell.ErrStale, 1},
		{[]error{away, stepwell.ErrInvalid}, stepwell.ErrInvalid, 2},
		{[]error{errors.New("broken")}, nil, 1},
	} {
		mu.Lock()
		answers = test.answers
		mu.Unlock()
		before := r.calls.Load()
		_, err := call(t.Context(), conn)
		if test.want != nil {
			require.ErrorIs(t, err, test.want)
		}
		require.Equal(t, test.calls, r.calls.Load()-before)
	}
}

// TestServiceThatIsDownIsNotAskedAgain: when most calls fail, one is one attempt.
func TestServiceThatIsDownIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	r := &replica{name: "r", handle: func(context.Context) error { return stepwell.ErrUnavailable }}
	r.start(t, TCPConfig{})
	conn := client(t, TCPConfig{}, r.host)
	var calls sync.WaitGroup
	for range 300 {
		calls.Go(func() { _, _ = call(t.Context(), conn) })
	}
	calls.Wait()
	before := r.calls.Load()
	_, err := call(t.Context(), conn)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.Equal(t, int64(1), r.calls.Load()-before)
}

// TestConnectionsGrowOldWithoutACallFailing: new ones replace them.
func TestConnectionsGrowOldWithoutACallFailing(t *testing.T) {
	t.Parallel()
	network, err := NewTCP(TCPConfig{Addresses: map[string]string{"service": "127.0.0.1:0"}, DrainFor: time.Second})
	require.NoError(t, err)
	network.age = 20 * time.Millisecond
	listener, err := network.Listen("service")
	require.NoError(t, err)
	counting := &countingListener{Listener: listener.Listener}
	listener.Listener = counting
	r := &replica{name: "r"}
	r.serve(t, listener)
	conn := client(t, TCPConfig{}, listener.Addr().String())
	require.Eventually(t, func() bool {
		_, err := call(t.Context(), conn)
		require.NoError(t, err)
		return counting.accepted.Load() > 5
	}, 20*time.Second, time.Millisecond)
}

type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	l.accepted.Add(1)
	return l.Listener.Accept()
}

// TestHeadersAreBounded: one that has too many fails, and its connection goes on.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	r := (&replica{name: "r"}).start(t, TCPConfig{})
	conn := client(t, TCPConfig{}, r.host)
	with := func(bytes int) error {
		_, err := call(metadata.AppendToOutgoingContext(t.Context(), "x-much", strings.Repeat("x", bytes)), conn)
		return err
	}
	require.NoError(t, with(headerBytesMax/2))
	require.Error(t, with(headerBytesMax))
	require.NoError(t, with(headerBytesMax/2))
	require.Equal(t, int64(2), r.calls.Load())
}

func TestNetworkThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	_, err := NewTCP(TCPConfig{
		Addresses: map[string]string{"state": "9000"}, DrainFor: -1,
		Targets: map[string]string{"runner": "runner", "executor": ""},
	})
	for _, problem := range []string{
		"drain_for is -1ns, it cannot be below 0", `address of state is "9000", it must be like :9000`,
		`target of runner: "runner" is not like state:9000, or several such with commas between`, `target of executor: ""`,
	} {
		require.ErrorContains(t, err, problem)
	}
	for text, want := range map[string][]target{
		"a:1": {{"a", "1"}}, "dns:///a:1": {{"a", "1"}}, " a:1 , dns:///b:2": {{"a", "1"}, {"b", "2"}},
		"[::1]:3": {{"::1", "3"}},
	} {
		got, err := parseTargets(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", ",", "a:1,", ":1", "a:", "http://a:1", "a:1:2"} {
		_, err := parseTargets(text)
		require.Error(t, err, text)
	}
	network, err := NewTCP(TCPConfig{Addresses: map[string]string{"state": "256.0.0.1:1"}})
	require.NoError(t, err)
	_, err = network.Listen("runner")
	require.EqualError(t, err, "listen as runner: no address is configured")
	_, err = network.Dial("runner")
	require.EqualError(t, err, "connect to runner: no target is configured")
	_, err = network.Listen("state")
	require.ErrorContains(t, err, "listen as state: ")
}
