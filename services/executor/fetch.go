package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// fetchesAtOnceMax bounds the requests that are made at a time for one answer of an app.
const fetchesAtOnceMax = 10

// fetcher makes the requests that steps ask for.
type fetcher struct {
	transport http.RoundTripper
	timeout   time.Duration
	// slots bounds the requests of all answers together, and with them the memory for what they yield.
	slots  chan struct{}
	tracer telemetry.Tracer
}

// resolve makes the requests among the operations and returns the operations with what came of them in their place.
// They are meaningless if the context has ended.
func (f fetcher) resolve(ctx context.Context, ops []stepwell.Op) []stepwell.Op {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	resolved := append([]stepwell.Op(nil), ops...)
	var fetches []int
	for i, op := range ops {
		if op.Code == stepwell.OpFetch {
			fetches = append(fetches, i)
		}
	}
	var workers sync.WaitGroup
	var mu sync.Mutex // guards what follows
	next, size := 0, 0
	for range min(len(fetches), fetchesAtOnceMax) {
		workers.Go(func() {
			for {
				mu.Lock()
				if next == len(fetches) {
					mu.Unlock()
					return
				}
				i := fetches[next]
				next++
				mu.Unlock()
				resolved[i] = f.fetch(ctx, ops[i])
				mu.Lock()
				if size += len(resolved[i].Data); size > stepwell.StateBytesMax {
					enough() // the run fails for its size, whatever the others yield
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return resolved
}

// fetch makes one request and returns what the operation came to.
func (f fetcher) fetch(ctx context.Context, op stepwell.Op) stepwell.Op {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return sdk.FetchFailed(op, ctx.Err(), false)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, errFetchTimeout)
	defer cancel()
	ctx, span := calling(ctx, f.tracer, "executor.Fetch", op.Request.URL)
	started := time.Now()
	response, from, err := f.send(ctx, op)
	ended := time.Now()
	span.End(err)
	if err != nil {
		op = sdk.FetchFailed(op, err, errors.Is(err, errForbidden) || errors.Is(err, stepwell.ErrInvalid))
	} else {
		op = sdk.Fetched(op, response, from, ended)
	}
	op.StartedAt, op.EndedAt = started, ended
	return op
}

// errFetchTimeout is why a request was given up.
var errFetchTimeout = errors.New("no answer in time (call_timeout)")

// send makes the request and returns the answer, and the URL that it came from. Its errors do not repeat the URL, which
// may hold a key.
func (f fetcher) send(ctx context.Context, op stepwell.Op) (_ sdk.Response, from string, _ error) {
	request, err := http.NewRequestWithContext(ctx, op.Request.Method, op.Request.URL, bytes.NewReader(op.Request.Body))
	if err != nil {
		return sdk.Response{}, "", stepwell.Invalidf("%v", withoutURL(err))
	}
	request.Header.Set("User-Agent", "Stepwell")
	for name, value := range op.Request.Header {
		request.Header.Set(name, value)
	}
	request.Header.Del("Accept-Encoding") // what is compressed is unpacked here, and the answer kept as text
	client := http.Client{Transport: f.transport, CheckRedirect: followFew}
	if op.Kind == stepwell.StepInfer {
		client.CheckRedirect = followNone
	}
	answer, err := client.Do(request)
	if err != nil {
		if errors.Is(context.Cause(ctx), errFetchTimeout) {
			err = errFetchTimeout
		}
		return sdk.Response{}, "", fmt.Errorf("%s %s: %w", request.Method, request.URL.Host, withoutURL(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, stepwell.StepBytesMax+1))
	if err != nil {
		return sdk.Response{}, "", fmt.Errorf("%s %s: the answer broke off: %w", request.Method, request.URL.Host, err)
	}
	return sdk.Response{
		Status: answer.StatusCode, Header: answer.Header, Body: body, Truncated: len(body) > stepwell.StepBytesMax,
	}, answer.Request.URL.String(), nil
}

// followFew follows redirects of a step's request; the transport looks at each address again.
func followFew(_ *http.Request, via []*http.Request) error {
	if len(via) > redirectsMax {
		return stepwell.Invalidf("more than %d redirects", redirectsMax)
	}
	return nil
}

// followNone keeps a request to an AI provider from taking its key elsewhere: the redirect is the answer.
func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
