package redisqueue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
)

func TestDatabaseNumberKeepsQueuesApart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	at := func(url string) *redisqueue.Queue {
		return open(t, func(c *redisqueue.Config) { c.URL, c.Prefix = url, "own" })
	}
	first, second := at(server.URL), at(server.URL+"/1")
	enqueue(t, first, newItem("lane", 0, time.Now()))
	require.Zero(t, stats(t, second).Ready)
	requireWorks(t, second)
	require.Equal(t, 1, stats(t, first).Ready)
}

// TestTLS: the certificate is checked, unless the URL says otherwise.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	server := redistest.Start(t, "--tls-port", "0", "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	port := freePort(t)
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "tls-port", port).Err())
	at := func(options string) *redisqueue.Queue {
		return open(t, func(c *redisqueue.Config) { c.URL = "rediss://127.0.0.1:" + port + options })
	}
	require.ErrorContains(t, at("").Check(t.Context()), "certificate")
	requireWorks(t, at("?skip_verify=true"))
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return port
}

// selfSigned returns files with a certificate and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", encoded)
}

// TestSentinelsTellWhereTheQueueIs: after a failover the queue goes on at the new primary, with what it has.
func TestSentinelsTellWhereTheQueueIs(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(primary.URL, "redis://"))
	require.NoError(t, err)
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	from, to := primary.Client(t), replica.Client(t)
	require.Eventually(t, func() bool {
		return to.InfoMap(t.Context(), "replication").Item("Replication", "master_link_status") == "up"
	}, patience, 10*time.Millisecond)
	sentinel := redistest.StartSentinel(t, "main", primary)
	url := "redis+sentinel://" + strings.TrimPrefix(sentinel.URL, "redis://") + "/main"
	q := open(t, func(c *redisqueue.Config) { c.URL, c.Prefix = url, "own" })
	rebuild(t, q)
	enqueue(t, q, newItems(3, 0, 20, time.Now())...)
	require.Eventually(t, func() bool { return from.Wait(t.Context(), 1, 0).Val() == 1 }, patience, 10*time.Millisecond)

	watching := sentinel.Client(t)
	require.Eventually(t, func() bool { // when it has found the replica
		return watching.Do(context.WithoutCancel(t.Context()), "sentinel", "failover", "main").Err() == nil
	}, patience, 100*time.Millisecond)
	next := openAt(t, replica, 4)
	require.Eventually(t, func() bool { // putting in twice is harmless
		err := q.Enqueue(t.Context(), time.Now(), newItems(3, 20, 1, time.Now()))
		return err == nil && stats(t, next).Ready == 21
	}, patience, 50*time.Millisecond)
	require.Empty(t, lostOf(t, q))
	requireWorks(t, q)
}
