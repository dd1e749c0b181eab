// Package app is an SDK app that does no work, so that what is measured with it is the server. It speaks the protocol of
// the SDKs itself: it registers, publishes, answers calls and reports steps, signed as they do, and keeps the time of all
// that it sees.
//
// It must not know scenarios or reports.
package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// What the app says of itself.
const (
	path      = "/api/inngest"
	sdkName   = "js:v4.24.0"
	sdkHeader = "inngest-" + sdkName
)

const (
	// requestTimeout bounds a request to the server.
	requestTimeout = 30 * time.Second
	// closeTimeout bounds the answers to the last calls.
	closeTimeout = 2 * time.Second
	// answerBytesMax bounds what is read of an answer of the server.
	answerBytesMax = 16 << 20
	// callBytesMax bounds a call, which the protocol bounds at 4 MiB.
	callBytesMax = 8 << 20
	// connectionsMax bounds the connections to the server.
	connectionsMax = 512
)

// Config says which server the app works with.
type Config struct {
	// Name tells apps of the same server apart.
	Name string
	// Server is the URL of the server's HTTP API.
	Server string
	// Listen is the address at which the app serves; port 0 is any free one.
	Listen string
	// URL is where the server reaches the app, if that is not the address.
	URL string
	// EventKey is what events are published with.
	EventKey string
	// SigningKey proves the app to the server. The dev server needs none.
	SigningKey string
	// Verify refuses calls that are not signed with the key.
	Verify bool
}

// App serves one server. It is safe for concurrent use.
type App struct {
	config   Config
	bearer   string
	client   *http.Client
	http     *http.Server
	served   chan struct{}
	instance string

	batchCount atomic.Int64
	retries    atomic.Int64
	seeds      atomic.Int64

	mu      sync.Mutex
	batches map[string]*Batch
	problem error
}

// Start starts an app and registers it.
func Start(ctx context.Context, config Config) (*App, error) {
	bearer, err := bearerOf(config.SigningKey)
	if err != nil {
		return nil, err
	}
	if config.Verify && config.SigningKey == "" {
		return nil, errors.New("signatures cannot be checked without a signing key")
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if config.URL == "" {
		config.URL = "http://" + listener.Addr().String() + path
	}
	a := &App{
		config: config, bearer: bearer, batches: map[string]*Batch{}, served: make(chan struct{}),
		instance: strconv.FormatInt(time.Now().UnixNano(), 36),
		client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			MaxConnsPerHost: connectionsMax, MaxIdleConnsPerHost: connectionsMax, DisableCompression: true,
		}},
	}
	a.http = &http.Server{
		Handler: a, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() { // ended by Close, which waits
		defer close(a.served)
		_ = a.http.Serve(listener) // it ends with ErrServerClosed
	}()
	if err := a.register(ctx); err != nil {
		a.Close()
		return nil, fmt.Errorf("register the app: %w", err)
	}
	return a, nil
}

// Close ends the app, once it has answered the calls that it has.
func (a *App) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		_ = a.http.Close() // the server calls again
	}
	<-a.served
	a.client.CloseIdleConnections()
}

// Retries is how often something was tried again that the server had refused.
func (a *App) Retries() int { return int(a.retries.Load()) }

func (a *App) register(ctx context.Context) error {
	functions := []any{
		a.function(Unlimited, nil), a.function(Single, map[string]any{"limit": 1}),
		a.function(Keyed, map[string]any{"limit": 1, "key": "event.data.key"}),
	}
	return a.send(ctx, http.MethodPost, "/fn/register", map[string]any{
		"url": a.config.URL, "deployType": "ping", "framework": "nodejs", "appName": a.config.Name, "sdk": sdkName, "v": "0.1",
		"functions": functions,
	}, nil)
}

// function is how a function is registered. A concurrency of nil is none.
func (a *App) function(function Function, concurrency map[string]any) map[string]any {
	id := a.config.Name + "-" + string(function)
	registered := map[string]any{
		"id": id, "name": function, "triggers": []any{map[string]string{"event": a.event(function)}},
		"steps": map[string]any{"step": map[string]any{
			"id": "step", "name": "step",
			"runtime": map[string]string{"type": "http", "url": a.config.URL + "?fnId=" + id + "&stepId=step"},
		}},
	}
	if concurrency != nil {
		registered["concurrency"] = []any{concurrency}
	}
	return registered
}

// event is the event that starts runs of a function.
func (a *App) event(function Function) string { return a.config.Name + "/" + string(function) }

// eventResume is the event for which runs wait.
func (a *App) eventResume() string { return a.config.Name + "/resume" }

// Cancel cancels a run.
func (a *App) Cancel(ctx context.Context, run string) error {
	return a.send(ctx, http.MethodDelete, "/v1/runs/"+run, nil, nil)
}

// refusal is an answer other than a 2xx.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

// isBusy reports whether the same request may be accepted later.
func (r *refusal) isBusy() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable
}

// send sends JSON to the server with the key of the app.
func (a *App) send(ctx context.Context, method, path string, body any, header map[string]string) error {
	encoded := []byte{}
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.config.Server+path, bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("%q is not a server's URL: %w", a.config.Server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Inngest-Sdk", sdkHeader)
	if a.bearer != "" {
		request.Header.Set("Authorization", a.bearer)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("no server at %s? %w", a.config.Server, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &refusal{
			status:  response.StatusCode,
			message: fmt.Sprintf("%s %s was answered %d: %.300s", method, path, response.StatusCode, answer),
		}
	}
	return nil
}

// note keeps the first thing that went wrong, for whoever waits in vain.
func (a *App) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problem == nil {
		a.problem = err
	}
}
