package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// app is an SDK app that does no work. Its function has as many steps as the event says.
type app struct {
	server   string
	listener net.Listener
	http     *http.Server
	client   *http.Client

	mu sync.Mutex
	// calls are the times of each run's calls, by the event's number.
	calls map[int]*times
}

// times are when the calls of one run came and were answered.
type times struct {
	arrived  []time.Time
	answered []time.Time
	done     chan struct{}
}

const sdkHeader = "X-Inngest-Sdk"

// newApp starts an app and registers it.
func newApp(ctx context.Context, server string) (*app, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	a := &app{
		server: server, listener: listener, calls: map[int]*times{},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
	a.http = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.http.Serve(listener) }() // close ends it
	url := "http://" + listener.Addr().String() + "/api/inngest"
	registration := map[string]any{
		"appName": "load", "url": url, "sdk": "go:v0.15.0", "v": "1", "deployType": "ping",
		"functions": []any{map[string]any{
			"id": "load-plain", "name": "plain", "triggers": []any{map[string]any{"event": "load/plain"}},
			"steps": map[string]any{"step": map[string]any{
				"id": "step", "name": "step", "runtime": map[string]string{"type": "http", "url": url + "?fnId=load-plain&stepId=step"},
			}},
		}},
	}
	return a, a.post(ctx, "/fn/register", registration, nil)
}

func (a *app) close() { _ = a.http.Close() }

// post sends JSON to the server.
func (a *app) post(ctx context.Context, path string, body, out any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server+path, bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("%q is not a server's URL: %w", a.server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("no server at %s? %w", a.server, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", path, response.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// publish sends the event of run n and returns what is known of its calls.
func (a *app) publish(ctx context.Context, n, steps int) (*times, error) {
	t := &times{done: make(chan struct{})}
	a.mu.Lock()
	a.calls[n] = t
	a.mu.Unlock()
	event := map[string]any{"name": "load/plain", "data": map[string]int{"n": n, "steps": steps}}
	return t, a.post(ctx, "/e/load", event, nil)
}

// callBody is what the app reads of a call.
type callBody struct {
	Event struct {
		Data struct {
			N     int `json:"n"`
			Steps int `json:"steps"`
		} `json:"data"`
	} `json:"event"`
	Steps map[string]json.RawMessage `json:"steps"`
}

// ServeHTTP answers a call: the next step, or the end.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var body callBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set(sdkHeader, "go:v0.15.0")
	w.Header().Set("X-Inngest-Req-Version", "2")
	done := len(body.Steps) >= body.Event.Data.Steps
	if done {
		_, _ = io.WriteString(w, `"done"`)
	} else {
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprintf(w, `[{"op":"StepRun","id":"%040x","name":"step","data":1}]`, len(body.Steps))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.calls[body.Event.Data.N]
	if t == nil {
		return // of an earlier program
	}
	t.arrived = append(t.arrived, arrived)
	t.answered = append(t.answered, time.Now())
	if done {
		close(t.done)
		delete(a.calls, body.Event.Data.N)
	}
}

// wait waits for the run's end.
func (t *times) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
		return errors.New("a run did not end within 30s")
	}
}
