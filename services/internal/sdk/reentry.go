package sdk

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Reentry is a call to an endpoint of an app: the request that started the run once more, with headers by which the SDK
// knows that it is ours. The SDK asks for the steps by itself.
type Reentry struct {
	Call

	request EndpointRequest
	body    []byte
	isGo    bool
}

// NewReentry is the call. Errors: stepwell.ErrInvalid.
func NewReentry(call Call) (Reentry, error) {
	request, err := ParseEndpointRequest(call.State.Events[0])
	if err != nil {
		return Reentry{}, err
	}
	r := Reentry{Call: call, request: request, body: []byte(request.Body)}
	if r.isGo = call.State.Events[0].Name == EndpointEventGo; r.isGo {
		if r.body, err = base64.StdEncoding.DecodeString(request.Body); err != nil {
			return Reentry{}, stepwell.Invalidf("the request's body is not base64: %v", err)
		}
	}
	return r, nil
}

// Method is the original request's.
func (r Reentry) Method() string { return r.request.Method }

// URL is the original request's. JavaScript tells the path as it was sent, Go as it is meant.
func (r Reentry) URL() string {
	target := r.request.Domain + r.request.Path
	if r.isGo {
		target = r.request.Domain + (&url.URL{Path: r.request.Path}).EscapedPath()
	}
	if r.request.QueryParams != "" {
		target += "?" + r.request.QueryParams
	}
	return target
}

// Body is the original request's.
func (r Reentry) Body() []byte { return r.body }

// Header are the call's headers. The signature is there even if it is empty: without it, the SDK takes the request for
// one of a client's.
func (r Reentry) Header() http.Header {
	header := r.Call.Header()
	header.Del("Content-Type")
	if r.request.ContentType != "" {
		header.Set("Content-Type", r.request.ContentType)
	}
	if header.Get(HeaderStepID) == plainStep {
		header.Del(HeaderStepID)
	}
	if len(r.State.Run.Progress.Open) > 1 {
		header.Set(HeaderForceStepPlan, "true")
	}
	header.Set(HeaderSignature, "")
	return header
}

// Signs is what the signature is over. JavaScript looks at the bodies of POST and PUT only, and cannot read any but JSON.
// Go means to look at the run's id but takes its canonical JSON, which there is none of, and so looks at nothing.
func (r Reentry) Signs() []byte {
	if r.isGo || r.request.Method != http.MethodPost && r.request.Method != http.MethodPut || !json.Valid(r.body) {
		return nil
	}
	return r.body
}

// Parse reads the answer. Besides what answers to calls say, it may be the endpoint's own answer to its client.
func (r Reentry) Parse(response Response, now time.Time) stepwell.Outcome {
	isSDK := response.Header.Get(HeaderSDK) != ""
	if !r.isGo || !isSDK || response.Truncated || response.Status == http.StatusPartialContent {
		return endpointOutcome(Parse(response, now))
	}
	result := APIResult{Status: response.Status, Headers: map[string]string{}, Body: response.Body}
	for name := range response.Header {
		if IsReplayed(name) {
			result.Headers[name] = response.Header.Get(name)
		}
	}
	outcome := stepwell.Outcome{HTTPStatus: response.Status}
	outcome.RequestVersion, _ = strconv.Atoi(response.Header.Get(HeaderRequestVersion))
	if raw := result.json(); result.Status >= http.StatusBadRequest {
		outcome.Failure, outcome.NoRetry = result.failure(raw), result.Status < http.StatusInternalServerError
	} else {
		outcome.Finished, outcome.Output = true, raw
	}
	return outcome
}

// ParseReport reads the operations that an app reports of a request to an endpoint.
func ParseReport(body []byte, now time.Time) (stepwell.Outcome, error) {
	ops, err := decodeOps(body, now)
	if err != nil {
		return stepwell.Outcome{}, err
	}
	return endpointOutcome(outcomeOf(ops)), nil
}

// endpointOutcome fails the run if its result is an answer that says that the endpoint failed. Other results are kept as
// they are.
func endpointOutcome(outcome stepwell.Outcome) stepwell.Outcome {
	for i, op := range outcome.Ops {
		if op.Code != stepwell.OpRunComplete {
			continue
		}
		result, ok := ParseAPIResult(op.Data)
		if ok && result.Status >= http.StatusBadRequest {
			outcome.Ops = append(outcome.Ops[:i:i], outcome.Ops[i+1:]...)
			outcome.Failure, outcome.NoRetry = result.failure(op.Data), true
			return outcome
		}
	}
	return outcome
}
