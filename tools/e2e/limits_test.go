package e2e

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func limits() []scenario {
	return []scenario{
		{name: "concurrency of a key", proves: proves(compatibility.Concurrency), play: concurrency},
		{name: "throttle", proves: proves(compatibility.Throttle), play: throttle},
		{name: "queue of a function is full", proves: proves(compatibility.BackPressure), play: fullQueue},
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

// fullQueue: while too much of a function waits, its events are refused, and the SDK says so; when it goes on, they are taken.
func fullQueue(s *scene) {
	s.hold("full", "pause", "queue")
	var refused error
	eventually(s, "events are refused", func() (bool, error) {
		// A pause takes effect within a second, and what waits is counted once a second.
		_, refused = s.process.Send(s.Context(), slices.Repeat([]target.Event{{Name: "e2e/full"}}, target.QueueDepthMax/4)...)
		return true, check(refused != nil, "all are taken")
	})
	require.Regexp(s, "429|items of the function .* wait in the queue", refused.Error())
	s.send(target.Event{Name: "e2e/echo"}) // others are not concerned
	s.hold("full", "resume", "")
	ids := eventually(s, "events are taken again", func() ([]string, error) {
		return s.process.Send(s.Context(), target.Event{Name: "e2e/full"})
	})
	require.JSONEq(s, `"done"`, s.output(s.runOf(ids[0])))
}
