package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/event-api/discovery"
	"github.com/stepwell/stepwell/services/internal/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	interval = 5 * time.Second
	given    = "http://app:4000/api/inngest"
)

// machine is what a discovery sees: apps by their URL, and what listens at local ports. Only one goroutine looks at it
// at a time: the discovery's, and the test's when that one waits.
type machine struct {
	// turn is taken before each goes on, so that the race detector knows.
	turn  sync.Mutex
	begin time.Time
	// apps are the answers to syncs; a URL that is not there is refused.
	apps map[string]error
	// slow is how long an app takes to answer.
	slow time.Duration
	// listening are local ports; what answers there, or nil for something that takes connections and says nothing.
	listening map[string]func(path string) http.Header
	// garbled are ports that answer with something that is not HTTP.
	garbled map[string]bool
	// silent are ports that never answer a connection.
	silent map[string]bool

	syncs  []string
	dials  []string
	probes []string
	open   int
	log    strings.Builder
}

func newMachine() *machine {
	return &machine{begin: time.Now(), apps: map[string]error{}, listening: map[string]func(string) http.Header{}}
}

// handOver lets the other goroutine see what this one did.
func (m *machine) handOver() {
	m.turn.Lock()
	defer m.turn.Unlock()
}

// at is how long the discovery runs, for the record.
func (m *machine) at(what string) string { return fmt.Sprintf("%s %s", time.Since(m.begin), what) }

func (m *machine) sync(ctx context.Context, url string) error {
	m.handOver()
	m.syncs = append(m.syncs, m.at(url))
	select {
	case <-time.After(m.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	err, known := m.apps[url]
	if !known {
		return errors.New("connection refused")
	}
	return err
}

// conn counts those that are open.
type conn struct {
	net.Conn
	machine *machine
}

func (c conn) Close() error {
	c.machine.open--
	return nil
}

func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.handOver()
	m.dials = append(m.dials, address)
	if network != "tcp" {
		return nil, fmt.Errorf("network is %s", network)
	}
	if m.silent[address] {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, listens := m.listening[address]; !listens {
		return nil, errors.New("connection refused")
	}
	m.open++
	return conn{machine: m}, nil
}

// body counts those that are open.
type body struct {
	io.Reader
	machine *machine
}

func (b body) Close() error {
	b.machine.open--
	return nil
}

// RoundTrip implements http.RoundTripper.
func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
	m.handOver()
	m.probes = append(m.probes, r.Method+" "+r.URL.String())
	answer := m.listening[r.URL.Host]
	if m.garbled[r.URL.Host] {
		return nil, errors.New("malformed HTTP response")
	}
	if answer == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	m.open++
	return &http.Response{StatusCode: 405, Header: answer(r.URL.Path), Body: body{strings.NewReader(""), m}}, nil
}

// lines are what was logged since the last time, without times.
func (m *machine) lines() []string {
	lines := strings.Split(strings.TrimSuffix(m.log.String(), "\n"), "\n")
	m.log.Reset()
	if lines[0] == "" {
		return nil
	}
	return lines
}

// discover runs a discovery in a bubble of fake time while the test goes on; what it opened must be closed.
func discover(t *testing.T, config discovery.Config, setup func(*machine), test func(*testing.T, *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		setup(m)
		withoutTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		d := discovery.New(config, discovery.Deps{
			Sync: m.sync, Transport: m, Dial: m.dial,
			Log: slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
		})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- d.Run(ctx) }()
		synctest.Wait()
		test(t, m)
		cancel()
		require.NoError(t, <-stopped)
		require.Zero(t, m.open, "connections and bodies that were left open")
	})
}

// rounds lets n rounds go by.
func (m *machine) rounds(n int) { m.pass(time.Duration(n) * interval) }

func (m *machine) pass(d time.Duration) {
	m.handOver()
	<-time.After(d)
	synctest.Wait()
}

func TestGivenURLsAreAskedInRounds(t *testing.T) {
	t.Parallel()
	discover(t, discovery.Config{URLs: []string{given, "http://b"}, Interval: interval}, func(m *machine) {
		m.apps[given], m.apps["http://b"] = nil, nil
	}, func(t *testing.T, m *machine) {
		m.rounds(2)
		require.Equal(t, []string{
			"0s " + given, "0s http://b", "5s " + given, "5s http://b", "10s " + given, "10s http://b",
		}, m.syncs)
		require.Empty(t, m.dials, "nobody asked for a scan")
		require.Empty(t, m.lines(), "the sync itself tells what it found")
	})
}

func TestAppThatStartsLaterIsFound(t *testing.T) {
	t.Parallel()
	config := discovery.Config{URLs: []string{given}, Interval: interval}
	discover(t, config, func(*machine) {}, func(t *testing.T, m *machine) {
		m.rounds(3)
		require.Equal(t, []string{
			`level=WARN msg="no app here yet, trying again" url=` + given + ` reason="connection refused" every=5s`,
		}, m.lines(), "once, not every round")
		m.apps[given] = nil
		m.rounds(3)
		require.Equal(t, []string{`level=INFO msg="app answers again" url=` + given}, m.lines())
		require.Len(t, m.syncs, 7)
	})
}

// TestAppThatComesAndGoes: only what changed is told.
func TestAppThatComesAndGoes(t *testing.T) {
	t.Parallel()
	discover(t, discovery.Config{URLs: []string{given, "http://b"}, Interval: interval}, func(m *machine) {
		m.apps[given], m.apps["http://b"] = nil, nil
	}, func(t *testing.T, m *machine) {
		m.rounds(2)
		require.Empty(t, m.lines())
		delete(m.apps, given)
		m.rounds(2)
		lines := m.lines()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], `reason="connection refused"`)
		m.apps[given] = errors.New(`function "a": retries is 21`)
		m.rounds(2)
		lines = m.lines()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], "retries is 21", "another reason is a change")
		m.apps[given] = nil
		m.rounds(2)
		require.Equal(t, []string{`level=INFO msg="app answers again" url=` + given}, m.lines())
		delete(m.apps, given)
		m.rounds(1)
		require.Len(t, m.lines(), 1)
	})
}

// TestSlowAppIsGivenUpInTime: and the others get their turn.
func TestSlowAppIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	discover(t, discovery.Config{URLs: []string{given, "http://b"}, Interval: interval}, func(m *machine) {
		m.slow = time.Hour
	}, func(t *testing.T, m *machine) {
		m.pass(10 * time.Second)
		require.Equal(t, []string{"0s " + given, "10s http://b"}, m.syncs)
		require.Contains(t, strings.Join(m.lines(), "\n"), "context deadline exceeded")
	})
}

// TestStopIsNotTold: an app that was asked when the discovery ended is no app that went away.
func TestStopIsNotTold(t *testing.T) {
	t.Parallel()
	var m *machine
	discover(t, discovery.Config{URLs: []string{given}, Interval: interval}, func(made *machine) {
		m = made
		m.slow = time.Minute
	}, func(*testing.T, *machine) {})
	require.Empty(t, m.lines())
	require.Len(t, m.syncs, 1)
}

// usual are the places that the protocol names, but for $PORT.
func usual() []string {
	var hosts []string
	for _, port := range []int{80, 443, 4321, 5000, 5173, 8000, 8080, 8081, 8787, 8888} {
		hosts = append(hosts, fmt.Sprintf("localhost:%d", port))
	}
	for i := range 11 {
		hosts = append(hosts, fmt.Sprintf("localhost:%d", 3000+i))
	}
	for i := range 6 {
		hosts = append(hosts, fmt.Sprintf("localhost:%d", 8910+i))
	}
	return hosts
}

func TestScanLooksAtTheUsualPorts(t *testing.T) {
	t.Parallel()
	discover(t, discovery.Config{Scan: true, Interval: interval}, func(*machine) {}, func(t *testing.T, m *machine) {
		require.ElementsMatch(t, usual(), m.dials)
		m.dials = nil
		m.rounds(1)
		require.ElementsMatch(t, usual(), m.dials, "an empty port may be an app's the next time")
		require.Empty(t, m.probes)
		require.Empty(t, m.syncs)
		require.Empty(t, m.lines())
	})
}

// appAt is an SDK at one path; elsewhere is a program without one.
func appAt(path string) func(string) http.Header {
	return func(asked string) http.Header {
		header := http.Header{}
		if asked == path {
			header.Set(sdk.HeaderSDK, "js:v4.24.0")
		}
		return header
	}
}

// TestScanFindsAnApp: at any of the usual paths; from then on it is asked in every round, also when it is away.
func TestScanFindsAnApp(t *testing.T) {
	t.Parallel()
	paths := []string{"/api/inngest", "/x/inngest", "/.netlify/functions/inngest", "/.redwood/functions/inngest"}
	for i, path := range paths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			url := "http://localhost:3000" + path
			config := discovery.Config{Scan: true, Interval: interval}
			discover(t, config, func(*machine) {}, func(t *testing.T, m *machine) {
				m.rounds(1)
				m.apps[url], m.listening["localhost:3000"] = nil, appAt(path)
				m.rounds(1)
				require.Equal(t, []string{`level=INFO msg="app found" url=` + url}, m.lines())
				var probes []string
				for _, asked := range paths[:i+1] {
					probes = append(probes, "GET http://localhost:3000"+asked)
				}
				require.Equal(t, probes, m.probes)
				require.Equal(t, []string{"10s " + url}, m.syncs, "at once")
				m.rounds(2)
				require.Equal(t, []string{"10s " + url, "15s " + url, "20s " + url}, m.syncs)

				delete(m.listening, "localhost:3000")
				delete(m.apps, url)
				m.rounds(2)
				lines := m.lines()
				require.Len(t, lines, 1)
				require.Contains(t, lines[0], "no app here yet, trying again")
				m.apps[url], m.listening["localhost:3000"] = nil, appAt(path)
				m.rounds(1)
				require.Equal(t, []string{`level=INFO msg="app answers again" url=` + url}, m.lines())
			})
		})
	}
}

// TestScanLeavesOtherProgramsAlone: for a while, so that their logs do not fill; an app may take their place later.
func TestScanLeavesOtherProgramsAlone(t *testing.T) {
	t.Parallel()
	for name, garbled := range map[string]bool{"HTTP": false, "no HTTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			discover(t, discovery.Config{Scan: true, Interval: interval}, func(m *machine) {
				m.listening["localhost:8080"], m.garbled = appAt("/elsewhere"), map[string]bool{"localhost:8080": garbled}
			}, func(t *testing.T, m *machine) {
				looked := func() int {
					other := func(dialled string) bool { return dialled != "localhost:8080" }
					return len(slices.DeleteFunc(slices.Clone(m.dials), other))
				}
				require.NotEmpty(t, m.probes)
				before := len(m.probes)
				m.rounds(12)
				require.Equal(t, 1, looked())
				require.Len(t, m.probes, before)
				m.rounds(1)
				require.Equal(t, 2, looked(), "after twelve rounds it is looked at again")
				m.listening["localhost:8080"], m.garbled = appAt("/api/inngest"), nil
				m.apps["http://localhost:8080/api/inngest"] = nil
				m.rounds(13)
				require.Equal(t, []string{`level=INFO msg="app found" url=http://localhost:8080/api/inngest`}, m.lines())
			})
		})
	}
}

// TestScanAsksASlowAppAgain: one that was just started, or is compiled when it is first asked, is found as soon as it
// answers in time. What never does is left alone like any other program.
func TestScanAsksASlowAppAgain(t *testing.T) {
	t.Parallel()
	url := "http://localhost:3000/api/inngest"
	config := discovery.Config{Scan: true, Interval: interval}
	discover(t, config, func(m *machine) { m.listening["localhost:3000"] = nil }, func(t *testing.T, m *machine) {
		m.rounds(2)
		m.listening["localhost:3000"], m.apps[url] = appAt("/api/inngest"), nil
		m.rounds(1)
		require.Equal(t, []string{"15s " + url}, m.syncs)
	})
	discover(t, config, func(m *machine) { m.listening["localhost:3000"] = nil }, func(t *testing.T, m *machine) {
		m.rounds(4)
		require.Len(t, m.probes, 4)
		m.rounds(11)
		require.Len(t, m.probes, 4)
		m.rounds(1)
		require.Len(t, m.probes, 5)
	})
}

// TestScanDoesNotWaitForSilentPorts: a firewall that drops packets does not hold up the round.
func TestScanDoesNotWaitForSilentPorts(t *testing.T) {
	t.Parallel()
	url := "http://localhost:8915/api/inngest"
	discover(t, discovery.Config{Scan: true, Interval: interval}, func(m *machine) {
		m.silent = map[string]bool{"localhost:80": true, "localhost:443": true}
		m.listening["localhost:3000"] = nil // takes the connection, and says nothing
		m.listening["localhost:8915"], m.apps[url] = appAt("/api/inngest"), nil
	}, func(t *testing.T, m *machine) {
		m.pass(2 * time.Second)
		require.Equal(t, []string{"1.4s " + url}, m.syncs, "two times 200ms, and a second")
	})
}

// TestGivenAppIsNotFoundAgain: a scan that meets it does not ask it twice a round.
func TestGivenAppIsNotFoundAgain(t *testing.T) {
	t.Parallel()
	url := "http://localhost:3000/api/inngest"
	discover(t, discovery.Config{URLs: []string{url}, Scan: true, Interval: interval}, func(m *machine) {
		m.apps[url], m.listening["localhost:3000"] = nil, appAt("/api/inngest")
	}, func(t *testing.T, m *machine) {
		m.rounds(2)
		require.Equal(t, []string{"0s " + url, "5s " + url, "10s " + url}, m.syncs)
		require.Empty(t, m.lines())
	})
}
