package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// The outcomes of a scenario.
const (
	passed        = "pass"
	failed        = "fail"
	notApplicable = "not applicable"
	leftOut       = "left out"
)

// result is what came of a scenario with an app on a kind of server. Programs read it; do not rename its members.
type result struct {
	Target   string  `json:"target"`
	App      string  `json:"app"`
	SDK      string  `json:"sdk"`
	Scenario string  `json:"scenario"`
	Outcome  string  `json:"outcome"`
	Reason   string  `json:"reason,omitempty"` // why it is not played
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

// sort puts the results in an order that does not depend on what ended first.
func (l *resultList) sort() {
	slices.SortStableFunc(l.list, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.App, b.App), cmp.Compare(a.Scenario, b.Scenario))
	})
}

// show prints how many scenarios had which outcome, for each kind of server and app, and those that failed.
func (l *resultList) show(out io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sort()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "target\tapp\tSDK\tpassed\tfailed\tnot applicable\tleft out")
	for rest := l.list; len(rest) > 0; {
		first, counts, n := rest[0], map[string]int{}, 0
		for ; n < len(rest) && rest[n].Target == first.Target && rest[n].App == first.App; n++ {
			counts[rest[n].Outcome]++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", first.Target, first.App, first.SDK,
			counts[passed], counts[failed], counts[notApplicable], counts[leftOut])
		rest = rest[n:]
	}
	for _, r := range l.list {
		if r.Outcome == failed {
			fmt.Fprintf(table, "%s\t%s\t%s\tfailed: %s\n", r.Target, r.App, r.SDK, r.Scenario)
		}
	}
	return table.Flush()
}

// write writes the results for programs.
func (l *resultList) write(file string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sort()
	text, err := json.MarshalIndent(map[string]any{"results": l.list}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
