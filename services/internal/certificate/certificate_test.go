package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/certtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lookEvery is how long files are taken to be what they were.
const lookEvery = time.Second

// journal returns a log and what was written to it.
func journal() (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(slog.NewTextHandler(&out, nil)), &out
}

func open(t *testing.T, files certificate.Files) *certificate.Source {
	t.Helper()
	log, _ := journal()
	source, err := certificate.Open(files, log)
	require.NoError(t, err)
	return source
}

// handshake connects a client with a server, in memory, and has a word cross, since with TLS 1.3 a client learns only
// then that it is refused.
func handshake(t *testing.T, server, client *tls.Config) (seen *x509.Certificate, err error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	answered := make(chan error, 1)
	go func() { // awaited below
		conn := tls.Server(far, server)
		_, err := conn.Write([]byte("hello"))
		_ = conn.Close()
		answered <- err
	}()
	conn := tls.Client(near, client)
	_, err = io.ReadAll(conn)
	state := conn.ConnectionState()
	_ = near.Close()
	if serverErr := <-answered; err == nil {
		err = serverErr
	}
	if len(state.PeerCertificates) > 0 {
		seen = state.PeerCertificates[0]
	}
	return seen, err
}

// called returns the configuration of a client that calls a host.
func called(client *tls.Config, host string) *tls.Config {
	client.ServerName = host
	return client
}

// TestBothEndsAreVerified: who has no certificate, one of another authority, one that has ended, or one for another name,
// has no connection.
func TestBothEndsAreVerified(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t), certtest.New(t)
	us := []*certtest.Authority{ours}
	state := open(t, ours.Write(t, t.TempDir(), us, "state", "127.0.0.1"))
	runner := open(t, ours.Write(t, t.TempDir(), us, "runner"))
	stranger := open(t, theirs.Write(t, t.TempDir(), us, "runner"))
	folder := t.TempDir()
	ended, key := ours.Issue(t, -time.Minute, "state")
	late := open(t, certificate.Files{
		Certificate: certtest.Put(t, folder, "tls.crt", ended), Key: certtest.Put(t, folder, "tls.key", key),
		CA: certtest.Put(t, folder, "ca.crt", ours.PEM),
	})

	for _, host := range []string{"state", "127.0.0.1"} {
		seen, err := handshake(t, state.Server(), called(runner.Client(), host))
		require.NoError(t, err)
		require.True(t, seen.Equal(state.Leaf()))
	}
	old := called(runner.Client(), "state")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	insistent := called(stranger.Client(), "state") // shows its certificate whoever is asked for
	insistent.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &insistent.Certificates[0], nil
	}
	for name, test := range map[string]struct {
		server, client *tls.Config
		problem        string
	}{
		"no certificate":    {state.Server(), &tls.Config{RootCAs: ours.Pool(), ServerName: "state"}, "certificate required"},
		"other authority":   {state.Server(), insistent, "unknown certificate authority"},
		"other server":      {stranger.Server(), called(runner.Client(), "runner"), "signed by unknown authority"},
		"other name":        {state.Server(), called(runner.Client(), "executor"), "not executor"},
		"no name":           {state.Server(), runner.Client(), "either ServerName or InsecureSkipVerify"},
		"server that ended": {late.Server(), called(runner.Client(), "state"), "expired"},
		"client that ended": {state.Server(), called(late.Client(), "state"), "expired certificate"},
		"TLS 1.2":           {state.Server(), old, "protocol version not supported"},
	} {
		_, err := handshake(t, test.server, test.client)
		require.ErrorContains(t, err, test.problem, name)
	}
}

// TestPublicServerAsksForNoCertificate, and speaks TLS 1.2 with those who know no better.
func TestPublicServerAsksForNoCertificate(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	source := open(t, authority.Write(t, t.TempDir(), nil, "events.example.com"))
	client := &tls.Config{RootCAs: authority.Pool(), ServerName: "events.example.com"}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client.MaxVersion = version
		_, err := handshake(t, source.Server(), client)
		require.NoError(t, err)
	}
	client.MinVersion, client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	_, err := handshake(t, source.Server(), client)
	require.ErrorContains(t, err, "protocol version not supported")
}

// TestRenewedFilesAreUsed a second later, the authorities too, and the log says so once.
func TestRenewedFilesAreUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		log, said := journal()
		before, after := certtest.New(t), certtest.New(t)
		source, err := certificate.Open(before.Write(t, folder, []*certtest.Authority{before}, "state"), log)
		require.NoError(t, err)
		first := source.Leaf()
		friend := open(t, after.Write(t, t.TempDir(), []*certtest.Authority{before, after}, "runner"))

		after.Write(t, folder, []*certtest.Authority{before, after}, "state")
		require.True(t, source.Leaf().Equal(first), "they were just looked at")
		<-time.After(lookEvery)
		require.False(t, source.Leaf().Equal(first))
		seen, err := handshake(t, source.Server(), called(friend.Client(), "state"))
		require.NoError(t, err, "the new authority is trusted")
		require.True(t, seen.Equal(source.Leaf()))
		for range 5 {
			<-time.After(lookEvery)
			source.Leaf()
		}
		require.Equal(t, 1, strings.Count(said.String(), "\n"), said)
		require.Contains(t, said.String(), `level=INFO msg="certificate renewed" file=`+filepath.Join(folder, "tls.crt"))
	})
}

// TestFilesThatAreWrongChangeNothing: what was right before is used on, the log says once what is wrong, and right ones
// are used as soon as they are there.
func TestFilesThatAreWrongChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		log, said := journal()
		authority := certtest.New(t)
		us := []*certtest.Authority{authority}
		source, err := certificate.Open(authority.Write(t, folder, us, "state"), log)
		require.NoError(t, err)
		first := source.Leaf()
		_, otherKey := authority.Issue(t, time.Hour, "state")
		for name, test := range map[string]struct{ file, content, problem string }{
			"no certificate":         {"tls.crt", "not PEM", "failed to find any PEM data in certificate input"},
			"the key of another one": {"tls.key", string(otherKey), "private key does not match public key"},
			"no authority":           {"ca.crt", "", "there is no certificate in PEM in it"},
			"much too large":         {"ca.crt", strings.Repeat("x", 1<<20+1), "it may have 1048576"},
		} {
			good, err := os.ReadFile(filepath.Join(folder, test.file))
			require.NoError(t, err)
			certtest.Put(t, folder, test.file, []byte(test.content))
			said.Reset()
			for range 3 {
				<-time.After(lookEvery)
				require.True(t, source.Leaf().Equal(first), name)
			}
			require.Equal(t, 1, strings.Count(said.String(), "\n"), said)
			require.Contains(t, said.String(), `level=WARN msg="certificate not renewed, the one before stays in use"`)
			require.Contains(t, said.String(), test.problem, name)
			require.NotContains(t, said.String(), "PRIVATE")
			certtest.Put(t, folder, test.file, good)
			<-time.After(lookEvery)
			require.True(t, source.Leaf().Equal(first), name)
		}
		require.NoError(t, os.Remove(filepath.Join(folder, "tls.key")))
		said.Reset()
		<-time.After(lookEvery)
		require.True(t, source.Leaf().Equal(first))
		require.Contains(t, said.String(), "no such file")

		authority.Write(t, folder, us, "state")
		<-time.After(lookEvery)
		require.False(t, source.Leaf().Equal(first))
	})
}

// TestCertificateThatEndsSoonIsToldDaily, unless it is a short-lived one that is not due for renewal.
func TestCertificateThatEndsSoonIsToldDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		log, said := journal()
		authority := certtest.New(t)
		const day = 24 * time.Hour
		issued, key := authority.Issue(t, 90*day, "state")
		source, err := certificate.Open(certificate.Files{
			Certificate: certtest.Put(t, folder, "tls.crt", issued), Key: certtest.Put(t, folder, "tls.key", key),
		}, log)
		require.NoError(t, err)
		for range 76 {
			<-time.After(day)
			source.Leaf()
		}
		require.Empty(t, said.String())
		for range 50 {
			<-time.After(time.Hour)
			source.Leaf()
		}
		require.Equal(t, 3, strings.Count(said.String(), "\n"), said)
		require.Contains(t, said.String(), `level=WARN msg="certificate ends soon: renew its file"`)

		said.Reset()
		authority.Write(t, folder, nil, "state") // for a day
		<-time.After(lookEvery)
		source.Leaf()
		require.NotContains(t, said.String(), "WARN")
		<-time.After(17 * time.Hour)
		source.Leaf()
		require.Contains(t, said.String(), "WARN")
	})
}

// TestFilesThatCannotBeUsed are told with their names.
func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	log, _ := journal()
	files := certtest.New(t).Write(t, folder, []*certtest.Authority{certtest.New(t)}, "state")
	for _, change := range []func(f *certificate.Files, path string){
		func(f *certificate.Files, path string) { f.Certificate = path },
		func(f *certificate.Files, path string) { f.Key = path },
		func(f *certificate.Files, path string) { f.CA = path },
	} {
		missing, wrong := files, files
		change(&missing, filepath.Join(folder, "missing"))
		_, err := certificate.Open(missing, log)
		require.ErrorContains(t, err, filepath.Join(folder, "missing")+": no such file")
		change(&wrong, certtest.Put(t, folder, "wrong", []byte("wrong")))
		_, err = certificate.Open(wrong, log)
		require.ErrorContains(t, err, filepath.Join(folder, "wrong"))
	}
	require.NoError(t, certificate.Files{}.Check(true))
	require.NoError(t, files.Check(true))
	require.NoError(t, certificate.Files{Certificate: "a", Key: "b"}.Check(false))
	require.Error(t, certificate.Files{Certificate: "a", Key: "b"}.Check(true))
	require.Error(t, certificate.Files{Certificate: "a"}.Check(false))
	require.Error(t, certificate.Files{Key: "a"}.Check(false))
	require.Error(t, certificate.Files{CA: "a"}.Check(true))
}
