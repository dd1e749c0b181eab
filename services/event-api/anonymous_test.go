package eventapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// The keys of a server, as its operator would have made them.
const (
	serverEventKey   = "f00df00df00df00df00df00df00df00d"
	serverSigningKey = "signkey-prod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// untouchable is a body and a set of dependencies that nobody may use. What is not implemented panics.
type untouchable struct {
	State
	Runner
	Executor
	t *testing.T
}

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

func (u untouchable) Close() error { return nil }

// guarded is a service with keys, whose dependencies panic.
func guarded(t *testing.T) *Service {
	t.Helper()
	keys, err := NewStaticKeys([]string{serverEventKey}, []string{serverSigningKey})
	require.NoError(t, err)
	nobody := untouchable{t: t}
	service, err := New(Deps{
		State: nobody, Runner: nobody, Executor: nobody, Keys: keys, ServerKind: sdk.KindCloud,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	return service
}

// requestFor is a request that a pattern of the mux takes.
func requestFor(ctx context.Context, pattern string, body untouchable) *http.Request {
	method, path, hasMethod := strings.Cut(pattern, " ")
	if !hasMethod {
		method, path = http.MethodGet, pattern+"nowhere"
	}
	for _, wildcard := range []string{"{key}", "{run}", "{event}", "{function}"} {
		path = strings.ReplaceAll(path, wildcard, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	}
	request := httptest.NewRequestWithContext(ctx, method, path, http.NoBody)
	request.Body = body
	return request
}

// TestWithoutCredentialsEveryRouteRefuses: I25. It walks what Handler serves, so a new route is in it from its first
// day; one that needs no key must be added to the list here.
func TestWithoutCredentialsEveryRouteRefuses(t *testing.T) {
	t.Parallel()
	service := guarded(t)
	anonymous := []string{}
	for _, route := range service.routes() {
		if route.anonymous != "" {
			anonymous = append(anonymous, route.pattern)
			continue
		}
		for name, header := range map[string]string{
			"nothing": "", "no key": "Bearer ", "undefined": "Bearer undefined", "the event key": "Bearer " + serverEventKey,
			"a key of another server": "Bearer " + strings.Repeat("0", 64), "half a key": "Bearer " + serverSigningKey[:40],
			"another scheme": "Basic " + serverSigningKey, "no scheme": serverSigningKey,
		} {
			request := requestFor(t.Context(), route.pattern, untouchable{t: t})
			if header != "" {
				request.Header.Set("Authorization", header)
			}
			recorder := httptest.NewRecorder()
			service.Handler().ServeHTTP(recorder, request)
			require.Equal(t, http.StatusUnauthorized, recorder.Code, "%s with %s", route.pattern, name)
			require.NotContains(t, recorder.Body.String(), "0123456789abcdef")
			require.NotContains(t, recorder.Body.String(), serverEventKey)
			require.Regexp(t, `Event key not found|Authentication failed`, recorder.Body.String())
		}
	}
	require.Equal(t, []string{"GET /health", "GET /ready", "OPTIONS /e/{key}"}, anonymous)
}

// TestAnonymousRoutesTellNothing: liveness and the preflight use nothing.
func TestAnonymousRoutesTellNothing(t *testing.T) {
	t.Parallel()
	service := guarded(t)
	for pattern, status := range map[string]int{"GET /health": 200, "OPTIONS /e/{key}": 204} {
		recorder := httptest.NewRecorder()
		service.Handler().ServeHTTP(recorder, requestFor(t.Context(), pattern, untouchable{t: t}))
		require.Equal(t, status, recorder.Code)
	}
}

// TestNoRouteIsServedBesides: what Handler serves are the routes that the tests above walk.
func TestNoRouteIsServedBesides(t *testing.T) {
	t.Parallel()
	service := guarded(t)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		for _, path := range []string{
			"/", "/dev", "/metrics", "/debug/pprof/", "/fn/register", "/fn/sync", "/v0/gql", "/v1/runs", "/v1/signals",
			"/v1/events", "/api/v1/functions/7", "/api/v2/x", "/e/", "/e/a/b", "/health/x", "/ready/", "/.env",
		} {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
			request.Body = untouchable{t: t}
			service.Handler().ServeHTTP(recorder, request)
			require.Equal(t, http.StatusUnauthorized, recorder.Code, "%s %s", method, path)
		}
	}
}
