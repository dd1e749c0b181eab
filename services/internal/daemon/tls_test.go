package daemon_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stepwell/stepwell/services/internal/certtest"
	"github.com/stepwell/stepwell/services/internal/daemon"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// visitor is a client over HTTPS that keeps its connections.
type visitor struct {
	http.Client
	origin string
}

func newVisitor(t *testing.T, origin string, trusted *x509.CertPool) *visitor {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{Client: http.Client{Transport: transport}, origin: origin}
}

// answered is what a visitor was told.
type answered struct {
	status   int
	protocol string
	// reused tells that it went over a connection from before.
	reused bool
}

// asks sends a request.
func (v *visitor) asks(t *testing.T) (got answered, err error) {
	t.Helper()
	traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(used httptrace.GotConnInfo) { got.reused = used.Reused },
	})
	request, err := http.NewRequestWithContext(traced, http.MethodGet, v.origin+"/e/key", nil)
	require.NoError(t, err)
	response, err := v.Do(request)
	if err != nil {
		return got, err
	}
	got.status, got.protocol = response.StatusCode, response.Proto
	return got, response.Body.Close()
}

// TestDoorWithACertificate takes HTTP/1.1, HTTP/2 and gRPC over TLS and nothing in plain text, and follows its files:
// connections go on, new ones get the new certificate.
func TestDoorWithACertificate(t *testing.T) {
	t.Parallel()
	folder, before, after := t.TempDir(), certtest.New(t), certtest.New(t)
	files := before.Write(t, folder, nil, "127.0.0.1")
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	d, stop, wait := startAtFreePorts(t, func(ctx context.Context, p *daemon.Process, d daemon.Door) error {
		d.TLSCertificate, d.TLSKey = files.Certificate, files.Key
		return p.Open(ctx, d, teapot)
	})
	origin := "https://" + d.HTTPAddress()
	old := newVisitor(t, origin, before.Pool())
	got, err := old.asks(t)
	require.NoError(t, err)
	require.Equal(t, answered{status: http.StatusTeapot, protocol: "HTTP/2.0"}, got)
	plain := newVisitor(t, "http://"+d.HTTPAddress(), nil)
	got, err = plain.asks(t)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, got.status, "who speaks HTTP is told that it is HTTPS")
	public := credentials.NewTLS(&tls.Config{RootCAs: before.Pool(), MinVersion: tls.VersionTLS12})
	serves(t, d.GRPCAddress(), public)
	require.Error(t, healthOf(t, d.GRPCAddress(), insecure.NewCredentials()), "in plain text")

	after.Write(t, folder, nil, "127.0.0.1")
	require.Eventually(t, func() bool {
		_, err := newVisitor(t, origin, after.Pool()).asks(t)
		return err == nil
	}, patience, 20*time.Millisecond)
	_, err = newVisitor(t, origin, before.Pool()).asks(t)
	require.ErrorContains(t, err, "unknown authority")
	got, err = old.asks(t)
	require.NoError(t, err)
	require.Equal(t, answered{status: http.StatusTeapot, protocol: "HTTP/2.0", reused: true}, got, "it goes on")
	require.Error(t, healthOf(t, d.GRPCAddress(), public))
	public = credentials.NewTLS(&tls.Config{RootCAs: after.Pool(), MinVersion: tls.VersionTLS12})
	require.NoError(t, healthOf(t, d.GRPCAddress(), public))
	stop()
	require.NoError(t, wait())
}

// TestNetworkWithACertificate: programs that have one of the same authority find each other, by the names of hosts; who
// has none, or one of another authority, does not.
func TestNetworkWithACertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t), certtest.New(t)
	us := []*certtest.Authority{ours}
	secure := func(n daemon.Network, authority *certtest.Authority, host string) daemon.Network {
		files := authority.Write(t, t.TempDir(), us, host)
		n.TLSCertificate, n.TLSKey, n.TLSCA = files.Certificate, files.Key, files.CA
		return n
	}
	state := secure(daemon.Network{State: "a:1", Runner: "a:1", Executor: "a:1"}, ours, "localhost")
	d, _, _ := startAtFreePorts(t, func(_ context.Context, p *daemon.Process, d daemon.Door) error {
		state.Listen = d.GRPCAddress()
		return p.Serve(state)
	})
	_, port, err := net.SplitHostPort(d.GRPCAddress())
	require.NoError(t, err)
	network := daemon.Network{Listen: ":0", State: "localhost:" + port, Runner: "a:1", Executor: "a:1"}
	byAddress := network
	byAddress.State = d.GRPCAddress()
	for name, test := range map[string]struct {
		network daemon.Network
		ready   bool
	}{
		"ours":                  {secure(network, ours, "runner"), true},
		"none":                  {network, false},
		"of another authority":  {secure(network, theirs, "runner"), false},
		"called by its address": {secure(byAddress, ours, "runner"), false},
	} {
		caller := newProgram(func(_ context.Context, p *daemon.Process) error {
			_, err := p.Dial(test.network, "state")
			return err
		})
		stop, wait := caller.start(t)
		want := `"not ready" dependency=state error="the service does not answer (network.state)`
		if test.ready {
			want = "msg=ready dependency=state"
		}
		require.Eventually(t, func() bool { return len(caller.log.with(want)) > 0 }, patience, 20*time.Millisecond, name)
		stop()
		require.NoError(t, wait())
	}
}

func TestCertificateOfTheNetworkIsChecked(t *testing.T) {
	t.Parallel()
	network := daemon.DefaultNetwork()
	network.TLSCertificate, network.TLSKey = "tls.crt", "tls.key"
	require.EqualError(t, network.Validate(), "tls_certificate, tls_key and tls_ca belong together: give all of them or none")
	network.TLSCA = filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, network.Validate(), "files are for the program that runs")
	for setting, compose := range map[string]func(ctx context.Context, p *daemon.Process) error{
		"network.listen: network.tls_certificate, network.tls_key, network.tls_ca: ": func(_ context.Context, p *daemon.Process) error {
			return p.Serve(network)
		},
		"network.tls_certificate, network.tls_key, network.tls_ca: ": func(_ context.Context, p *daemon.Process) error {
			_, err := p.Dial(network, "state")
			return err
		},
		"tls_certificate, tls_key: ": func(ctx context.Context, p *daemon.Process) error {
			door := daemon.Door{Port: 1, TLSCertificate: "tls.crt", TLSKey: "tls.key"}
			return p.Open(ctx, door, http.NotFoundHandler())
		},
	} {
		p := newProgram(compose)
		_, err := p.run(t.Context(), p.Command())
		require.ErrorContains(t, err, setting)
		require.ErrorContains(t, err, "tls.crt: no such file")
	}
}
