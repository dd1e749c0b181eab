package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// checkEvery is how often readiness is found out, checkTimeout bounds each question. Probes get what is known, so that
	// many of them cost no more.
	checkEvery   = 2 * time.Second
	checkTimeout = 2 * time.Second
)

// Probes tell load balancers and people whether the program is alive (/livez), whether it should be given work (/readyz):
// everything that it depends on answers, and it was not told to stop; and whether it has started (/startupz): it once was
// ready. They name what does not answer and no more, since they need no key; the log says why.
type Probes struct {
	log *slog.Logger

	mu       sync.Mutex
	checks   []*check
	draining bool
	// looked says that every check was made once, started that all of them once held.
	looked, started bool

	// telling is held while followers are told, so that what they are told last is the latest.
	telling   sync.Mutex
	followers []func(ready bool)
}

// check is one thing that the program depends on.
type check struct {
	name  string
	ready func(ctx context.Context) error
	// problem is what was wrong when it was last asked.
	problem error
}

func newProbes(log *slog.Logger) *Probes { return &Probes{log: log} }

func (p *Probes) add(name string, ready func(ctx context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks = append(p.checks, &check{name: name, ready: ready})
}

// Follow has somebody told whether the program is ready: at once, and then as often as that is found out. told must not
// block.
func (p *Probes) Follow(told func(ready bool)) {
	p.telling.Lock()
	p.followers = append(p.followers, told)
	p.telling.Unlock()
	p.tell()
}

// tell tells those who follow.
func (p *Probes) tell() {
	p.telling.Lock()
	defer p.telling.Unlock()
	_, ready := p.report()
	for _, told := range p.followers {
		told(ready)
	}
}

// drain turns readiness off for good.
func (p *Probes) drain() {
	p.mu.Lock()
	p.draining = true
	p.mu.Unlock()
	p.tell()
}

// watch finds out again and again whether what the program depends on answers, and logs when that changes.
func (p *Probes) watch(ctx context.Context) error {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		var all sync.WaitGroup // waited for below
		for _, c := range p.checks {
			all.Go(func() { p.look(ctx, c) })
		}
		all.Wait()
		p.mu.Lock()
		p.looked = true
		p.started = p.started || !slices.ContainsFunc(p.checks, func(c *check) bool { return c.problem != nil })
		p.mu.Unlock()
		p.tell()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (p *Probes) look(ctx context.Context, c *check) {
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	problem := c.ready(asking)
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	before, first := c.problem, !p.looked
	c.problem = problem
	p.mu.Unlock()
	switch {
	case problem != nil && (before == nil || before.Error() != problem.Error()):
		p.log.WarnContext(ctx, "not ready", slog.String("dependency", c.name), slog.String("error", problem.Error()))
	case problem == nil && (before != nil || first):
		p.log.InfoContext(ctx, "ready", slog.String("dependency", c.name))
	}
}

// report is the answer of /readyz.
type report struct {
	// Status is ready, starting, not ready or draining.
	Status string `json:"status"`
	// Dependencies are by name whether each answers.
	Dependencies map[string]bool `json:"dependencies,omitempty"`
}

// report says what is known.
func (p *Probes) report() (report, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := report{Status: "ready", Dependencies: map[string]bool{}}
	for _, c := range p.checks {
		r.Dependencies[c.name] = p.looked && c.problem == nil
		if c.problem != nil {
			r.Status = "not ready"
		}
	}
	if !p.looked {
		r.Status = "starting"
	}
	if p.draining {
		r.Status = "draining"
	}
	return r, r.Status == "ready"
}

// Routes are the probes over HTTP.
func (p *Probes) Routes() map[string]http.Handler {
	alive := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, report{Status: "alive"})
	})
	ready := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r, ok := p.report()
		if !ok {
			respond(w, http.StatusServiceUnavailable, r)
			return
		}
		respond(w, http.StatusOK, r)
	})
	started := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r, _ := p.report()
		if !p.hasStarted() {
			respond(w, http.StatusServiceUnavailable, r)
			return
		}
		respond(w, http.StatusOK, report{Status: "started"})
	})
	return map[string]http.Handler{"GET /livez": alive, "GET /readyz": ready, "GET /startupz": started}
}

func (p *Probes) hasStarted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a prober that has gone is nobody's error
}
