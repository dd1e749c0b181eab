// Package runtelemetry tells what becomes of runs: as metrics, under the names that users of peers know where they mean
// the same, and as spans. Runner and executor share it, since either may start and end runs.
//
// It must not decide anything, nor know who reads what it tells.
package runtelemetry

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// The bounds of what is remembered.
const (
	// FunctionsMax bounds the functions that have metrics of their own. All others are one, called telemetry.Other.
	FunctionsMax = 100
	// namesMax bounds the functions whose names are known by their ids.
	namesMax = 10_000
)

// Recorder tells what becomes of runs. It is safe for concurrent use.
type Recorder struct {
	metrics
	tracer telemetry.Tracer

	mu sync.RWMutex
	// names are the slugs of functions.
	names map[stepwell.FunctionID]string
}

// New returns a recorder.
func New(t telemetry.Telemetry) (*Recorder, error) {
	m, err := newMetrics(t.Meter())
	return &Recorder{metrics: m, tracer: t.Tracer(), names: map[stepwell.FunctionID]string{}}, err
}

// Know remembers a function's name, for items that tell its id only.
func (r *Recorder) Know(function stepwell.Function) {
	r.mu.RLock()
	slug := r.names[function.ID]
	full := len(r.names) >= namesMax
	r.mu.RUnlock()
	if slug == function.Slug || full {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[function.ID] = function.Slug
}

// nameOf is the function's slug; empty if it is not known.
func (r *Recorder) nameOf(function stepwell.FunctionID) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names[function]
}
