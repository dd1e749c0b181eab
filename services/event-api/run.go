package eventapi

import (
	"encoding/json"
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
	Status          string                 `json:"status"`
	EndedAt         *time.Time             `json:"ended_at"`
	Output          json.RawMessage        `json:"output,omitempty"`
}

func newSDKRun(run stepwell.Run) sdkRun {
	return sdkRun{
		RunID: run.ID, StartedAt: run.CreatedAt, FunctionID: run.Function, FunctionVersion: run.FunctionVersion,
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
	respondData(w, newSDKRun(run))
}

// getEventRuns serves GET /v1/events/{event}/runs. An event that is not known has no runs: it is a 404.
func (s *Service) getEventRuns(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	id, err := stepwell.ParseEventID(r.PathValue("event"))
	if err == nil {
		_, err = s.deps.State.Event(r.Context(), environment, id)
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
	}
	respondData(w, list)
}
