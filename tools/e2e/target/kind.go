// Package target is the server under test as seen from outside: how it is started, one file for each kind of deployment,
// and its HTTP API.
//
// It must not know apps or scenarios.
package target

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Kind is a way to deploy the server.
type Kind struct {
	Name string
	// Keys is whether the server asks for keys, and signs what it sends to apps.
	Keys bool
	// Costly is whether a server takes so much to start, and data so much to keep, that only the newest app plays all.
	Costly bool
	// Start starts a server of its own for each call, and need not wait for it.
	Start func(ctx context.Context, settings Settings) (*Server, error)
}

// Kinds are the kinds under test.
func Kinds() []Kind { return []Kind{Dev(), Start(), Split()} }

// How long servers wait, so that tests need not wait as long as users.
const (
	retryInterval = "1s"
	pollInterval  = "500ms"
)

// queueDepthMax is how many items of a function may wait: few, so that a test need not make many.
const queueDepthMax = 40

// Settings are what a test wants of a server.
type Settings struct {
	// Programs is the folder of the server's programs.
	Programs string
	// Stores are for servers that keep things.
	Stores *Stores
	// Backup is what the server is to have at the beginning; nil for nothing. Only the kind Start does.
	Backup *Backup
	// AppURLs are serve endpoints that the server asks.
	AppURLs []string
	// Defaults leaves everything as a user finds it, but for ports and URLs. Otherwise retries come after a second, apps are
	// found within half of one, and queues are as deep as queueDepthMax.
	Defaults bool
}

func (s Settings) program(name string) string { return filepath.Join(s.Programs, name) }

// Server is a server that was started.
type Server struct {
	// URLs are where its HTTP API is: one for each door. Requests take them in turn.
	URLs []string
	// Probes are the URLs that answer 200 when the server is ready.
	Probes []string
	// AppEnv is the environment by which an app finds the server, and proves itself to it.
	AppEnv []string
	// EventKey is a key to publish with.
	EventKey string
	// SigningKey opens the rest of the API; empty if it is open.
	SigningKey string
	// QueueDepthMax is how many items of a function may wait; not if Settings.Defaults left that to the server.
	QueueDepthMax int
	// Processes are those of which the server consists.
	Processes []*process.Process

	store    store
	keys     keys
	requests atomic.Int64
}

// url is where the next request goes.
func (s *Server) url() string { return s.URLs[int(s.requests.Add(1))%len(s.URLs)] }

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
	for _, probe := range s.Probes {
		ready, err := isReady(ctx, probe)
		if err != nil || !ready {
			return false, err
		}
	}
	return true, nil
}

func isReady(ctx context.Context, probe string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, probe, nil)
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
const requestTimeout = time.Minute

func client() *http.Client { return &http.Client{Timeout: requestTimeout} }
