// Package target is the server under test as seen from outside: how it is started, one file for each kind of deployment,
// and its HTTP API.
//
// It must not know apps or scenarios.
package target

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Kind is a way to deploy the server.
type Kind struct {
	Name string
	// Start starts a server of its own for each call, and need not wait for it.
	Start func(ctx context.Context, settings Settings) (*Server, error)
}

// Kinds are the kinds under test.
func Kinds() []Kind { return []Kind{Dev()} }

// Settings are what a test wants of a server.
type Settings struct {
	// Program is the stepwell binary.
	Program string
	// AppURLs are serve endpoints that the server asks.
	AppURLs []string
	// Defaults leaves everything as a user finds it, but for ports and URLs. Otherwise retries come after a second, and
	// apps are found within half of one.
	Defaults bool
}

// Server is a server that was started.
type Server struct {
	// URL is where its HTTP API is.
	URL string
	// AppEnv is the environment by which an app finds the server, and proves itself to it.
	AppEnv []string
	// EventKey is a key to publish with.
	EventKey string
	// Processes are those of which the server consists.
	Processes []*process.Process
}

// Stop ends the server.
func (s *Server) Stop() {
	for _, p := range s.Processes {
		p.Kill()
	}
}

// Ready tells whether the server answers; it is an error if it never will.
func (s *Server) Ready(ctx context.Context) (bool, error) {
	for _, p := range s.Processes {
		if p.Ended() {
			return false, fmt.Errorf("the server ended\n%s", p.LogSince(0))
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/ready", nil)
	if err != nil {
		return false, fmt.Errorf("make request: %w", err)
	}
	response, err := client().Do(request)
	if err != nil {
		return false, nil //nolint:nilerr // it does not listen yet
	}
	return response.StatusCode == http.StatusOK, response.Body.Close()
}

// requestTimeout bounds a request to the server.
const requestTimeout = 20 * time.Second

func client() *http.Client { return &http.Client{Timeout: requestTimeout} }
