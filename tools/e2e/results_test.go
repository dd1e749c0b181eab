package e2e

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
)

// resultList collects results.
type resultList struct {
	mu   sync.Mutex
	list []compatibility.Result
}

func (l *resultList) add(r compatibility.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r)
}

// watch adds the result when the test has ended.
func (l *resultList) watch(t *testing.T, r compatibility.Result) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() {
		r.Outcome, r.Seconds = compatibility.Passed, time.Since(began).Seconds()
		if t.Failed() {
			r.Outcome = compatibility.Failed
		}
		l.add(r)
	})
}

// sort puts the results in an order that does not depend on what ended first.
func (l *resultList) sort() {
	slices.SortStableFunc(l.list, func(a, b compatibility.Result) int {
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
			counts[compatibility.Passed], counts[compatibility.Failed], counts[compatibility.NotApplicable],
			counts[compatibility.LeftOut])
		rest = rest[n:]
	}
	for _, r := range l.list {
		if r.Outcome == compatibility.Failed {
			fmt.Fprintf(table, "%s\t%s\t%s\tfailed: %s\n", r.Target, r.App, r.SDK, r.Scenario)
		}
	}
	return table.Flush()
}

// all are the results so far, sorted. whole tells of a list whether it is all that there is to play.
func (l *resultList) all(whole func([]compatibility.Result) bool) compatibility.Results {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sort()
	return compatibility.Results{Whole: whole(l.list), Results: slices.Clone(l.list)}
}
