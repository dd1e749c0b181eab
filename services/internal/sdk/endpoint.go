package sdk

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The names of the event that tells of a request to an endpoint.
const (
	EndpointEventJS = "inngest/http.request"
	EndpointEventGo = "http/run.started"
)

// The bounds of a request to an endpoint (docs/limits.md).
const (
	endpointMethodBytesMax = 16
	endpointPathBytesMax   = 8 << 10
)

// EndpointRequest is a request to an endpoint of an app, as the app tells of it.
type EndpointRequest struct {
	// Domain is scheme and host: https://shop.example.
	Domain      string `json:"domain"`
	Method      string `json:"method"`
	Path        string `json:"path"`
	QueryParams string `json:"query_params"`
	// Body is text; from Go it is base64.
	Body        string `json:"body"`
	ContentType string `json:"content_type"`
	// Function is the id of the function; empty if the author chose none.
	Function string `json:"fn"`
}

// ParseEndpointRequest reads the data of the event. Errors: stepwell.ErrInvalid, which says what is wrong with it.
func ParseEndpointRequest(event stepwell.Event) (EndpointRequest, error) {
	var r EndpointRequest
	if err := json.Unmarshal(event.Data, &r); err != nil {
		return r, stepwell.Invalidf("event.data cannot be read: %v", err)
	}
	domain, err := url.Parse(r.Domain)
	switch {
	case event.Name != EndpointEventJS && event.Name != EndpointEventGo:
		return r, stepwell.Invalidf("event.name is %q, it must be %q or %q", event.Name, EndpointEventJS, EndpointEventGo)
	case err != nil || domain.Host == "" || domain.Scheme != "http" && domain.Scheme != "https",
		r.Domain != domain.Scheme+"://"+domain.Host:
		return r, stepwell.Invalidf("event.data.domain is %q, it must be scheme and host, such as https://shop.example", r.Domain)
	case r.Method == "" || len(r.Method) > endpointMethodBytesMax || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return r, stepwell.Invalidf("event.data.method is %q, it must be an HTTP method, such as POST", r.Method)
	case !strings.HasPrefix(r.Path, "/") || len(r.Path)+len(r.QueryParams) > endpointPathBytesMax:
		return r, stepwell.Invalidf("event.data.path must begin with / and have, with query_params, at most %d bytes",
			endpointPathBytesMax)
	}
	if event.Name == EndpointEventGo {
		if _, err := base64.StdEncoding.DecodeString(r.Body); err != nil {
			return r, stepwell.Invalidf("event.data.body must be base64: %v", err)
		}
	}
	return r, nil
}

// EndpointApp is the app that a request was made to, with its functions: those that are known of it, and the one that is
// the endpoint. knownSDK is what the app says that its SDK is, empty if it does not say. Errors: stepwell.ErrInvalid.
func EndpointApp(
	environment stepwell.EnvironmentID, r EndpointRequest, knownSDK string, retries int,
) (stepwell.App, stepwell.Function, error) {
	name := r.Function
	if name == "" {
		name = r.Method + " " + r.Path
	}
	app := stepwell.App{
		ID: stepwell.NewAppID(environment, r.Domain), Environment: environment, Name: r.Domain, URL: r.Domain, SDK: knownSDK,
	}
	function := stepwell.Function{
		Environment: environment, App: app.ID, Slug: r.Domain + "-" + name, Name: name, URL: r.Domain, Retries: retries,
		Triggers: []stepwell.Trigger{{Endpoint: true}},
	}
	function.ID = stepwell.NewFunctionID(app.ID, function.Slug)
	if len(function.Slug) > nameBytesMax || printable(function.Slug) != function.Slug {
		return app, function, stepwell.Invalidf("domain and function id together, %q, may have at most %d bytes and no control "+
			"characters: give the endpoint an id of its own", function.Slug, nameBytesMax)
	}
	return app, function, nil
}

// APIResult is what an endpoint answers its client.
type APIResult struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

// ParseAPIResult reads a result as the SDKs write it, or as JSON does. ok is false if it is something else.
func ParseAPIResult(raw json.RawMessage) (result APIResult, ok bool) {
	var wire struct {
		// JavaScript's members.
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		// Go's.
		Data *struct {
			Status  int               `json:"status_code"`
			Headers map[string]string `json:"headers"`
			Body    []byte            `json:"body"`
		} `json:"data"`
	}
	if json.Unmarshal(raw, &wire) != nil {
		return APIResult{}, false
	}
	result = APIResult{Status: wire.Status, Headers: wire.Headers, Body: []byte(wire.Body)}
	if wire.Data != nil {
		result = APIResult{Status: wire.Data.Status, Headers: wire.Data.Headers, Body: wire.Data.Body}
	}
	return result, result.Status >= 200 && result.Status <= 599
}

// json is the result as Go's SDK writes it, which can hold any bytes.
func (r APIResult) json() json.RawMessage {
	return stepwell.EncodeJSON(map[string]any{"data": map[string]any{"status_code": r.Status, "headers": r.Headers, "body": r.Body}})
}

// failure is the failure of a run whose endpoint answered with an error. It holds the answer, so that it can be replayed.
func (r APIResult) failure(raw json.RawMessage) json.RawMessage {
	return stepwell.EncodeJSON(map[string]any{
		"name":    "endpoint_error",
		"message": fmt.Sprintf("The endpoint answered with HTTP %d %s", r.Status, http.StatusText(r.Status)),
		"data":    raw,
	})
}

// AnswerOf is what an ended run of an endpoint answers: its result, or the one that its failure holds. ok is false if the
// run did not come to an answer of the endpoint's own.
func AnswerOf(run stepwell.Run) (result APIResult, ok bool) {
	if run.Status != stepwell.RunFailed {
		return ParseAPIResult(run.Output)
	}
	var failure struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(run.Output, &failure) != nil {
		return APIResult{}, false
	}
	return ParseAPIResult(failure.Data)
}

// IsReplayed tells whether a header of an endpoint's answer is part of it, and not of the connection, or of the origin, by
// which it came.
func IsReplayed(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Content-Encoding", "Date", "Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security", "Server-Timing", "X-Run-Id":
		return false
	}
	return !strings.HasPrefix(name, "X-Inngest-")
}
