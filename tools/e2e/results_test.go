package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// The outcomes of a scenario.
const (
	passed        = "pass"
	failed        = "fail"
	notApplicable = "not applicable"
)

// result is what came of a scenario with an app on a kind of server. Programs read it; do not rename its members.
type result struct {
	Target   string  `json:"target"`
	App      string  `json:"app"`
	SDK      string  `json:"sdk"`
	Scenario string  `json:"scenario"`
	Outcome  string  `json:"outcome"`
	Reason   string  `json:"reason,omitempty"` // why it is not applicable
	Seconds  float64 `json:"seconds"`
}

// resultList collects results.
type resultList struct {
	mu   sync.Mutex
	list []result
}

func (l *resultList) add(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r)
}

// watch adds the result when the test has ended.
func (l *resultList) watch(t *testing.T, r result) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() {
		r.Outcome, r.Seconds = passed, time.Since(began).Seconds()
		if t.Failed() {
			r.Outcome = failed
		}
		l.add(r)
	})
}

func (l *resultList) write(file string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.list, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.App, b.App), cmp.Compare(a.Scenario, b.Scenario))
	})
	text, err := json.MarshalIndent(map[string]any{"results": l.list}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
