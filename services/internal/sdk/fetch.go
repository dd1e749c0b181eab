package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// fetchOpts are the options of an operation that has the server make a request.
type fetchOpts struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	// AuthKey and Format are of requests to AI providers: where the key goes depends on the format.
	AuthKey string `json:"auth_key"`
	Format  string `json:"format"`
}

// fetch reads an operation that has the server make a request. One that cannot be made is a failed step, which the
// app's code may catch.
func (o *wireOp) fetch(op stepwell.Op, kind stepwell.StepKind) stepwell.Op {
	op.Code, op.Kind = stepwell.OpFetch, kind
	var opts fetchOpts
	if err := json.Unmarshal(o.Opts, &opts); err != nil {
		return FetchFailed(op, stepwell.Invalidf("the step's options cannot be read: %v", err), true)
	}
	target, err := url.Parse(opts.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		// The URL may hold a key, so it is not repeated.
		return FetchFailed(op, stepwell.Invalidf("the step's URL is not an http or https URL with a host"), true)
	}
	if kind == stepwell.StepInfer {
		op.Request = inferRequest(opts, target)
		return op
	}
	op.Request = &stepwell.Request{Method: opts.Method, URL: opts.URL, Header: opts.Headers}
	if op.Request.Method == "" {
		op.Request.Method = http.MethodGet
	}
	body, isText := "", true
	if len(opts.Body) > 0 {
		isText = json.Unmarshal(opts.Body, &body) == nil // null is no body
	}
	if !isText {
		return FetchFailed(op, stepwell.Invalidf("the request's body is not text; pass a string, such as JSON.stringify makes"),
			true)
	}
	op.Request.Body = []byte(body)
	return op
}

// inferRequest is a request to an AI provider. The app's own headers come last, so that they win.
func inferRequest(opts fetchOpts, target *url.URL) *stepwell.Request {
	header := map[string]string{"Content-Type": "application/json"}
	if opts.AuthKey != "" {
		switch opts.Format {
		case "gemini":
			query := target.Query()
			query.Set("key", opts.AuthKey)
			target.RawQuery = query.Encode()
		case "bedrock":
			header["Authorization"] = opts.AuthKey
		case "anthropic":
			header["X-Api-Key"] = opts.AuthKey
		default:
			header["Authorization"] = "Bearer " + opts.AuthKey
		}
	}
	for name, value := range opts.Headers {
		header[http.CanonicalHeaderKey(name)] = value
	}
	return &stepwell.Request{
		Method: http.MethodPost, URL: target.String(), Header: header, Body: opts.Body, Secret: opts.AuthKey,
	}
}

// Fetched is what the operation came to that asked for a request: its answer, from a URL, which arrived now.
func Fetched(op stepwell.Op, response Response, from string, now time.Time) stepwell.Op {
	if response.Truncated {
		return FetchFailed(op, errAnswerTooLarge(), true)
	}
	answered := op
	answered.Code, answered.Request = stepwell.OpStepRun, nil
	if op.Kind != stepwell.StepInfer {
		answered.Data = fetchData(response, from)
	} else {
		if response.Status >= http.StatusMultipleChoices {
			failed := fetchFailed(op, fmt.Sprintf("the provider answered HTTP %d", response.Status), response.Body, false)
			failed.RetryAt = parseRetryAfter(response.Header.Get(HeaderRetryAfter), now)
			return failed
		}
		answered.Data = asJSON(response.Body)
	}
	if len(answered.Data) > stepwell.StepBytesMax {
		return FetchFailed(op, errAnswerTooLarge(), true)
	}
	return answered
}

func errAnswerTooLarge() error {
	return stepwell.TooLargef("the answer is larger than the %d bytes that are allowed for one step", stepwell.StepBytesMax)
}

// FetchFailed is what the operation came to whose request had no answer, or may not be made. final says that trying
// again cannot help.
func FetchFailed(op stepwell.Op, reason error, final bool) stepwell.Op {
	return fetchFailed(op, reason.Error(), nil, final)
}

// fetchFailed keeps some of the answer's body, if there is one, but never the request's key.
func fetchFailed(op stepwell.Op, reason string, body []byte, final bool) stepwell.Op {
	failure := struct {
		Name    string          `json:"name"`
		Message string          `json:"message"`
		Stack   string          `json:"stack,omitempty"`
		Data    json.RawMessage `json:"data"`
	}{Name: "GatewayError", Message: "Error making gateway request: " + reason, Data: json.RawMessage("null")}
	if op.Kind == stepwell.StepInfer {
		failure.Name, failure.Message = "AIGatewayError", "Error making AI request: "+reason
	}
	if op.Request != nil && op.Request.Secret != "" {
		secret := op.Request.Secret
		hide := strings.NewReplacer(secret, hidden, url.QueryEscape(secret), hidden)
		failure.Message = hide.Replace(failure.Message)
		body = []byte(hide.Replace(string(body)))
	}
	failure.Stack = excerpt(body)
	if len(body) <= failureBytesMax && json.Valid(body) {
		failure.Data = body
	}
	op.Code, op.Request = stepwell.OpStepError, nil
	if final {
		op.Code = stepwell.OpStepFailed
	}
	op.Failure = stepwell.EncodeJSON(failure)
	return op
}

// hidden stands for a key that is not told.
const hidden = "(key)"

// fetchData is the result of a step that fetches.
func fetchData(response Response, from string) json.RawMessage {
	data := struct {
		Body    *string           `json:"body"`
		Headers map[string]string `json:"headers"`
		Status  int               `json:"status_code"`
		URL     string            `json:"url"`
	}{Headers: map[string]string{}, Status: response.Status, URL: from}
	switch response.Status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		// JavaScript refuses to make such an answer of even an empty text.
	default:
		text := string(response.Body)
		data.Body = &text
	}
	for name, values := range response.Header {
		data.Headers[name] = strings.Join(values, ",")
	}
	return stepwell.EncodeJSON(data)
}
