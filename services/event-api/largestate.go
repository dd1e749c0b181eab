package eventapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// errRunEnded is why a run's state is not given out: its app is to do nothing for it any more (I16).
var errRunEnded = errors.New("the run has ended")

// runActions serves GET /v0/runs/{run}/actions: the steps that a call left out because they are too large for it.
func (s *Service) runActions(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	state, err := s.liveRun(r, environment)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respondBytes(w, sdk.AppendMemos(make([]byte, 0, state.Run.Progress.StateBytes), state.Steps))
}

// runBatch serves GET /v0/runs/{run}/batch: the trigger events that a call left out.
func (s *Service) runBatch(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	state, err := s.liveRun(r, environment)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respondBytes(w, stepwell.AppendEventsJSON(nil, state.Events))
}

// liveRun is the run of the path as a call would see it.
func (s *Service) liveRun(r *http.Request, environment stepwell.EnvironmentID) (stepwell.RunState, error) {
	id, err := stepwell.ParseRunID(r.PathValue("run"))
	if err != nil {
		return stepwell.RunState{}, err
	}
	state, err := store.LoadRun(r.Context(), s.deps.State, id)
	switch {
	case err != nil:
		return stepwell.RunState{}, err
	case state.Run.Environment != environment: // I24
		return stepwell.RunState{}, fmt.Errorf("run %s: %w", id, stepwell.ErrNotFound)
	case state.Run.Status.Ended():
		return stepwell.RunState{}, fmt.Errorf("run %s: %w", id, errRunEnded)
	}
	return state, nil
}

// respondBytes answers with JSON that is made already.
func respondBytes(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone is nobody's error.
	_, _ = w.Write(body)
}
