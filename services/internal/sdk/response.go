package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Response is an app's answer to a call.
type Response struct {
	Status int
	Header http.Header
	// Body is at most ResponseBytesMax long; Truncated says that there was more.
	Body      []byte
	Truncated bool
}

// Parse reads the answer. Whatever it is, the outcome says what came of the call; now is when it arrived.
func Parse(response Response, now time.Time) stepwell.Outcome {
	if response.Truncated {
		outcome := failure(response.Status, "output_too_large",
			"Your function's response body exceeds the maximum size limit of %d bytes", ResponseBytesMax)
		outcome.NoRetry = true // the same code would answer the same
		return outcome
	}
	if response.Status == http.StatusCreated {
		var problem error
		if response, problem = openEnvelope(response); problem != nil {
			return failure(response.Status, "stream_invalid", "The streamed response cannot be read: %v", problem)
		}
	}
	outcome := parseByStatus(response, now)
	outcome.HTTPStatus = response.Status
	outcome.RequestVersion, _ = strconv.Atoi(response.Header.Get(HeaderRequestVersion))
	outcome.NoRetry = outcome.NoRetry || response.Header.Get(HeaderNoRetry) == "true"
	if after := response.Header.Get(HeaderRetryAfter); after != "" {
		outcome.RetryAt = parseRetryAfter(after, now)
	}
	return outcome
}

func parseByStatus(response Response, now time.Time) stepwell.Outcome {
	isSDK := response.Header.Get(HeaderSDK) != ""
	switch {
	case response.Status == http.StatusPartialContent:
		return parseOps(response, now)
	case !isSDK && response.Status/100 == 2:
		return failure(response.Status, "not_sdk",
			"The response did not come from an Inngest SDK: HTTP %d with %q. Is this the URL of the app's serve endpoint?",
			response.Status, excerpt(response.Body))
	case !isSDK:
		failure := stepwell.Failure{
			Name:    "Server returned a fatal error",
			Message: fmt.Sprintf("Your server returned HTTP %d before the SDK responded.", response.Status),
			Stack:   response.Header.Get("Content-Type") + "\n" + excerpt(response.Body),
		}
		switch response.Status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return stepwell.Outcome{Unreached: &failure} // what proxies say of an app that is not there
		}
		return stepwell.Outcome{Failure: failure.JSON()}
	case response.Status == http.StatusOK:
		return stepwell.Outcome{Finished: true, Output: asJSON(response.Body)}
	default:
		return stepwell.Outcome{Failure: normalizeFailure(response.Body, functionFailure)}
	}
}

func excerpt(body []byte) string {
	return string(bytes.ToValidUTF8(body[:min(len(body), failureBytesMax)], []byte("?")))
}

// asJSON is the body if it is JSON, else its text as a JSON string.
func asJSON(body []byte) json.RawMessage {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(body) {
		return body
	}
	return stepwell.EncodeJSON(string(body))
}

// envelope is how a streaming app tells its real answer, at the end of a 201.
type envelope struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Error   string            `json:"error"`
	// The Go SDK says these beside the headers.
	RetryAt string `json:"retryAt"`
	NoRetry bool   `json:"noRetry"`
}

func openEnvelope(response Response) (Response, error) {
	var e envelope
	if err := json.Unmarshal(bytes.TrimSpace(response.Body), &e); err != nil {
		return response, fmt.Errorf("read envelope: %w", err)
	}
	if e.Status == 0 {
		return response, stepwell.Invalidf("the envelope has no status; error: %q", e.Error)
	}
	opened := Response{Status: e.Status, Header: response.Header.Clone(), Body: e.Body}
	for name, value := range e.Headers {
		opened.Header.Set(name, value)
	}
	if e.RetryAt != "" {
		opened.Header.Set(HeaderRetryAfter, e.RetryAt)
	}
	if e.NoRetry {
		opened.Header.Set(HeaderNoRetry, "true")
	}
	var text string
	if json.Unmarshal(e.Body, &text) == nil {
		opened.Body = []byte(text)
	}
	return opened, nil
}
