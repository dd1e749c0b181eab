package eventapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// retryAfterSeconds is what a caller is told when a dependency does not answer.
const retryAfterSeconds = 1

// withServerKind says on every answer what this server is.
func (s *Service) withServerKind(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(sdk.HeaderServerKind, s.deps.ServerKind)
		next.ServeHTTP(w, r)
	})
}

// authorizedHandler serves a request of a caller who may see one environment.
type authorizedHandler func(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID)

// authorized lets in who has a key for SDK and API calls.
func (s *Service) authorized(next authorizedHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		environment, err := s.deps.Keys.Authorization(r.Context(), r.Header.Get("Authorization"))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		next(w, r, environment)
	}
}

// statusOf is the one place where HTTP statuses are chosen.
func statusOf(err error) int {
	switch {
	case errors.Is(err, stepwell.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, stepwell.ErrUnauthorized):
		return http.StatusUnauthorized
	case errors.Is(err, stepwell.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, errRunEnded):
		return http.StatusGone
	case errors.Is(err, stepwell.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, stepwell.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, stepwell.ErrFull):
		return http.StatusTooManyRequests
	case errors.Is(err, stepwell.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problem is the status and the text for the caller.
func (s *Service) problem(r *http.Request, err error) (int, string) {
	return s.conceal(r.Context(), err, slog.String("method", r.Method), slog.String("route", routeOf(r)))
}

// conceal is the status and the text for a caller who need not know how the server is made. What the caller cannot mend is
// logged, and the text says no more than that.
func (s *Service) conceal(ctx context.Context, err error, request ...slog.Attr) (int, string) {
	status := statusOf(err)
	if ctx.Err() != nil || status < http.StatusInternalServerError {
		return status, err.Error()
	}
	s.deps.Log.LogAttrs(ctx, slog.LevelWarn, "request failed",
		append(request, slog.Int("status", status), slog.String("error", err.Error()))...)
	if status == http.StatusServiceUnavailable {
		return status, "temporarily unavailable, try again"
	}
	return status, "internal error: the server's log says more"
}

// routeOf is the route of a request, for logs: its path may hold a key.
func routeOf(r *http.Request) string {
	if _, path, found := strings.Cut(r.Pattern, " "); found {
		return path
	}
	return r.Pattern
}

// fail answers with an error in the form that SDKs read.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.failWith(w, r, nil, err)
}

// failWith is fail with data that says what the error is about.
func (s *Service) failWith(w http.ResponseWriter, r *http.Request, data any, err error) {
	status, text := s.problem(r, err)
	sayWhen(w, status)
	respond(w, status, struct {
		Error  string `json:"error"`
		Data   any    `json:"data"`
		Status int    `json:"status"`
	}{text, data, status})
}

// sayWhen tells when a request that may be taken later should be sent again.
func sayWhen(w http.ResponseWriter, status int) {
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set(sdk.HeaderRetryAfter, strconv.Itoa(retryAfterSeconds))
	case http.StatusTooManyRequests:
		w.Header().Set(sdk.HeaderRetryAfter, strconv.Itoa(int(stepwell.FullRetryAfter.Seconds())))
	}
}

// respond answers with JSON.
func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// A client that has gone is nobody's error.
	_ = encoder.Encode(body)
}

// envelope is the form of answers of the SDK-facing API.
type envelope struct {
	Data     any `json:"data"`
	Metadata struct {
		FetchedAt time.Time `json:"fetched_at"`
	} `json:"metadata"`
}

func respondData(w http.ResponseWriter, data any) {
	body := envelope{Data: data}
	body.Metadata.FetchedAt = time.Now().UTC()
	respond(w, http.StatusOK, body)
}

// readBody reads a bounded body.
func readBody(w http.ResponseWriter, r *http.Request, bytesMax int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bytesMax))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, stepwell.TooLargef("the request's body is larger than %d bytes", bytesMax)
	case err != nil:
		return nil, stepwell.Invalidf("the request's body cannot be read: %v", err)
	}
	return body, nil
}

func notFound(w http.ResponseWriter, r *http.Request, _ stepwell.EnvironmentID) {
	respond(w, http.StatusNotFound, map[string]any{
		"error": "there is nothing at " + r.Method + " " + r.URL.Path, "status": http.StatusNotFound,
	})
}

func (s *Service) health(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]any{"status": http.StatusOK, "message": "OK"})
}

// readyTimeout bounds the question whether the state service answers.
const readyTimeout = 2 * time.Second

// ready tells whether events would be taken: whether the state service answers.
func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := s.functions(ctx, stepwell.DefaultEnvironment()); err != nil {
		respond(w, http.StatusServiceUnavailable, map[string]any{
			"status": http.StatusServiceUnavailable, "message": "the state service does not answer",
		})
		return
	}
	respond(w, http.StatusOK, map[string]any{"status": http.StatusOK, "message": "OK"})
}
