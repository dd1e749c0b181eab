package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// The bounds of calls to apps.
const (
	// redirectsMax bounds the redirects of one call.
	redirectsMax = 10
	// dialTimeout bounds connecting to an app.
	dialTimeout = 10 * time.Second
	// connectionsIdleMax bounds the idle connections kept to one app.
	connectionsIdleMax = 100
	// connectionIdleFor is how long an idle connection is kept. It is below the five seconds after which Node closes
	// one, since a request sent on a connection that the app is closing is lost.
	connectionIdleFor = 4 * time.Second
	// headerBytesMax bounds the headers of an answer.
	headerBytesMax = 256 << 10
)

// NewTransport returns the transport for calls to apps: connections are kept alive, and addresses that are nobody's app
// are refused.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: refuseForbidden}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: connectionsIdleMax, IdleConnTimeout: connectionIdleFor,
		TLSHandshakeTimeout: dialTimeout, MaxResponseHeaderBytes: headerBytesMax,
	}
}

// errForbidden is why an address is not dialled.
var errForbidden = errors.New("link-local and metadata addresses are never called")

// refuseForbidden looks at the address that is really dialled, after names were resolved and redirects followed.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("split address: %w", err)
	}
	ip := net.ParseIP(host)
	metadata := net.ParseIP("fd00:ec2::254")
	if ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsMulticast() || ip.Equal(metadata) {
		return fmt.Errorf("%s: %w", host, errForbidden)
	}
	return nil
}

// caller calls apps.
type caller struct {
	transport http.RoundTripper
	signer    sdk.Signer
	timeout   time.Duration
	phases    phases
	tracer    telemetry.Tracer
}

// call makes the item's call and says what came of it. An outcome is meaningless if the context has ended.
func (c caller) call(
	ctx context.Context, state stepwell.RunState, item stepwell.Item, generation int,
) stepwell.Outcome {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errCallTimeout)
	defer cancel()
	ctx, span := calling(ctx, c.tracer, "executor.Call", state.Function.URL)
	outcome := c.ask(ctx, state, item, generation)
	endCall(span, outcome)
	return outcome
}

// endCall ends the span of a call.
func endCall(span telemetry.Span, outcome stepwell.Outcome) {
	if outcome.HTTPStatus != 0 && span.On() {
		span.Set(attribute.Int("http.response.status_code", outcome.HTTPStatus))
	}
	switch {
	case outcome.Unreached != nil:
		span.End(errUnanswered)
	case outcome.Failure != nil:
		span.End(errCallFailed) // its text may tell of what the function works on (I27)
	default:
		span.End(nil)
	}
}

// errCallFailed is all that spans tell of a call that failed.
var errCallFailed = errors.New("the call failed")

// ask calls the app.
func (c caller) ask(ctx context.Context, state stepwell.RunState, item stepwell.Item, generation int) stepwell.Outcome {
	call := sdk.Call{State: state, Item: item, Generation: generation}
	if state.Function.Endpoint() {
		return c.reenter(ctx, call)
	}
	target, err := call.URL()
	if err != nil {
		return failed(unreachable("%v", err))
	}
	body, err := call.Body()
	if err != nil {
		return failed(unreachable("the call could not be written: %v", err))
	}
	header := call.Header()
	if parent := traceparent(ctx, state); parent != "" {
		header.Set(headerTraceparent, parent)
	}
	response, err := c.send(ctx, request{method: http.MethodPost, target: target, header: header, body: body})
	if err != nil {
		return unanswered(ctx, state, err)
	}
	return sdk.Parse(response, time.Now())
}

// unanswered is what comes of a call without an answer.
func unanswered(ctx context.Context, state stepwell.RunState, err error) stepwell.Outcome {
	failure := unreachable("Could not call the app at %s: %v", state.Function.URL, reason(ctx, err))
	if errors.Is(err, errUnanswered) {
		return stepwell.Outcome{Unreached: &failure}
	}
	return failed(failure)
}

// errUnanswered is why a request came to nothing before any of an answer arrived: nobody is there, or they went away.
// That is not the function's fault, and so does not count, while a bad answer does.
var errUnanswered = errors.New("no answer")

// errCallTimeout is why a call was given up.
var errCallTimeout = errors.New("the app did not answer in time (call_timeout)")

// reason is the part of a failed request's error that says something to people.
func reason(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errCallTimeout) {
		return errCallTimeout
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("%w. Is it running?", dial.Err)
	}
	return err
}

func unreachable(format string, args ...any) stepwell.Failure {
	return stepwell.Failure{Name: "unreachable", Message: fmt.Sprintf(format, args...)}
}

func failed(f stepwell.Failure) stepwell.Outcome { return stepwell.Outcome{Failure: f.JSON()} }

// request is a request to an app.
type request struct {
	method string
	target string
	header http.Header
	body   []byte
	// endpoint says that a redirect by an SDK is the answer, not where the answer is.
	endpoint bool
}

// send signs the request, sends it and reads the answer. Redirects keep method, headers and body, as the SDKs expect,
// and with them the signature.
func (c caller) send(ctx context.Context, r request) (sdk.Response, error) {
	signed, err := c.signer.Sign(r.body, time.Now())
	if err != nil {
		return sdk.Response{}, err
	}
	r.body = signed.Body
	if signed.Signature != "" {
		r.header.Set(sdk.HeaderSignature, signed.Signature)
	}
	return c.follow(ctx, r)
}

// follow sends the request, which is signed, to where redirects lead.
func (c caller) follow(ctx context.Context, r request) (sdk.Response, error) {
	for range redirectsMax + 1 {
		response, next, err := c.sendOnce(ctx, r)
		if err != nil || next == "" {
			return response, err
		}
		r.target = next
	}
	return sdk.Response{}, fmt.Errorf("more than %d redirects, the last one to %s", redirectsMax, r.target)
}

// sendOnce returns the answer, or where it redirects to.
func (c caller) sendOnce(ctx context.Context, r request) (_ sdk.Response, next string, _ error) {
	ctx, done := c.phases.begin(ctx)
	defer done()
	out, err := http.NewRequestWithContext(ctx, r.method, r.target, bytes.NewReader(r.body))
	if err != nil {
		return sdk.Response{}, "", fmt.Errorf("make request: %w", err)
	}
	out.Header = r.header
	answer, err := c.roundTrip(out)
	switch {
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, errForbidden):
		return sdk.Response{}, "", err
	default:
		return sdk.Response{}, "", fmt.Errorf("%w: %w", errUnanswered, err)
	}
	defer answer.Body.Close()
	isAnswer := r.endpoint && answer.Header.Get(sdk.HeaderSDK) != ""
	if location := answer.Header.Get("Location"); location != "" && isRedirect(answer.StatusCode) && !isAnswer {
		next, err := resolve(r.target, location)
		return sdk.Response{}, next, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, sdk.ResponseBytesMax+1))
	if err != nil {
		return sdk.Response{}, "", fmt.Errorf("read answer: %w", err)
	}
	response := sdk.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
	if len(body) > sdk.ResponseBytesMax {
		response.Body, response.Truncated = body[:sdk.ResponseBytesMax], true
	}
	return response, "", nil
}

// resendsMax bounds how often a request is sent again because the idle connection that it was given had just been closed.
const resendsMax = 3

// roundTrip sends the request, again if the app had closed the idle connection before the request was begun. Then the
// app cannot have begun to work on it, so sending it twice is sending it once. The transport itself sends a request
// again of which nothing was written. A connection that breaks later is another matter: the app may be at work, and a
// second request under the same generation would let both report steps. Such a call is unanswered; the next attempt is
// another item, and what the first one still reports is refused.
func (c caller) roundTrip(out *http.Request) (*http.Response, error) {
	answer, err := c.transport.RoundTrip(out)
	for range resendsMax {
		if err == nil || err.Error() != idleClosed {
			break
		}
		again := out.Clone(out.Context())
		if again.Body, err = out.GetBody(); err != nil {
			return nil, fmt.Errorf("rewind body: %w", err)
		}
		answer, err = c.transport.RoundTrip(again)
	}
	return answer, err
}

// idleClosed is how net/http says that a connection was closed while no request was on it; it has no name for it.
const idleClosed = "http: server closed idle connection"

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		return true
	}
	return false
}

// resolve is where a redirect leads: relative to where it came from, with the query of the call.
func resolve(from, location string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", fmt.Errorf("redirect: %w", err)
	}
	to, err := base.Parse(location)
	if err != nil {
		return "", fmt.Errorf("redirect to %q: %w", location, err)
	}
	if to.Scheme != "http" && to.Scheme != "https" {
		return "", fmt.Errorf("redirect to %q: only http and https are followed", location)
	}
	if to.RawQuery == "" {
		to.RawQuery = base.RawQuery
	}
	return to.String(), nil
}
