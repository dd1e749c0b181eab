package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func limits() []scenario {
	return []scenario{
		{name: "concurrency of a key", proves: proves(compatibility.Concurrency), play: concurrency},
		{name: "two limits of concurrency", proves: proves(compatibility.Concurrency), play: twoLimits},
		{name: "functions that share a concurrency", proves: proves(compatibility.SharedLimit), play: sharedLimit("env")},
		{name: "functions of an account share a concurrency", proves: proves(compatibility.SharedLimit), play: sharedLimit("account")},
		{name: "priority", proves: proves(compatibility.Priority), play: priority},
		{name: "batches with a condition", proves: proves(compatibility.BatchIf), play: batchesIf, needs: sdkapp.BatchConditions},
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

// twoLimits: two of the function, and one of each key, are at work at the same time.
func twoLimits(s *scene) {
	var events []target.Event
	for n := range 8 {
		key := fmt.Sprint(s.key(), n/4) // in pairs they would not meet
		events = append(events, target.Event{Name: "e2e/two-limits", Data: map[string]any{"key": key}})
	}
	most := 0
	for _, event := range s.send(events...) {
		counted := decode[struct{ All, Same int }](s, s.output(s.runOf(event)))
		require.Equal(s, 1, counted.Same)
		most = max(most, counted.All)
	}
	require.LessOrEqual(s, most, 2)
	require.Positive(s, most)
}

// sharedLimit: of two functions that share a limit by its key, one is at work at the same time.
func sharedLimit(scope string) func(s *scene) {
	return func(s *scene) {
		var events []target.Event
		for n := range 6 {
			name := "e2e/shared-" + scope + []string{"-one", "-two"}[n%2]
			events = append(events, target.Event{Name: name, Data: map[string]any{"printer": s.key()}})
		}
		for _, event := range s.send(events...) {
			require.Equal(s, 1, decode[int](s, s.output(s.runOf(event))))
		}
	}
}

// priority: of runs that wait, that with the highest goes first, whichever came first.
func priority(s *scene) {
	s.pause("prioritised", map[string]any{"priority": 0})
	var events []target.Event
	for _, priority := range []int{0, -60, 60, 30} {
		events = append(events, target.Event{Name: "e2e/prioritised", Data: map[string]any{"priority": priority}})
	}
	var runs []string
	for _, event := range s.send(events...) {
		runs = append(runs, s.runOf(event))
	}
	s.hold("prioritised", "resume", "")
	began := make([]int64, len(runs))
	for i, run := range runs {
		require.JSONEq(s, `"done"`, s.output(run))
		began[i] = s.executions(run).Of("step")[0].At
	}
	require.IsNonDecreasing(s, []int64{began[2], began[3], began[0], began[1]})
}

// batchesIf: events of which the condition is true start one run together, others each one of their own, at once.
func batchesIf(s *scene) {
	var events []target.Event
	for _, n := range []int{1, 0, 2} {
		events = append(events, target.Event{Name: "e2e/batched-if", Data: map[string]any{"n": n}})
	}
	ids := s.send(events...)
	require.JSONEq(s, `[0]`, s.output(s.runOf(ids[1])))
	together := s.runOf(ids[0])
	require.JSONEq(s, `[1,2]`, s.output(together))
	require.Equal(s, together, s.runOf(ids[2]))
}

// throttle: one run starts in three seconds, and none is lost. The app may hear of any of them late, which makes two of
// them look closer than they were; counted from before the first, late is only later.
func throttle(s *scene) {
	const period = 3 * time.Second
	sent := time.Now().Truncate(time.Millisecond)
	for n, run := range s.startMany("throttled", 3) {
		require.JSONEq(s, `"done"`, s.output(run))
		began := time.UnixMilli(s.executions(run).Of("step")[0].At)
		require.GreaterOrEqual(s, began.Sub(sent), time.Duration(n)*period)
	}
}

// fullQueue: while too much of a function waits, its events are refused, and the SDK says so; when it goes on, they are taken.
func fullQueue(s *scene) {
	s.hold("full", "pause", "queue")
	var refused error
	eventually(s, "events are refused", func() (bool, error) {
		// A pause takes effect within a second, and what waits is counted once a second.
		_, refused = s.process.Send(s.Context(), slices.Repeat([]target.Event{{Name: "e2e/full"}}, s.server.QueueDepthMax/4)...)
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
