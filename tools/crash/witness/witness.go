// Package witness is an SDK app, and a publisher, that remembers all it did and saw. It speaks the protocol of the SDKs
// itself and believes what the server tells it, as an SDK does; what contradicts itself is found by whoever asks for its
// testimony.
//
// It must not know what is broken while it works.
package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
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
	// requestTimeout bounds a request to the server. It is longer than the server's own patience, so that no request is
	// still under way there when its publisher has given up.
	requestTimeout = 20 * time.Second
	// closeTimeout bounds the answers to the last calls.
	closeTimeout = 2 * time.Second
	// bodyBytesMax bounds what is read of a call or an answer.
	bodyBytesMax = 1 << 20
)

// Config says which server the app works with.
type Config struct {
	// Doors are the URLs of the server's HTTP API.
	Doors []string
	// EventKey is what events are published with, SigningKey proves the app.
	EventKey, SigningKey string
}

// Witness is the app. It is safe for concurrent use.
type Witness struct {
	config Config
	bearer string
	url    string
	client *http.Client
	http   *http.Server
	served chan struct{}
	// next tells apart the results of all steps ever run.
	next atomic.Int64
	// door is which door is asked next.
	door atomic.Int64
	// soon does something for as long as the app is there. pending is how much of that is not done yet.
	soon    func(job func(ctx context.Context))
	pending atomic.Int64
	sending sync.WaitGroup
	stop    context.CancelFunc

	mu        sync.Mutex
	testimony Testimony
	// inside counts the calls under way for functions with a Concurrency.
	inside map[string]int
}

// Start starts the app and registers it.
func Start(ctx context.Context, config Config) (*Witness, error) {
	prefix := config.SigningKey[:strings.LastIndexByte(config.SigningKey, '-')+1]
	secret, err := hex.DecodeString(config.SigningKey[len(prefix):])
	if err != nil {
		return nil, fmt.Errorf("the signing key is not hexadecimal after its prefix: %w", err)
	}
	hash := sha256.Sum256(secret)
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	w := &Witness{
		config: config, bearer: "Bearer " + prefix + hex.EncodeToString(hash[:]), testimony: newTestimony(), inside: map[string]int{},
		url: "http://" + listener.Addr().String() + path, served: make(chan struct{}),
		client: &http.Client{Timeout: requestTimeout},
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.soon = func(job func(ctx context.Context)) {
		w.pending.Add(1)
		w.sending.Go(func() { // waited for by Close
			defer w.pending.Add(-1)
			job(ctx)
		})
	}
	w.http = &http.Server{
		Handler: w, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() { // ended by Close, which waits
		defer close(w.served)
		_ = w.http.Serve(listener) // it ends with ErrServerClosed
	}()
	if err := w.register(ctx); err != nil {
		w.Close()
		return nil, fmt.Errorf("register the app: %w", err)
	}
	return w, nil
}

// Close ends the app, once it has answered the calls that it has.
func (w *Witness) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if w.http.Shutdown(ctx) != nil {
		_ = w.http.Close() // nobody is there any more to call again
	}
	<-w.served
	w.stop()
	w.sending.Wait()
	w.client.CloseIdleConnections()
}

func (w *Witness) register(ctx context.Context) error {
	var functions []any
	for _, f := range Functions() {
		functions = append(functions, w.describe(f))
	}
	status, err := w.send(ctx, w.config.Doors[0]+"/fn/register", map[string]any{
		"url": w.url, "deployType": "ping", "framework": "nodejs", "appName": "crash", "sdk": sdkName, "v": "0.1",
		"functions": functions,
	})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the server answered %d", status)
	}
	return err
}

// retriesOfBroken is how often steps are tried again that always fail.
const retriesOfBroken = 1

// describe is a function as SDKs register it.
func (w *Witness) describe(f Function) map[string]any {
	step := map[string]any{
		"id": "step", "name": "step",
		"runtime": map[string]string{"type": "http", "url": w.url + "?fnId=" + f.ID + "&stepId=step"},
	}
	if _, broken := f.Broken(); broken {
		step["retries"] = map[string]int{"attempts": retriesOfBroken}
	}
	triggers := []any{}
	if f.Event != "" {
		triggers = append(triggers, map[string]string{"event": f.Event})
	}
	if f.Handles.Event != "" {
		triggers = append(triggers, map[string]string{
			"event": f.Handles.Event, "expression": "event.data.function_id == '" + f.Handles.Of + "'",
		})
	}
	described := map[string]any{
		"id": f.ID, "name": f.ID, "triggers": triggers, "steps": map[string]any{"step": step},
	}
	if f.Concurrency > 0 {
		described["concurrency"] = f.Concurrency
	}
	if f.CancelledBy != "" {
		described["cancel"] = []any{map[string]string{"event": f.CancelledBy, "if": "event.id == async.data.of"}}
	}
	return described
}

// anyDoor is a door, each time the next one, as a load balancer that knows nothing would choose.
func (w *Witness) anyDoor() string {
	return w.config.Doors[int(w.door.Add(1))%len(w.config.Doors)]
}

// Event is an event to publish.
type Event struct {
	ID   string         `json:"id"`
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
}

// Publish publishes events in one request, once, and remembers whether that was answered with 200.
func (w *Witness) Publish(ctx context.Context, events []Event) { w.publish(ctx, "", events) }

// publish publishes what a run causes, or nobody's. It returns whether that was answered with 200.
func (w *Witness) publish(ctx context.Context, run string, events []Event) bool {
	w.sent(run, events, false)
	status, err := w.send(ctx, w.anyDoor()+"/e/"+w.config.EventKey, events)
	if err != nil || status != http.StatusOK {
		return false
	}
	w.sent(run, events, true)
	return true
}

const (
	// soonMax bounds how long after a step's execution its events are published, publishEvery is the time between tries.
	soonMax, publishEvery = 600 * time.Millisecond, 50 * time.Millisecond
	// publishFor bounds the tries.
	publishFor = time.Minute
)

// publishSoon publishes the events of a step's execution, each a while later, until the server has it. So whichever
// execution is recorded, its events come after it began.
func (w *Witness) publishSoon(run *Run, c call, step Step) {
	for range step.Copies {
		number := w.next.Add(1)
		event := Event{
			ID: fmt.Sprintf("%s-%d", c.Context.RunID, number), Name: step.Sends,
			Data: map[string]any{"run": c.Context.RunID, "of": c.Event.ID},
		}
		run.Sent = append(run.Sent, event.ID)
		w.soon(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, publishFor)
			defer cancel()
			wait := spread(event.ID, soonMax)
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				if w.publish(ctx, c.Context.RunID, []Event{event}) {
					return
				}
				wait = publishEvery
			}
		})
	}
}

// Pending is how many events are still to be published that steps caused.
func (w *Witness) Pending() int64 { return w.pending.Load() }

func (w *Witness) sent(run string, events []Event, acked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		before := w.testimony.Sent[event.ID].Acked
		w.testimony.Sent[event.ID] = Sent{Name: event.Name, Run: run, Acked: before || acked}
	}
}

// send posts JSON and returns the answer's status, once all of it was read.
func (w *Witness) send(ctx context.Context, url string, body any) (int, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("encode: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(encoded))
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Inngest-Sdk", sdkHeader)
	request.Header.Set("Authorization", w.bearer)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, io.LimitReader(response.Body, bodyBytesMax)); err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	return response.StatusCode, nil
}
