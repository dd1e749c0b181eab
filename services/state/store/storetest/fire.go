package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// firing is what starts the run of a buffer.
func firing(due store.DueBuffer, at time.Time) store.Ingest {
	run := due.Run
	run.CreatedAt = at
	run.Progress = stepwell.Progress{RequestVersion: stepwell.RequestVersionUnknown, DiscoveryCount: 1}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, at)}
	return store.Ingest{
		Environment: run.Environment, Revision: 1, Now: at,
		Fires: []store.Fire{{Start: stepwell.RunStart{Run: run}, KeyHash: due.KeyHash}},
	}
}

// fire starts the run of a buffer.
func (f *fixture) fire(due store.DueBuffer, at time.Time) store.Ingested {
	f.t.Helper()
	results, err := f.Ingest(f.ctx, []store.Ingest{firing(due, at)})
	require.NoError(f.t, err)
	require.NoError(f.t, results[0].Err)
	return results[0]
}

// testBufferThatChangedIsNotFired: somebody read it, too early, and an event came meanwhile.
func testBufferThatChangedIsNotFired(t *testing.T, f *fixture) {
	for _, with := range []stepwell.Buffering{debounce(""), batch("", 5)} {
		f.put(second(0), with)
		early := f.buffers(second(10))
		require.Len(t, early, 1)
		later, _ := f.put(second(5), with)
		fired := f.fire(early[0], second(10))
		require.True(t, fired.Fired[0].Existed)
		require.Empty(t, fired.Opened)
		due := f.buffers(second(15))
		require.Len(t, due, 1)
		require.Contains(t, due[0].Run.Events, later.Run.Events[0])
		require.Len(t, f.fire(due[0], second(15)).Opened, 1)
		require.Empty(t, f.buffers(second(100)))
	}
}

// testBufferOfAnArchivedFunction is fired as skipped, and who waits for it goes on.
func testBufferOfAnArchivedFunction(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named("unrelated", 1))
	start, _ := f.put(second(0), debounce(""))
	request := firing(f.buffers(second(10))[0], second(10))
	fire := &request.Fires[0].Start
	fire.Run = fire.Run.Skipped(stepwell.SkipFunctionArchived)
	fire.Refused = &stepwell.Resume{Item: child.ID, Step: recorded("call", `"gone"`)}
	results, err := f.Ingest(f.ctx, []store.Ingest{request})
	require.NoError(t, err)
	require.Equal(t, []store.StartedRun{{ID: start.Run.ID, Skip: stepwell.SkipFunctionArchived}}, results[0].Fired)
	require.Len(t, results[0].Opened, 1)
	require.Equal(t, parent.ID, results[0].Opened[0].Run)
	require.Equal(t, []stepwell.Run{fire.Run}, f.runsOf(start.Run.Events[0]))
	require.Empty(t, f.buffers(second(100)))
}

// testFiredRunTakesItsPlace, or is skipped if another has it.
func testFiredRunTakesItsPlace(t *testing.T, f *fixture) {
	var fired []store.StartedRun
	for _, key := range []string{"a", "b"} {
		f.put(second(0), debounce(key))
		request := firing(f.buffers(second(10))[0], second(10))
		request.Fires[0].Start.Place = &stepwell.Place{Key: "only"}
		results, err := f.Ingest(f.ctx, []store.Ingest{request})
		require.NoError(t, err)
		fired = append(fired, results[0].Fired...)
	}
	require.True(t, fired[0].Started())
	require.Equal(t, stepwell.SkipSingleton, fired[1].Skip)
	run, err := f.Run(f.ctx, f.app.Environment, fired[1].ID)
	require.NoError(t, err)
	require.Equal(t, fired[0].ID, run.Existing)
}

// testStaleFireFiresNothing: the function may have changed.
func testStaleFireFiresNothing(t *testing.T, f *fixture) {
	f.put(second(0), debounce(""))
	due := f.buffers(second(10))
	request := firing(due[0], second(10))
	request.Revision = 0
	results, err := f.Ingest(f.ctx, []store.Ingest{request})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, stepwell.ErrStale)
	require.Equal(t, due, f.buffers(second(10)))
}

// testBuffersHoldAmongMany: publishers and firing runners that come at the same time. Each event is in one run, or was
// skipped, and no batch is too large.
func testBuffersHoldAmongMany(t *testing.T, f *fixture) {
	const publishers, each, size = 6, 20, 4
	requests := make([][]store.Ingest, publishers)
	var events []stepwell.EventID
	for i := range publishers * each {
		at := second(float64(i / publishers))
		with := batch(fmt.Sprint(i%2), size)
		if i%3 == 0 {
			with = debounce("")
			with.For = 500 * time.Millisecond
		}
		event, start := f.bufferedAt(at, with)
		events = append(events, event.ID)
		requests[i%publishers] = append(requests[i%publishers], store.Ingest{
			Environment: event.Environment, Revision: 1, Now: at,
			Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
		})
	}
	published := make(chan struct{})
	var publishing, firings sync.WaitGroup
	for _, own := range requests {
		publishing.Go(func() {
			for _, request := range own {
				mustIngest(f, request)
			}
		})
	}
	for range 3 {
		firings.Go(func() {
			for at := 0; at <= each; at++ {
				if at == each {
					<-published
				}
				due, _, _ := f.DueBuffers(f.ctx, second(float64(at)), 100)
				for _, buffer := range due {
					mustIngest(f, firing(buffer, second(float64(at))))
				}
			}
		})
	}
	publishing.Wait()
	close(published)
	firings.Wait()
	for _, buffer := range f.buffers(second(1000)) {
		f.fire(buffer, second(1000))
	}
	require.Empty(t, f.buffers(second(10_000)))
	var seen []stepwell.EventID
	for _, event := range events {
		runs := f.runsOf(event)
		require.Len(t, runs, 1, "I2")
		require.LessOrEqual(t, len(runs[0].Events), size)
		if runs[0].Events[0] == event {
			seen = append(seen, runs[0].Events...)
		}
	}
	slices.SortFunc(seen, func(a, b stepwell.EventID) int { return cmp.Compare(a.String(), b.String()) })
	require.Equal(t, events, seen)
}

// mustIngest ingests in a goroutine of a test.
func mustIngest(f *fixture, request store.Ingest) {
	results, err := f.Ingest(f.ctx, []store.Ingest{request})
	if err != nil || results[0].Err != nil {
		f.t.Errorf("ingest: %v, %+v", err, results)
	}
}
