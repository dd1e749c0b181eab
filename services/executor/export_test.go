package executor

import (
	"net/http"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// PhasesOf returns what makes a request over the network and measures its phases.
func PhasesOf(t *testing.T, telemeter telemetry.Telemetry, network http.RoundTripper) (ask func(url string) error) {
	t.Helper()
	c := caller{transport: network, timeout: time.Minute, phases: newPhases(telemeter.Meter())}
	return func(url string) error {
		_, _, err := c.sendOnce(t.Context(), request{method: http.MethodPost, target: url, header: http.Header{}})
		return err
	}
}

// RememberedOf is how many of so many runs are remembered, of which the last must be one.
func RememberedOf(t *testing.T, count int) int {
	t.Helper()
	r, last := newRecent(), stepwell.RunID{}
	for range count {
		last = stepwell.RunID{ULID: ulid.Make()}
		r.learn(stepwell.RunState{Run: stepwell.Run{ID: last}, Function: stepwell.Function{Slug: "f"}})
		r.learn(stepwell.RunState{Run: stepwell.Run{ID: last}})
	}
	if r.of(last).function.Slug != "f" {
		t.Fatal("the last one is forgotten")
	}
	return len(r.runs)
}
