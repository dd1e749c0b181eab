package e2e

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func limits() []scenario {
	return []scenario{
		{name: "concurrency of a key", proves: proves(compatibility.Concurrency), play: concurrency},
		{name: "throttle", proves: proves(compatibility.Throttle), play: throttle},
	}
}

// startMany starts runs of a function with the same key, in order.
func (s *scene) startMany(function string, count int) []string {
	s.Helper()
	var events []target.Event
	for range count {
		events = append(events, target.Event{Name: "e2e/" + function, Data: map[string]any{"key": s.key()}})
	}
	var runs []string
	for _, event := range s.send(events...) {
		runs = append(runs, s.runOf(event))
	}
	return runs
}

// concurrency: the app itself counts who is at work at the same time. Runs that sleep hold no place.
func concurrency(s *scene) {
	most := 0
	for _, run := range s.startMany("concurrent", 6) {
		var counted struct {
			Most int `json:"most"`
		}
		require.NoError(s, json.Unmarshal([]byte(s.output(run)), &counted))
		require.Positive(s, counted.Most)
		most = max(most, counted.Most)
		require.Equal(s, map[string]int{"first": 1, "second": 1}, s.executions(run).Counts())
	}
	require.LessOrEqual(s, most, 2)
}

// throttle: one run starts in three seconds, and none is lost. The clock is the app's, which may hear of one late.
func throttle(s *scene) {
	const late = 1500 * time.Millisecond
	var before time.Time
	for _, run := range s.startMany("throttled", 3) {
		require.JSONEq(s, `"done"`, s.output(run))
		at := time.UnixMilli(s.executions(run).Of("step")[0].At)
		if !before.IsZero() {
			require.GreaterOrEqual(s, at.Sub(before), 3*time.Second-late)
		}
		before = at
	}
}
