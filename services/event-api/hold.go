package eventapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// pauseBytesMax bounds the body of a request to pause a function.
const pauseBytesMax = 4 << 10

// pauseFunction serves POST /api/v1/functions/{function}/pause, with {"mode": "queue"}, which may be left out, or "skip".
func (s *Service) pauseFunction(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	body, err := readBody(w, r, pauseBytesMax)
	pause := struct {
		Mode string `json:"mode"`
	}{stepwell.HoldQueue.String()}
	if err == nil && len(bytes.TrimSpace(body)) > 0 {
		if problem := json.Unmarshal(body, &pause); problem != nil {
			err = stepwell.Invalidf(`the body cannot be read: %v; send {"mode": "queue"} or {"mode": "skip"}`, problem)
		}
	}
	hold := stepwell.HoldQueue
	switch {
	case err != nil:
	case pause.Mode == stepwell.HoldSkip.String():
		hold = stepwell.HoldSkip
	case pause.Mode != stepwell.HoldQueue.String():
		err = stepwell.Invalidf("mode is %q: use queue, by which new runs wait, or skip", pause.Mode)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.holdFunction(hold)(w, r, environment)
}

// holdFunction serves POST /api/v1/functions/{function}/resume and /drain, and answers with the function.
func (s *Service) holdFunction(hold stepwell.Hold) authorizedHandler {
	return func(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
		held, err := s.hold(r, environment, hold)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		respondData(w, held)
	}
}

func (s *Service) hold(r *http.Request, environment stepwell.EnvironmentID, hold stepwell.Hold) (apiFunction, error) {
	catalog, err := s.functions(r.Context(), environment)
	if err != nil {
		return apiFunction{}, err
	}
	slug := r.PathValue("function")
	at := slices.IndexFunc(catalog.Functions, func(f stepwell.Function) bool { return f.Slug == slug })
	if at < 0 {
		return apiFunction{}, fmt.Errorf("function %q: %w", slug, stepwell.ErrNotFound)
	}
	function := catalog.Functions[at]
	if function.Endpoint() {
		return apiFunction{}, stepwell.Invalidf(
			"%s is an endpoint of its app, which begins its runs itself: they cannot be held here", slug)
	}
	if err := s.deps.State.HoldFunction(r.Context(), environment, function.ID, hold); err != nil {
		return apiFunction{}, err
	}
	function.Hold = hold
	app := slices.IndexFunc(catalog.Apps, func(a stepwell.App) bool { return a.ID == function.App })
	if app < 0 {
		return newAPIFunction(function, stepwell.App{}), nil
	}
	return newAPIFunction(function, catalog.Apps[app]), nil
}
