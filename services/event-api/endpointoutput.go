package eventapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// How clients wait for the output of a run.
const (
	// outputWaitMax is how long a request waits for a run to end.
	outputWaitMax = 5 * time.Minute
	// outputPollEvery is how often the run is looked at meanwhile.
	outputPollEvery = 2 * time.Second
	// outputWaitersMax bounds the requests that wait at a time.
	outputWaitersMax = 500
	// outputWriteFor is how long the answer may take to be written.
	outputWriteFor = time.Minute
)

// endpointOutput serves GET /v1/checkpoint/{run}/output?token=: the answer of an endpoint that could not answer by itself,
// as soon as there is one.
func (s *Service) endpointOutput(w http.ResponseWriter, r *http.Request) {
	var environment stepwell.EnvironmentID
	id, err := stepwell.ParseRunID(r.PathValue("run"))
	if err != nil {
		err = stepwell.Unauthorizedf("Authentication failed: %v", err)
	} else {
		environment, err = s.tokens.verify(r.URL.Query().Get("token"), id, time.Now())
	}
	var run stepwell.Run
	if err == nil {
		run, err = s.awaitRun(w, r, environment, id)
	}
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !run.Status.Ended():
		respond(w, http.StatusOK, map[string]string{
			"status": "running", "message": "run did not end within 5 minutes",
		})
	default:
		replay(w, run)
	}
}

// awaitRun is the run when it has ended, or after outputWaitMax. Errors: stepwell.ErrUnavailable if too many wait.
func (s *Service) awaitRun(
	w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.Run, error) {
	run, err := s.deps.State.Run(r.Context(), environment, id)
	if err != nil || run.Status.Ended() {
		return run, err
	}
	select {
	case s.waiters <- struct{}{}:
		defer func() { <-s.waiters }()
	default:
		return run, fmt.Errorf("%d requests wait for the output of runs, the most that may: %w", outputWaitersMax,
			stepwell.ErrUnavailable)
	}
	// Other requests are answered much sooner. What cannot be prolonged, as in tests, needs not.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(outputWaitMax + outputWriteFor))
	ctx, cancel := context.WithTimeout(r.Context(), outputWaitMax)
	defer cancel()
	ticker := time.NewTicker(outputPollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return run, r.Context().Err()
		case <-ticker.C:
		}
		run, err = s.deps.State.Run(r.Context(), environment, id)
		if err != nil && !stepwell.Retryable(err) || err == nil && run.Status.Ended() {
			return run, err
		}
	}
}

// replay answers as the endpoint did. A run that came to no answer of the endpoint's own answers with its result or error.
func replay(w http.ResponseWriter, run stepwell.Run) {
	result, ok := sdk.AnswerOf(run)
	switch {
	case ok:
		for name, value := range result.Headers {
			if sdk.IsReplayed(name) {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(result.Status)
		// A client that has gone is nobody's error.
		_, _ = w.Write(result.Body)
	case run.Status == stepwell.RunCompleted:
		respondBytes(w, run.Output)
	case run.Status == stepwell.RunFailed:
		respond(w, http.StatusInternalServerError, map[string]json.RawMessage{"error": run.Output})
	default:
		respond(w, http.StatusInternalServerError, map[string]any{
			"error": map[string]string{"name": "run_" + run.Status.String(), "message": "The run has no output: it is " + run.Status.String()},
		})
	}
}
