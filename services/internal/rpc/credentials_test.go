package rpc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/certtest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// secured are the credentials of a certificate.
func secured(t *testing.T, files certificate.Files) credentials.TransportCredentials {
	t.Helper()
	source, err := certificate.Open(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return Credentials(source.Server, source.Client)
}

// TestCredentialsSecureBothEnds: the certificate must name the host of the target, which is called by its addresses, and
// who has none of the authority is not let in.
func TestCredentialsSecureBothEnds(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t), certtest.New(t)
	us := []*certtest.Authority{ours}
	r := (&replica{name: "r"}).start(t, TCPConfig{Credentials: secured(t, ours.Write(t, t.TempDir(), us, "state.stepwell"))})
	plain := (&replica{name: "plain"}).start(t, TCPConfig{})
	dns := &hosts{}
	dns.set(nil, "state.stepwell", "other.stepwell")
	ask := func(config TCPConfig, host string) (*grpc.ClientConn, string) {
		config.LookupHost = dns.lookup
		return client(t, config, host+":"+port(t, r)), host
	}
	friend := TCPConfig{Credentials: secured(t, ours.Write(t, t.TempDir(), us, "runner"))}
	conn, _ := ask(friend, "state.stepwell")
	answered, err := call(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, "r", answered)

	trusting := TCPConfig{Credentials: secured(t, theirs.Write(t, t.TempDir(), us, "runner"))}
	wary := TCPConfig{Credentials: secured(t, ours.Write(t, t.TempDir(), []*certtest.Authority{theirs}, "runner"))}
	otherName, _ := ask(friend, "other.stepwell")
	otherAuthority, _ := ask(trusting, "state.stepwell")
	notTrusted, _ := ask(wary, "state.stepwell")
	plainText, _ := ask(TCPConfig{}, "state.stepwell")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for name, conn := range map[string]*grpc.ClientConn{
		"certificate of another name": otherName, "client of another authority": otherAuthority,
		"server of another authority": notTrusted, "client in plain text": plainText,
		"server in plain text": client(t, friend, plain.host),
	} {
		_, err := call(ctx, conn)
		require.ErrorIs(t, err, stepwell.ErrUnavailable, name)
	}
	require.Equal(t, int64(1), r.calls.Load())
	require.Zero(t, plain.calls.Load())
}

// TestRotationTakesNoRestart: even the authority changes under a server and its clients. Connections go on, and new ones
// use what is there.
func TestRotationTakesNoRestart(t *testing.T) {
	t.Parallel()
	before, after := certtest.New(t), certtest.New(t)
	both := []*certtest.Authority{before, after}
	atServer, atClient := t.TempDir(), t.TempDir()
	network, err := NewTCP(TCPConfig{
		Addresses: map[string]string{"service": "127.0.0.1:0"}, DrainFor: time.Second,
		Credentials: secured(t, before.Write(t, atServer, both, "127.0.0.1")),
	})
	require.NoError(t, err)
	listener, err := network.Listen("service")
	require.NoError(t, err)
	counting := &countingListener{Listener: listener.Listener}
	listener.Listener = counting
	r := &replica{name: "r"}
	r.serve(t, listener)
	host := listener.Addr().String()
	ofClient := secured(t, before.Write(t, atClient, both, "client"))
	conn := client(t, TCPConfig{Credentials: ofClient}, host)
	_, err = call(t.Context(), conn)
	require.NoError(t, err)

	// Who trusts only the new authority is served when the server has its certificate from it.
	late := secured(t, after.Write(t, t.TempDir(), []*certtest.Authority{after}, "late"))
	newcomer := client(t, TCPConfig{Credentials: late}, host)
	refused, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = call(refused, newcomer)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	after.Write(t, atServer, []*certtest.Authority{after}, "127.0.0.1")
	after.Write(t, atClient, both, "client")
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := call(ctx, newcomer)
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)

	// The connection from before goes on, although nobody would be let in any more with what it was made with.
	accepted := counting.accepted.Load()
	_, err = call(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, accepted, counting.accepted.Load())
	again := client(t, TCPConfig{Credentials: ofClient}, host)
	_, err = call(t.Context(), again)
	require.NoError(t, err, "the client's new certificate is shown")
}
