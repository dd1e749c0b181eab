package standalone_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// gauge counts who is in it at the same time, by a key.
type gauge struct {
	mu           sync.Mutex
	inside, high map[string]int
}

func newGauge() *gauge { return &gauge{inside: map[string]int{}, high: map[string]int{}} }

// stay counts for a while.
func (g *gauge) stay(key string, d time.Duration) {
	g.add(key, 1)
	<-time.After(d)
	g.add(key, -1)
}

func (g *gauge) add(key string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside[key] += n
	g.high[key] = max(g.high[key], g.inside[key])
}

// now is how many are in it, most how many were.
func (g *gauge) now(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside[key]
}

func (g *gauge) most(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.high[key]
}

// tenant is the tenant in the event of a call.
func (s *steps) tenant() string {
	var data struct {
		Tenant string `json:"tenant"`
	}
	_ = json.Unmarshal(s.Event.Data, &data)
	return data.Tenant
}

// TestI20_ConcurrencyCountsCallsNotRuns: calls under way never exceed the limits; runs that sleep hold no place.
func TestI20_ConcurrencyCountsCallsNotRuns(t *testing.T) {
	t.Parallel()
	calls := newGauge()
	limits := []map[string]any{{"limit": 3}, {"limit": 1, "key": "event.data.tenant"}}
	inWorld(t, map[string]function{"app-work": {event: "work", flow: map[string]any{"concurrency": limits}, code: func(s *steps) any {
		work := func() (any, error) {
			calls.add("all", 1)
			calls.stay(s.tenant(), time.Second)
			calls.add("all", -1)
			return "done", nil
		}
		s.run("first", work)
		s.sleep("nap", "10m")
		s.run("second", work)
		return "done"
	}}}, func(t *testing.T, w *world) {
		var runs []string
		for n := range 20 {
			runs = append(runs, w.publish("work", fmt.Sprintf(`{"tenant":"%d"}`, n%5)))
		}
		<-time.After(time.Minute)
		require.Equal(t, 0, calls.now("all"), "all sleep")
		for _, run := range runs {
			require.Equal(t, "Completed", w.until(run, time.Hour).Status)
		}
		require.Equal(t, 3, calls.most("all"))
		for tenant := range 5 {
			require.Equal(t, 1, calls.most(fmt.Sprint(tenant)))
		}
		w.requireIdle()
	})
}

// requireIdle: nothing is left in the queue (I8).
func (w *world) requireIdle() {
	w.t.Helper()
	synctest.Wait()
	stats, err := w.queue.Stats(w.t.Context(), time.Now())
	require.NoError(w.t, err)
	require.Zero(w.t, stats.Ready+stats.Leased+stats.Delayed+stats.Dead)
}

// TestI20_FunctionsShareAKey of the environment; each has its own number.
func TestI20_FunctionsShareAKey(t *testing.T) {
	t.Parallel()
	calls := newGauge()
	works := func(limit int) function {
		limits := []map[string]any{{"limit": limit, "key": `"printer"`, "scope": "env"}}
		return function{event: "print", flow: map[string]any{"concurrency": limits}, code: func(*steps) any {
			calls.stay("printer", time.Second)
			return "done"
		}}
	}
	inWorld(t, map[string]function{"app-a": works(2), "app-b": works(2)}, func(t *testing.T, w *world) {
		for range 10 {
			w.send(map[string]any{"name": "print", "data": map[string]any{}})
		}
		<-time.After(10*time.Second + time.Millisecond*500)
		w.requireIdle()
		require.Equal(t, 2, calls.most("printer"))
	})
}

// TestI21_ThrottledRunsStartInOrder, and none is lost: in no window of the period start more than limit and burst.
func TestI21_ThrottledRunsStartInOrder(t *testing.T) {
	t.Parallel()
	throttle := map[string]any{"limit": 2, "burst": 1, "period": "10s", "key": "event.data.tenant"}
	inWorld(t, map[string]function{"app-work": {event: "work", flow: map[string]any{"throttle": throttle}, code: func(s *steps) any {
		s.run("step", func() (any, error) { return "done", nil })
		return "done"
	}}}, func(t *testing.T, w *world) {
		var runs []string
		for range 8 {
			runs = append(runs, w.publish("work", `{"tenant":"a"}`))
			<-time.After(10 * time.Millisecond)
		}
		other := w.publish("work", `{"tenant":"b"}`)
		synctest.Wait()
		require.Equal(t, "Completed", w.run(other).Status, "another value of the key")
		var starts []time.Time
		for _, run := range runs {
			require.Equal(t, "Completed", w.until(run, time.Minute).Status)
			starts = append(starts, w.app.callsOf(run)[0].at)
		}
		require.True(t, slices.IsSortedFunc(starts, time.Time.Compare))
		for i := range starts[3:] {
			require.GreaterOrEqual(t, starts[i+3].Sub(starts[i]), 10*time.Second)
		}
		require.Less(t, starts[7].Sub(starts[0]), 21*time.Second, "and no later than that")
		w.requireIdle()
	})
}

// TestChangedLimitCountsForWaitingRuns: at once.
func TestChangedLimitCountsForWaitingRuns(t *testing.T) {
	t.Parallel()
	calls := newGauge()
	work := func(limit int) map[string]function {
		return map[string]function{"app-work": {event: "work", flow: map[string]any{"concurrency": limit}, code: func(*steps) any {
			calls.stay("all", time.Minute)
			return "done"
		}}}
	}
	inWorld(t, work(1), func(t *testing.T, w *world) {
		var last string
		for range 10 {
			last = w.publish("work", `{}`)
			<-time.After(10 * time.Millisecond)
		}
		<-time.After(time.Second)
		require.Equal(t, 1, calls.now("all"))
		var shown struct {
			Data struct {
				Open []struct {
					Waiting map[string]any `json:"waiting"`
				} `json:"open"`
			} `json:"data"`
		}
		w.get("/api/v1/runs/"+last, &shown)
		require.Equal(t, map[string]any{"for": "concurrency", "scope": "function", "ahead": 8.0}, shown.Data.Open[0].Waiting)
		w.app.serve(work(5))
		w.post("/api/v1/functions", map[string]string{"url": appURL}, nil)
		w.publish("work", `{}`)
		<-time.After(time.Second)
		require.Equal(t, 5, calls.now("all"))
		<-time.After(10 * time.Minute)
		require.Equal(t, 5, calls.most("all"))
		w.requireIdle()
	})
}

// TestKeyThatCannotBeEvaluatedSharesTheLimit: the run is not lost.
func TestKeyThatCannotBeEvaluatedSharesTheLimit(t *testing.T) {
	t.Parallel()
	calls := newGauge()
	limits := map[string]any{"concurrency": []map[string]any{{"limit": 1, "key": "event.data.n * 2"}}}
	inWorld(t, map[string]function{"app-work": {event: "work", flow: limits, code: func(*steps) any {
		calls.stay("all", time.Second)
		return "done"
	}}}, func(t *testing.T, w *world) {
		for n := range 5 {
			w.publish("work", fmt.Sprintf(`{"n":%d}`, n))
		}
		<-time.After(6 * time.Second)
		require.Equal(t, 1, calls.most("all"))
		w.requireIdle()
	})
}
