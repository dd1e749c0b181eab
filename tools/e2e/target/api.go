package target

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Event is an event to publish.
type Event struct {
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
	// ID is what copies of an event have in common; optional.
	ID string `json:"id,omitempty"`
	// TS is when the event happened, in Unix milliseconds; optional.
	TS int64 `json:"ts,omitempty"`
}

// Run is a run as GET /v1/runs/{id} shows it.
type Run struct {
	ID     string          `json:"run_id"`
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
}

// The statuses of a run that tests wait for.
const (
	Running   = "Running"
	Completed = "Completed"
	Failed    = "Failed"
	Cancelled = "Cancelled"
)

// Failure is why a run failed.
type Failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Stack   string `json:"stack"`
}

// Failure is why the run failed.
func (r Run) Failure() (Failure, error) {
	var output struct {
		Error Failure `json:"error"`
	}
	err := json.Unmarshal(r.Output, &output)
	return output.Error, err
}

// History is a run with its steps and attempts, as GET /api/v1/runs/{id} shows it.
type History struct {
	Status        string    `json:"status"`
	SkipReason    string    `json:"skip_reason"`
	ExistingRunID string    `json:"existing_run_id"`
	CreatedAt     time.Time `json:"created_at"`
	Open          []Item    `json:"open"`
	Steps         []Step    `json:"steps"`
	Attempts      []Attempt `json:"attempts"`
}

// Item is what a run waits for.
type Item struct {
	Kind string `json:"kind"`
	// Waiting is why nobody works on it, if it is due.
	Waiting struct {
		For string `json:"for"`
	} `json:"waiting"`
}

// Step is a step of a run.
type Step struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Status string `json:"status"`
}

// Attempt is a call to the app.
type Attempt struct {
	Number int    `json:"number"`
	Status string `json:"status"`
	// HTTPStatus is what the app answered; 0 if it did not.
	HTTPStatus int `json:"http_status"`
}

// Function is a function that the server knows.
type Function struct {
	ID  string `json:"id"`
	SDK string `json:"sdk"`
	URL string `json:"url"`
}

// Publish publishes events and returns the ID that the server gave to each.
func (s *Server) Publish(ctx context.Context, events ...Event) ([]string, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	var answer struct {
		IDs []string `json:"ids"`
	}
	err = s.do(ctx, http.MethodPost, "/e/"+s.EventKey, body, &answer)
	return answer.IDs, err
}

// EventRuns are the runs that an event started.
func (s *Server) EventRuns(ctx context.Context, event string) ([]Run, error) {
	var runs []Run
	return runs, s.get(ctx, "/v1/events/"+event+"/runs", &runs)
}

// FunctionRuns are the latest runs of a function, by its name at the server, newest first.
func (s *Server) FunctionRuns(ctx context.Context, function string) ([]string, error) {
	var runs []struct {
		ID string `json:"id"`
	}
	err := s.get(ctx, "/api/v1/runs?function="+url.QueryEscape(function), &runs)
	ids := make([]string, len(runs))
	for i, run := range runs {
		ids[i] = run.ID
	}
	return ids, err
}

// Run is the run of that ID.
func (s *Server) Run(ctx context.Context, id string) (Run, error) {
	var run Run
	return run, s.get(ctx, "/v1/runs/"+id, &run)
}

// History is all that the server tells about a run.
func (s *Server) History(ctx context.Context, id string) (History, error) {
	var history History
	return history, s.get(ctx, "/api/v1/runs/"+id, &history)
}

// HistoryJSON is the history as the server writes it, for people.
func (s *Server) HistoryJSON(ctx context.Context, id string) (string, error) {
	var history json.RawMessage
	if err := s.get(ctx, "/api/v1/runs/"+id, &history); err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err := json.Indent(&indented, history, "", "  ")
	return indented.String(), err
}

// Signal sends a signal and returns the run that waited for it.
func (s *Server) Signal(ctx context.Context, signal string, data any) (run string, err error) {
	body, err := json.Marshal(map[string]any{"signal": signal, "data": data})
	if err != nil {
		return "", fmt.Errorf("encode signal: %w", err)
	}
	var answer struct {
		Data struct {
			RunID string `json:"run_id"`
		} `json:"data"`
	}
	err = s.do(ctx, http.MethodPost, "/v1/signals", body, &answer)
	return answer.Data.RunID, err
}

// Cancel cancels a run.
func (s *Server) Cancel(ctx context.Context, run string) error {
	return s.do(ctx, http.MethodDelete, "/v1/runs/"+run, nil, nil)
}

// Hold pauses, drains or resumes a function, by its name at the server. mode is how it is paused.
func (s *Server) Hold(ctx context.Context, function, verb, mode string) error {
	body, err := json.Marshal(map[string]string{"mode": mode})
	if err != nil {
		return fmt.Errorf("encode mode: %w", err)
	}
	return s.do(ctx, http.MethodPost, "/api/v1/functions/"+url.PathEscape(function)+"/"+verb, body, nil)
}

// Register registers an app as an SDK does. The body is the SDK's.
func (s *Server) Register(ctx context.Context, body string) error {
	return s.do(ctx, http.MethodPost, "/fn/register", []byte(body), nil)
}

// Functions are the functions that the server knows.
func (s *Server) Functions(ctx context.Context) ([]Function, error) {
	var functions []Function
	return functions, s.get(ctx, "/api/v1/functions", &functions)
}

func (s *Server) get(ctx context.Context, path string, data any) error {
	answer := struct {
		Data any `json:"data"`
	}{data}
	return s.do(ctx, http.MethodGet, path, nil, &answer)
}

func (s *Server) do(ctx context.Context, method, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, s.url()+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if s.SigningKey != "" {
		request.Header.Set("Authorization", "Bearer "+s.SigningKey)
	}
	response, err := client().Do(request)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w: %s", method, path, err, text)
	}
	return nil
}
