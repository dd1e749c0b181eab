// Package certtest makes authorities and certificates for tests.
//
// It must not be used by anything but tests: nobody keeps its keys.
package certtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/certificate"
)

// Authority issues certificates.
type Authority struct {
	// PEM is its certificate.
	PEM         []byte
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes an authority.
func New(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{}
	template := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = template, newKey(tb)
	a.certificate, a.PEM = a.sign(tb, template, &a.key.PublicKey)
	return a
}

// Pool has the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Issue makes a certificate for hosts and addresses, at both ends of a connection, and returns it with its key, in PEM.
// It is valid since an hour ago.
func (a *Authority) Issue(tb testing.TB, lasts time.Duration, hosts ...string) (certificate, key []byte) {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	private := newKey(tb)
	_, certificate = a.sign(tb, template, &private.PublicKey)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(tb, err)
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Write issues a certificate for a day and puts it into a folder, with its key and the authorities to trust, in place of
// what was there before.
func (a *Authority) Write(tb testing.TB, folder string, trusted []*Authority, hosts ...string) certificate.Files {
	tb.Helper()
	issued, key := a.Issue(tb, 24*time.Hour, hosts...)
	var authorities bytes.Buffer
	for _, authority := range trusted {
		authorities.Write(authority.PEM)
	}
	files := certificate.Files{
		Certificate: Put(tb, folder, "tls.crt", issued), Key: Put(tb, folder, "tls.key", key),
	}
	if len(trusted) > 0 {
		files.CA = Put(tb, folder, "ca.crt", authorities.Bytes())
	}
	return files
}

// Put replaces a file, so that nobody reads a half, and returns its path.
func Put(tb testing.TB, folder, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(folder, name)
	require.NoError(tb, os.WriteFile(path+".new", content, 0o600))
	require.NoError(tb, os.Rename(path+".new", path))
	return path
}

func (a *Authority) sign(tb testing.TB, template *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, []byte) {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	require.NoError(tb, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return key
}

func serial(tb testing.TB) *big.Int {
	tb.Helper()
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(tb, err)
	return number
}
