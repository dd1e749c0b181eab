package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// The bounds of one request to the server.
const (
	requestTimeout = 30 * time.Second
	answerBytesMax = 64 << 20
)

// client talks to a server's API.
type client struct {
	server string
	// authorization is the header that opens the API; empty for a dev server.
	authorization string
	http          http.Client
}

func (o *options) client() *client {
	c := &client{server: strings.TrimRight(o.server, "/"), http: http.Client{Timeout: requestTimeout}}
	if key, err := sdk.HashSigningKey(o.signingKey); err == nil {
		c.authorization = "Bearer " + key
	}
	return c
}

// get reads data into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := c.do(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		return fmt.Errorf("read answer to %s: %w", path, err)
	}
	return nil
}

// post sends a JSON body and reads the answer into out.
func (c *client) post(ctx context.Context, path string, body, out any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, encoded, out)
}

func (c *client) do(ctx context.Context, method, path string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%q is not a server's URL: %w", c.server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	response, err := c.http.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no server at %s. Start one with `stepwell dev`, or say where it is with --server", c.server)
	}
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return refusal(response.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s does not answer like a Stepwell server: %w", c.server, err)
	}
	return nil
}

// refusal is the server's own words, if it said any.
func refusal(status int, answer []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) == nil && said.Error != "" {
		return errors.New(said.Error)
	}
	return fmt.Errorf("the server answered %d %s", status, http.StatusText(status))
}

// run, step, attempt and item are what the API says of a run.
type run struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	SkipReason string `json:"skip_reason,omitempty"`
	// ExistingRunID is the run because of which it was skipped.
	ExistingRunID string          `json:"existing_run_id,omitempty"`
	Notes         []string        `json:"notes,omitempty"`
	Function      string          `json:"function"`
	EventName     string          `json:"event_name"`
	EventIDs      []string        `json:"event_ids"`
	CreatedAt     time.Time       `json:"created_at"`
	StartedAt     time.Time       `json:"started_at"`
	EndedAt       time.Time       `json:"ended_at"`
	Output        json.RawMessage `json:"output,omitempty"`
	Error         *failure        `json:"error,omitempty"`
	Open          []item          `json:"open,omitempty"`
	Steps         []step          `json:"steps,omitempty"`
	Attempts      []attempt       `json:"attempts,omitempty"`
}

func (r run) ended() bool { return r.Status != "Running" }

type step struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	OpenedAt  time.Time       `json:"opened_at"`
	StartedAt time.Time       `json:"started_at"`
	EndedAt   time.Time       `json:"ended_at"`
	DueAt     time.Time       `json:"due_at"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     *failure        `json:"error,omitempty"`
}

type attempt struct {
	Step      string    `json:"step,omitempty"`
	Name      string    `json:"name,omitempty"`
	Number    int       `json:"number"`
	Status    string    `json:"status"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	NextAt    time.Time `json:"next_at"`
	Error     *failure  `json:"error,omitempty"`
}

type item struct {
	Kind    string    `json:"kind"`
	Step    string    `json:"step,omitempty"`
	Attempt int       `json:"attempt"`
	DueAt   time.Time `json:"due_at"`
	Waiting *waiting  `json:"waiting,omitempty"`
}

// waiting is why an item is not worked on.
type waiting struct {
	For   string `json:"for"`
	Scope string `json:"scope,omitempty"`
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	Ahead int    `json:"ahead"`
}

// String is why, in words.
func (w waiting) String() string {
	why := map[string]string{
		"turn": "for an executor", "paused": "the function is paused", "limits": "until the queue knows the function's limits",
		"concurrency": "concurrency", "throttle": "throttle",
	}[w.For]
	if w.Scope != "" && w.Scope != "function" {
		why += " of the " + w.Scope
	}
	if w.Key != "" {
		why += fmt.Sprintf(", %s is %q", w.Key, w.Value)
	}
	return fmt.Sprintf("waiting: %s, %d ahead", why, w.Ahead)
}

type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (f *failure) String() string {
	if f.Name == "" || f.Name == "Error" {
		return f.Message
	}
	return f.Name + ": " + f.Message
}
