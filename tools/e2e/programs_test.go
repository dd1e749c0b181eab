package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/backend"
	"github.com/stepwell/stepwell/tools/e2e/process"
)

// fleet is one of each program, with TLS between them.
type fleet struct {
	*testing.T
	network   []string
	programs  map[string]*process.Process
	probes    map[string]string
	door, key string
}

// TestProgramsWaitForWhatTheyNeed: started in the worst order, before Postgres, Redis and the schema are there, each
// program lives, says that it is not ready, and becomes so by itself. Nothing is restarted, and no event is taken that could
// be lost.
func TestProgramsWaitForWhatTheyNeed(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "programs") //nolint:usetesting // Postgres runs as somebody else, who must be let through
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	postgres, err := backend.StartPostgres(t.Context(), folder)
	require.NoError(t, err)
	t.Cleanup(postgres.Stop)
	database, err := postgres.CreateDatabase(t.Context(), "waits")
	require.NoError(t, err)
	redis, err := backend.StartRedis(t.Context(), folder)
	require.NoError(t, err)
	t.Cleanup(redis.Stop)
	postgres.Stop()
	redis.Stop()

	const key, signing = "00112233445566778899aabbccddeeff", "STEPWELL_SIGNING_KEY=ffeeddccbbaa99887766554433221100"
	f := newFleet(t, key)
	inDatabase, inRedis := "DATABASE_URL="+database, "REDIS_URL="+redis.URL()
	f.door = freeAddress(t)
	host, port, err := net.SplitHostPort(f.door)
	require.NoError(t, err)
	f.start("event-api", []string{"STEPWELL_EVENT_KEY=" + key, signing},
		"--host", host, "--port", port, "--grpc-port", "0")
	f.refuses()
	f.start("executor", []string{inRedis, signing})
	f.start("runner", []string{inRedis}, "--scaler-address", freeAddress(t))
	f.start("state", []string{inDatabase})
	all := []string{"event-api", "executor", "runner", "state"}
	f.answer(http.StatusServiceUnavailable, all...)
	require.NoError(t, redis.Start(t.Context()))
	require.NoError(t, postgres.Start(t.Context()))

	// All is there but the schema.
	eventually(t, "state says what to do", func() (bool, error) {
		said := f.programs["state"].LogSince(0)
		return true, check(bytes.Contains([]byte(said), []byte("this release needs")), "%s", said)
	})
	f.answer(http.StatusServiceUnavailable, all...)
	f.refuses()
	require.Contains(t, f.programs["state"].LogSince(0), "run `stepwell migrate`")

	migrate := exec.CommandContext(t.Context(), filepath.Join(programs, "state"), "migrate")
	migrate.Env = append(os.Environ(), inDatabase)
	output, err := migrate.CombinedOutput()
	require.NoError(t, err, "%s", output)
	f.answer(http.StatusOK, all...)
	status, answer := f.publish()
	require.Equal(t, http.StatusOK, status, "%s", answer)
	for name, program := range f.programs {
		require.False(t, program.Ended(), name)
	}
}

// newFleet makes the certificates and chooses where programs are found.
func newFleet(t *testing.T, key string) *fleet {
	t.Helper()
	f := &fleet{T: t, key: key, programs: map[string]*process.Process{}, probes: map[string]string{}}
	for _, service := range []string{"state", "runner", "executor"} {
		f.network = append(f.network, "--network-"+service, freeAddress(t))
	}
	folder := t.TempDir()
	certificate, private := selfSigned(t)
	f.network = append(f.network,
		"--network-tls-certificate", put(t, folder, "tls.crt", certificate),
		"--network-tls-key", put(t, folder, "tls.key", private),
		"--network-tls-ca", put(t, folder, "ca.crt", certificate))
	return f
}

// start starts a program, which must live.
func (f *fleet) start(name string, env []string, arguments ...string) {
	f.Helper()
	f.probes[name] = freeAddress(f.T)
	arguments = append(arguments, "--probe-address", f.probes[name])
	for i, argument := range f.network {
		if argument == "--network-"+name {
			arguments = append(arguments, "--network-listen", f.network[i+1])
		}
	}
	program, err := process.Start(context.WithoutCancel(f.Context()), process.Command{
		Name: name, Program: filepath.Join(programs, name), Env: env, Arguments: append(arguments, f.network...),
	})
	require.NoError(f, err)
	f.programs[name] = program
	f.Cleanup(func() {
		program.Kill()
		if f.Failed() {
			f.Log(program.LogSince(0))
		}
	})
	eventually(f.T, name+" lives", func() (bool, error) {
		status, _, err := f.get(f.probes[name], "/livez")
		if err != nil {
			return false, err
		}
		return true, check(status == http.StatusOK, "/livez answers %d", status)
	})
}

// answer waits until the programs say that they are ready, or not.
func (f *fleet) answer(readiness int, names ...string) {
	f.Helper()
	for _, name := range names {
		eventually(f.T, fmt.Sprintf("%s answers %d", name, readiness), func() (bool, error) {
			status, body, err := f.get(f.probes[name], "/readyz")
			if err != nil {
				return false, err
			}
			return true, check(status == readiness, "/readyz answers %d %s", status, body)
		})
	}
}

func (f *fleet) get(address, path string) (int, string, error) {
	return f.do(http.MethodGet, "http://"+address+path, nil)
}

func (f *fleet) do(method, url string, body []byte) (int, string, error) {
	f.Helper()
	request, err := http.NewRequestWithContext(f.Context(), method, url, bytes.NewReader(body))
	require.NoError(f, err)
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// publish sends an event.
func (f *fleet) publish() (int, string) {
	f.Helper()
	event, err := json.Marshal(map[string]any{"name": "shop/order", "data": map[string]any{}})
	require.NoError(f, err)
	status, answer, err := f.do(http.MethodPost, "http://"+f.door+"/e/"+f.key, event)
	require.NoError(f, err)
	return status, answer
}

// refuses checks that no event is taken.
func (f *fleet) refuses() {
	f.Helper()
	status, answer := f.publish()
	require.Equal(f, http.StatusServiceUnavailable, status, "%s", answer)
}

// selfSigned is a certificate that is its own authority, for programs of this machine, with its key.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func put(t *testing.T, folder, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// freeAddress is host:port of this machine where nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort(t.Context())
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", port)
}
