// Package certificate keeps a TLS certificate with its key, and the authorities that it trusts, as they are in files. The
// files may be renewed at any time: connections that are made then use what is in them, the others go on.
//
// It must not know what the connections are for.
package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// lookEvery is how long files are taken to be what they were. They are looked at when a connection is made.
	lookEvery = time.Second
	// warnAhead is how long before its end a certificate is worth a warning, unless it is a short-lived one, which is
	// renewed when a third of its time is left; warnEvery is how often.
	warnAhead = 14 * 24 * time.Hour
	warnEvery = 24 * time.Hour
	// fileBytesMax bounds a file.
	fileBytesMax = 1 << 20
)

// Files are the paths of PEM files.
type Files struct {
	// Certificate may be followed by those of intermediate authorities.
	Certificate string
	Key         string
	// CA holds the authorities of the other end; empty if it shows no certificate. Several are trusted alike, so that they
	// can be replaced one after the other.
	CA string
}

// Check tells which of the files is not named: all are, or none.
func (f Files) Check(withCA bool) error {
	named := 0
	wanted := []string{f.Certificate, f.Key}
	if withCA {
		wanted = append(wanted, f.CA)
	}
	for _, path := range wanted {
		if path != "" {
			named++
		}
	}
	if named != 0 && named != len(wanted) {
		return errors.New("give all of them or none")
	}
	return nil
}

// Source is a certificate that follows its files. All methods are safe for concurrent use.
type Source struct {
	files Files
	log   *slog.Logger

	mu   sync.Mutex
	read contents
	pair pair
	// looked is when the files were last looked at, warned when the end of the certificate was last told.
	looked, warned time.Time
	// trouble is what was last told to be wrong with the files.
	trouble string
}

// contents are the bytes of the files.
type contents struct{ certificate, key, ca []byte }

func (c contents) equal(other contents) bool {
	return bytes.Equal(c.certificate, other.certificate) && bytes.Equal(c.key, other.key) && bytes.Equal(c.ca, other.ca)
}

// pair is what they mean.
type pair struct {
	certificate tls.Certificate
	authorities *x509.CertPool
}

// Open reads the files. The error says which one is wrong, and how.
func Open(files Files, log *slog.Logger) (*Source, error) {
	read, err := files.read()
	if err != nil {
		return nil, err
	}
	pair, err := files.parse(read)
	if err != nil {
		return nil, err
	}
	s := &Source{files: files, log: log, read: read, pair: pair, looked: time.Now()}
	s.warn(s.looked)
	return s, nil
}

// read reads the files.
func (f Files) read() (contents, error) {
	var c contents
	var problems []error
	for path, content := range map[string]*[]byte{f.Certificate: &c.certificate, f.Key: &c.key, f.CA: &c.ca} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.Size() > fileBytesMax {
			err = fmt.Errorf("%s has %d bytes, it may have %d", path, info.Size(), fileBytesMax)
		}
		if err == nil {
			*content, err = os.ReadFile(path) //nolint:gosec // the operator says which files
		}
		problems = append(problems, err)
	}
	return c, errors.Join(problems...)
}

// parse makes sense of the files.
func (f Files) parse(c contents) (pair, error) {
	certificate, err := tls.X509KeyPair(c.certificate, c.key)
	if err != nil {
		return pair{}, fmt.Errorf("certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	made := pair{certificate: certificate}
	if f.CA == "" {
		return made, nil
	}
	made.authorities = x509.NewCertPool()
	if !made.authorities.AppendCertsFromPEM(c.ca) {
		return pair{}, fmt.Errorf("authorities %s: there is no certificate in PEM in it", f.CA)
	}
	return made, nil
}

// current is what is in the files, or what was last in them that was right.
func (s *Source) current() pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		s.look()
		s.warn(now)
	}
	return s.pair
}

// look reads the files again. Files that do not fit together are read once more: they may have been replaced meanwhile.
func (s *Source) look() {
	var err error
	for range 2 {
		var read contents
		if read, err = s.files.read(); err != nil {
			continue
		}
		if read.equal(s.read) {
			s.trouble = ""
			return
		}
		var renewed pair
		if renewed, err = s.files.parse(read); err != nil {
			continue
		}
		s.read, s.pair, s.trouble, s.warned = read, renewed, "", time.Time{}
		s.log.InfoContext(context.Background(), "certificate renewed", slog.String("file", s.files.Certificate),
			slog.Time("expires_at", renewed.certificate.Leaf.NotAfter))
		return
	}
	if trouble := err.Error(); trouble != s.trouble {
		s.trouble = trouble
		s.log.WarnContext(context.Background(), "certificate not renewed, the one before stays in use",
			slog.String("file", s.files.Certificate), slog.String("error", trouble))
	}
}

// warn tells that the certificate ends soon, once a day.
func (s *Source) warn(now time.Time) {
	leaf := s.pair.certificate.Leaf
	if !EndsSoon(leaf, now) || now.Sub(s.warned) < warnEvery {
		return
	}
	s.warned = now
	s.log.WarnContext(context.Background(), "certificate ends soon: renew its file",
		slog.String("file", s.files.Certificate), slog.Time("expires_at", leaf.NotAfter))
}

// EndsSoon tells whether a certificate should have been renewed by now: it ends within 14 days, and has less than a third
// of its time left.
func EndsSoon(leaf *x509.Certificate, now time.Time) bool {
	left := leaf.NotAfter.Sub(now)
	return left < warnAhead && left < leaf.NotAfter.Sub(leaf.NotBefore)/3
}

// Leaf is the certificate itself. It must not be changed.
func (s *Source) Leaf() *x509.Certificate { return s.current().certificate.Leaf }

// Server is how connections that come in are secured now. With authorities it is for our own programs: TLS 1.3, and who
// connects must show a certificate of one of them. Each call returns another one, which is the caller's.
func (s *Source) Server() *tls.Config {
	now := s.current()
	config := &tls.Config{Certificates: []tls.Certificate{now.certificate}, MinVersion: tls.VersionTLS12}
	if now.authorities != nil {
		config.MinVersion = tls.VersionTLS13
		config.ClientCAs, config.ClientAuth = now.authorities, tls.RequireAndVerifyClientCert
		config.SessionTicketsDisabled = true // every connection is verified anew
	}
	return config
}

// Client is how connections to our own programs are secured now: TLS 1.3, and the other end must show a certificate of
// one of the authorities, for the name by which it was called. Each call returns another one, which is the caller's.
func (s *Source) Client() *tls.Config {
	now := s.current()
	return &tls.Config{
		Certificates: []tls.Certificate{now.certificate}, RootCAs: now.authorities, MinVersion: tls.VersionTLS13,
	}
}

// Listen secures a listener of HTTP.
func (s *Source) Listen(listener net.Listener) net.Listener {
	return tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := s.Server()
			config.NextProtos = []string{"h2", "http/1.1"}
			return config, nil
		},
	})
}
