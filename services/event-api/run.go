package eventapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// sdkRun is a run as SDKs and their tools know it.
type sdkRun struct {
	RunID           stepwell.RunID         `json:"run_id"`
	StartedAt       time.Time              `json:"run_started_at"`
	FunctionID      stepwell.FunctionID    `json:"function_id"`
	FunctionVersion int                    `json:"function_version"`
	EnvironmentID   stepwell.EnvironmentID `json:"environment_id"`
	EventID         stepwell.EventID       `json:"event_id"`
	// BatchID names the batch of a run that several events have started.
	BatchID stepwell.RunID  `json:"batch_id,omitzero"`
	Cron    string          `json:"cron,omitempty"`
	Status  string          `json:"status"`
	EndedAt *time.Time      `json:"ended_at"`
	Output  json.RawMessage `json:"output,omitempty"`
}

func newSDKRun(run stepwell.Run) sdkRun {
	var batch stepwell.RunID
	if len(run.Events) > 1 {
		batch = run.ID
	}
	return sdkRun{
		BatchID: batch,
		RunID:   run.ID, StartedAt: run.CreatedAt, FunctionID: run.Function, FunctionVersion: run.FunctionVersion,
		EnvironmentID: run.Environment, EventID: run.Events[0], Status: run.Status.String(),
		EndedAt: optionalTime(run.EndedAt), Output: sdkOutput(run),
	}
}

// sdkOutput is the function's result, or its failure as SDKs' tools expect it.
func sdkOutput(run stepwell.Run) json.RawMessage {
	if run.Status != stepwell.RunFailed {
		return run.Output
	}
	wrapped := append([]byte(`{"error":`), run.Output...)
	return append(wrapped, '}')
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// getRun serves GET /v1/runs/{run}.
func (s *Service) getRun(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	id, err := stepwell.ParseRunID(r.PathValue("run"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	run, err := s.deps.State.Run(r.Context(), environment, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := newSDKRun(run)
	if answer.Cron, err = s.cronOf(r.Context(), run); err != nil {
		s.fail(w, r, err)
		return
	}
	respondData(w, answer)
}

// cronOf is the expression that started the run; empty if it was none, or if that is not kept any longer.
func (s *Service) cronOf(ctx context.Context, run stepwell.Run) (string, error) {
	if run.EventName != stepwell.TimerEventName {
		return "", nil
	}
	event, err := s.deps.State.Event(ctx, run.Environment, run.Events[0])
	if errors.Is(err, stepwell.ErrNotFound) {
		return "", nil
	}
	return event.Cron(), err
}

// getEventRuns serves GET /v1/events/{event}/runs. An event that is not known has no runs: it is a 404.
func (s *Service) getEventRuns(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	id, err := stepwell.ParseEventID(r.PathValue("event"))
	var event stepwell.Event
	if err == nil {
		event, err = s.deps.State.Event(r.Context(), environment, id)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	runs, err := s.deps.State.Runs(r.Context(), store.RunQuery{Environment: environment, Event: id, Limit: store.PageMax})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := make([]sdkRun, len(runs))
	for i, run := range runs {
		list[i] = newSDKRun(run)
		list[i].Cron = event.Cron()
	}
	respondData(w, list)
}

// cancelRun serves DELETE /v1/runs/{run} and /v0/runs/{run}, which differ in the status that says that it was done.
func (s *Service) cancelRun(done int) authorizedHandler {
	return func(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
		id, err := stepwell.ParseRunID(r.PathValue("run"))
		if err == nil {
			err = s.deps.Runner.CancelRun(r.Context(), environment, id)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		w.WriteHeader(done)
	}
}

// postSignal serves POST /v1/signals.
func (s *Service) postSignal(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	body, err := readBody(w, r, stepwell.EventBytesMax)
	var signal struct {
		Name string          `json:"signal"`
		Data json.RawMessage `json:"data"`
	}
	if err == nil {
		if problem := json.Unmarshal(body, &signal); problem != nil {
			err = stepwell.Invalidf(`the body cannot be read: %v; send {"signal": "name", "data": …}`, problem)
		} else if !stepwell.Nameable(signal.Name) {
			err = stepwell.Invalidf(`the signal's name must have 1 to %d bytes without control characters; send {"signal": "name", "data": …}`,
				stepwell.EventNameBytesMax)
		}
	}
	var run stepwell.RunID
	if err == nil {
		if len(signal.Data) == 0 {
			signal.Data = json.RawMessage("null")
		}
		run, err = s.deps.Runner.SendSignal(r.Context(), environment, signal.Name, signal.Data)
	}
	if errors.Is(err, stepwell.ErrNotFound) {
		err = fmt.Errorf("No signal found: no run waits for signal %q (%w)", signal.Name, stepwell.ErrNotFound) //nolint:staticcheck // as SDKs know it
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respondData(w, map[string]stepwell.RunID{"run_id": run})
}
