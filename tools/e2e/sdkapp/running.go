package sdkapp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// Settings are what a test wants of an app's process.
type Settings struct {
	// Port is where it listens.
	Port int
	// Env is the environment by which it finds the server.
	Env []string
	// Without is the ID of a function that it leaves out; optional.
	Without string
}

// Running is an app's process.
type Running struct {
	// Process is nil for an app that runs elsewhere.
	*process.Process

	origin string
}

// ServeURL is where an app at a port serves the SDK's endpoint.
func ServeURL(port int) string { return origin(port) + "/api/inngest" }

func origin(port int) string { return fmt.Sprintf("http://localhost:%d", port) }

// Start starts the app, which must be installed, and does not wait for it.
func (a App) Start(ctx context.Context, settings Settings) (*Running, error) {
	command := a.program.command()
	command.Name = a.Name
	command.Env = slices.Concat(settings.Env, a.env,
		[]string{"PORT=" + strconv.Itoa(settings.Port), "WITHOUT=" + settings.Without})
	started, err := process.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	return &Running{Process: started, origin: origin(settings.Port)}, nil
}

// Elsewhere is an app that somebody else started, at a URL without a path.
func Elsewhere(url string) *Running { return &Running{origin: url} }

// Ready tells whether the app answers; it is an error if it never will.
func (r *Running) Ready(ctx context.Context) (bool, error) {
	if r.Ended() {
		return false, fmt.Errorf("the app ended\n%s", r.LogSince(0))
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.origin+"/api/inngest", nil)
	if err != nil {
		return false, fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return false, nil // it does not listen yet
	}
	defer response.Body.Close()
	// An SDK that has a signing key does not tell everybody what it serves.
	return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized, nil
}

// Send publishes events with the SDK's client and returns the IDs that it got.
func (r *Running) Send(ctx context.Context, events ...target.Event) ([]string, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	var answer struct {
		IDs []string `json:"ids"`
	}
	return answer.IDs, r.do(ctx, http.MethodPost, "/send", body, &answer)
}

// Open opens a gate, for good.
func (r *Running) Open(ctx context.Context, gate string) error {
	return r.do(ctx, http.MethodPost, "/open?gate="+url.QueryEscape(gate), nil, nil)
}

// Sync asks the app to register at the server, as a deployment does.
func (r *Running) Sync(ctx context.Context) error {
	return r.do(ctx, http.MethodPut, "/api/inngest", []byte("{}"), nil)
}

// URL is where the app answers for a path.
func (r *Running) URL(path string) string { return r.origin + path }

// Request makes a request to the app, as a client would that follows no redirect.
func (r *Running) Request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.origin+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	stays := *client
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return stays.Do(request)
}

// Execution is one execution of a body: of the function itself, whose body is called "function", or of a step.
type Execution struct {
	Body string `json:"body"`
	// Attempt is the number that the SDK gave to the function.
	Attempt int `json:"attempt"`
	// At is when the body began, in Unix milliseconds.
	At int64 `json:"at"`
}

// Executions are what this process executed for a run, in order.
type Executions []Execution

// Executions are what this process executed for a run.
func (r *Running) Executions(ctx context.Context, run string) (Executions, error) {
	var answer struct {
		Executions Executions `json:"executions"`
	}
	return answer.Executions, r.do(ctx, http.MethodGet, "/counts?run="+url.QueryEscape(run), nil, &answer)
}

// Of are the executions of one body.
func (e Executions) Of(body string) Executions {
	var list Executions
	for _, execution := range e {
		if execution.Body == body {
			list = append(list, execution)
		}
	}
	return list
}

// Attempts are the attempt numbers of the executions.
func (e Executions) Attempts() []int {
	var list []int
	for _, execution := range e {
		list = append(list, execution.Attempt)
	}
	return list
}

// Counts are how often each body was executed, but for the function's own, which depends on the SDK.
func (e Executions) Counts() map[string]int {
	counts := map[string]int{}
	for _, execution := range e {
		if execution.Body != "function" {
			counts[execution.Body]++
		}
	}
	return counts
}

// Began is when the execution began.
func (e Execution) Began() time.Time { return time.UnixMilli(e.At) }

// requestTimeout bounds a request to an app.
const requestTimeout = time.Minute

// client keeps no connections: Node closes one that is idle, perhaps while the next request is on its way.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} //nolint:gochecknoglobals // it has no state

func (r *Running) do(ctx context.Context, method, path string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, r.origin+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the app: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the app's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read the app's answer: %w: %s", err, text)
	}
	return nil
}
