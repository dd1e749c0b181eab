package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/certificate"
	"github.com/stepwell/stepwell/services/internal/sdk"
)

// The bounds of the doctor's requests.
const (
	examineTimeout    = 10 * time.Second
	examineAnswersMax = sdk.RegistrationBytesMax
)

// send sends a request on a connection of its own, and reads the answer. With shown, who answers must show exactly this
// certificate, under whatever name it was called.
func send(
	ctx context.Context, method, url string, header http.Header, body []byte, shown *x509.Certificate,
) (sdk.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return sdk.Response{}, fmt.Errorf("make request: %w", err)
	}
	request.Header = header
	transport := executor.NewTransport() // what it refuses to call, the server refuses, too
	transport.DisableKeepAlives = true
	if shown != nil {
		transport.TLSClientConfig = expect(shown)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return sdk.Response{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, examineAnswersMax))
	if err != nil {
		return sdk.Response{}, fmt.Errorf("read answer: %w", err)
	}
	return sdk.Response{Status: response.StatusCode, Header: response.Header, Body: answer}, nil
}

// examineApp asks an app what it serves, as the server does, so that its answer tells whether it accepts the signature.
func (s *startSettings) examineApp(ctx context.Context, f *findings, url string) {
	const check = "app"
	ask := sdk.SyncRequest{URL: url, SyncKind: sdk.SyncInBand, ServerKind: sdk.KindCloud}
	signed, err := sdk.NewSigner(s.SigningKeys[0].Reveal()).Sign(ask.Body(), time.Now())
	if err != nil {
		f.add(problem, check, "%s: %v", url, err)
		return
	}
	header := ask.Header()
	header.Set(sdk.HeaderSignature, signed.Signature)
	response, err := send(ctx, http.MethodPut, url, header, signed.Body, nil)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.add(problem, check, "%s: nobody listens there: start the app, or correct apps.urls", url)
		return
	case err != nil:
		f.add(problem, check, "%s: it cannot be asked: %v", url, err)
		return
	case response.Status == http.StatusUnauthorized:
		f.add(problem, check, "%s: it refuses the signature: its INNGEST_SIGNING_KEY must be the first of signing_keys, and both "+
			"clocks right", url)
		return
	}
	registration, err := sdk.ParseSync(response)
	switch {
	case err != nil:
		f.add(problem, check, "%s: %v", url, err)
	case registration == nil:
		f.add(fine, check, "%s: an SDK answers (%s) and accepts our signature; it registers itself", url, response.Header.Get(sdk.HeaderSDK))
	default:
		f.add(fine, check, "%s: an SDK answers (%s) and accepts our signature", url, response.Header.Get(sdk.HeaderSDK))
	}
}

// localAddress is where somebody on this machine finds a listener.
func localAddress(listening string) string {
	host, port, err := net.SplitHostPort(listening)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return listening
}

// examineCertificate reads the files of the public door, and returns its certificate; nil if it has none.
func (s *startSettings) examineCertificate(f *findings) *x509.Certificate {
	const check = "tls"
	if s.TLSCertificate == "" {
		return nil
	}
	source, err := certificate.Open(
		certificate.Files{Certificate: s.TLSCertificate, Key: s.TLSKey}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.add(problem, check, "tls_certificate, tls_key: %v", err)
		return nil
	}
	leaf := source.Leaf()
	judgeCertificate(f, leaf, time.Now())
	return leaf
}

// judgeCertificate says what its dates mean.
func judgeCertificate(f *findings, leaf *x509.Certificate, now time.Time) {
	const check = "tls"
	days, end := int(leaf.NotAfter.Sub(now).Hours()/24), leaf.NotAfter.UTC().Format(time.DateTime)
	switch {
	case now.After(leaf.NotAfter):
		f.add(problem, check, "the certificate ended at %s UTC: put a new one into its file, it needs no restart", end)
	case now.Before(leaf.NotBefore):
		f.add(problem, check, "the certificate begins at %s UTC: is the clock right?", leaf.NotBefore.UTC().Format(time.DateTime))
	case certificate.EndsSoon(leaf, now):
		f.add(warning, check, "the certificate ends in %d days, at %s UTC: put a new one into its file, it needs no restart", days, end)
	default:
		f.add(fine, check, "the certificate is good for %d days, until %s UTC", days, end)
	}
}

// errOtherCertificate is why what answers is not the server.
var errOtherCertificate = errors.New("it shows another certificate than the one in tls_certificate")

// expect is for calling a server by another name than its certificate has.
func expect(shown *x509.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // more is asked for below: this certificate and no other
		VerifyConnection: func(state tls.ConnectionState) error {
			if !state.PeerCertificates[0].Equal(shown) {
				return errOtherCertificate
			}
			return nil
		},
	}
}

// examineServer asks the server, if it runs, whether it is ready. shown is the certificate that it must have; nil for one
// that proves its name.
func examineServer(ctx context.Context, f *findings, server string, shown *x509.Certificate) {
	const check = "server"
	server = strings.TrimRight(server, "/")
	response, err := send(ctx, http.MethodGet, server+"/readyz", http.Header{}, nil, shown)
	if errors.Is(err, syscall.ECONNREFUSED) {
		f.add(fine, check, "none runs at %s; `stepwell start` starts it, --server says where else it is", server)
		return
	}
	if err != nil {
		f.add(problem, check, "it cannot be asked: %v", err)
		return
	}
	var said struct {
		Status       string          `json:"status"`
		Dependencies map[string]bool `json:"dependencies"`
	}
	if json.Unmarshal(response.Body, &said) != nil || said.Status == "" {
		f.add(problem, check, "what answers at %s is none (HTTP %d): choose another port, or say where it is with --server",
			server, response.Status)
		return
	}
	var silent []string
	for _, name := range slices.Sorted(maps.Keys(said.Dependencies)) {
		if !said.Dependencies[name] {
			silent = append(silent, name)
		}
	}
	switch {
	case response.Status == http.StatusOK:
		f.add(fine, check, "ready at %s", server)
	case len(silent) > 0:
		f.add(problem, check, "%s at %s, for want of %s: its log says why", said.Status, server, strings.Join(silent, " and "))
	default:
		f.add(warning, check, "%s at %s", said.Status, server)
	}
}
