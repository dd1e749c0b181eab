package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// debounce waits for ten seconds of quiet.
func debounce(key string) stepwell.Buffering {
	return stepwell.Buffering{KeyHash: stepwell.BufferKeyHash(false, true, key), For: 10 * time.Second}
}

// batch takes as many events, for ten seconds.
func batch(key string, size int) stepwell.Buffering {
	return stepwell.Buffering{KeyHash: stepwell.BufferKeyHash(true, true, key), For: 10 * time.Second, SizeMax: size, Bytes: 100}
}

// second is so long after the epoch.
func second(n float64) time.Time { return epoch().Add(time.Duration(n * float64(time.Second))) }

// bufferedAt is an event of an instant, and a start of it that waits.
func (f *fixture) bufferedAt(at time.Time, with stepwell.Buffering) (stepwell.Event, stepwell.RunStart) {
	event := f.event("")
	event.Time = at
	start := f.start(event)
	start.Run.CreatedAt, start.Run.Notes, start.Buffering = at, nil, &with
	start.Buffering.EventTime = at
	return event, start
}

// put has an event of an instant wait.
func (f *fixture) put(at time.Time, with stepwell.Buffering) (stepwell.RunStart, store.StartedRun) {
	f.t.Helper()
	event, start := f.bufferedAt(at, with)
	result := f.ingestAt(at, event, start)
	require.NoError(f.t, result.Err)
	require.Empty(f.t, result.Opened)
	return start, result.Runs[0][0]
}

// buffers are the buffers that are due at an instant.
func (f *fixture) buffers(at time.Time) []store.DueBuffer {
	f.t.Helper()
	due, _, err := f.DueBuffers(f.ctx, at, 100)
	require.NoError(f.t, err)
	return due
}

func (f *fixture) runsOf(event stepwell.EventID) []stepwell.Run {
	f.t.Helper()
	runs, err := f.Runs(f.ctx, store.RunQuery{Environment: f.app.Environment, Event: event, Limit: 10})
	require.NoError(f.t, err)
	return runs
}

// testDebounceKeepsTheLatest: each event starts the run or is recorded as skipped, and the run starts once.
func testDebounceKeepsTheLatest(t *testing.T, f *fixture) {
	first, led := f.put(second(0), debounce("a"))
	require.Equal(t, store.StartedRun{ID: first.Run.ID, Buffered: true}, led)
	require.Empty(t, f.runsOf(first.Run.Events[0]))
	latest, led := f.put(second(4), debounce("a"))
	require.Equal(t, store.StartedRun{ID: latest.Run.ID, Buffered: true, Displaces: true}, led)
	require.Equal(t, []stepwell.Run{first.Run.Skipped(stepwell.SkipDebounced)}, f.runsOf(first.Run.Events[0]))

	event, late := f.bufferedAt(second(9), debounce("a"))
	late.Buffering.EventTime = second(3)
	result := f.ingestAt(second(9), event, late)
	require.Equal(t, [][]store.StartedRun{{{ID: late.Run.ID, Skip: stepwell.SkipDebounced}}}, result.Runs, "it is older than the one before")
	require.Equal(t, second(14), result.FiresAt, "and moves nothing")
	require.Equal(t, []stepwell.Run{late.Run.Skipped(stepwell.SkipDebounced)}, f.runsOf(event.ID))
	other, _ := f.put(second(5), debounce("b"))

	due, next, err := f.DueBuffers(f.ctx, second(13.999), 10)
	require.NoError(t, err)
	require.Empty(t, due)
	require.Equal(t, second(14), next)
	due = f.buffers(second(15))
	require.Len(t, due, 2)
	require.Equal(t, latest.Run.ID, due[0].Run.ID)
	require.Equal(t, latest.Run.Events[0], due[0].Event.ID)
	require.Equal(t, second(0), due[0].FirstAt)
	require.Equal(t, other.Run.ID, due[1].Run.ID)

	fired := f.fire(due[0], second(15))
	require.Equal(t, []store.StartedRun{{ID: latest.Run.ID}}, fired.Fired)
	require.Len(t, fired.Opened, 1)
	require.Equal(t, latest.Run.ID, f.runsOf(latest.Run.Events[0])[0].ID)
	again := f.fire(due[0], second(15))
	require.Equal(t, []store.StartedRun{{ID: latest.Run.ID, Existed: true}}, again.Fired)
	require.Empty(t, again.Opened)
	require.Len(t, f.buffers(second(60)), 1)

	fresh, led := f.put(second(16), debounce("a"))
	require.Equal(t, store.StartedRun{ID: fresh.Run.ID, Buffered: true}, led)
	require.Equal(t, second(16), f.buffers(second(60))[1].FirstAt)
}

// testDebounceWaitsNoLongerThanItMay: from its first event on, which a later one does not make longer.
func testDebounceWaitsNoLongerThanItMay(t *testing.T, f *fixture) {
	with := debounce("")
	with.Within = 25 * time.Second
	for at := range 4 { // 0, 8, 16, 24
		f.put(second(float64(8*at)), with)
	}
	require.Empty(t, f.buffers(second(24.999)))
	due := f.buffers(second(25))
	require.Len(t, due, 1)
	require.Equal(t, second(25), due[0].FireAt)

	// Its time has come, although nobody has fired it: the next event is of another run.
	_, led := f.put(second(25), with)
	require.False(t, led.Displaces)
	require.Equal(t, due, f.buffers(second(34.999)))
	require.Len(t, f.buffers(second(35)), 2)

	with.Within = time.Second
	with.KeyHash = stepwell.BufferKeyHash(false, true, "short")
	short, _ := f.put(second(0), with)
	require.Equal(t, short.Run.ID, f.buffers(second(1))[0].Run.ID)
}

// testSameEventIsBufferedOnce: neither the same request, nor another event with the key of one.
func testSameEventIsBufferedOnce(t *testing.T, f *fixture) {
	for i, with := range []stepwell.Buffering{debounce(""), batch("", 5)} {
		f.put(second(0), with)
		event, start := f.bufferedAt(second(1), with)
		event.Key, start.Key = fmt.Sprint("key", i), fmt.Sprint("key", i)
		led := f.ingestAt(second(1), event, start).Runs[0][0]
		require.True(t, led.Buffered)
		want := store.StartedRun{ID: led.ID, Existed: true}
		require.Equal(t, want, f.ingestAt(second(2), event, start).Runs[0][0])
		same, again := f.bufferedAt(second(3), with)
		same.Key, again.Key = event.Key, event.Key
		require.Equal(t, want, f.ingestAt(second(3), same, again).Runs[0][0])
		due := f.buffers(second(11))
		require.Len(t, due, 1)
		require.Equal(t, event.ID, due[0].Run.Events[len(due[0].Run.Events)-1])
		f.fire(due[0], second(11))
		require.Equal(t, led.ID, f.runsOf(event.ID)[0].ID)
		require.Equal(t, led.ID, f.runsOf(same.ID)[0].ID)
		require.Equal(t, want, f.ingestAt(second(12), event, start).Runs[0][0])
		require.Empty(t, f.buffers(second(100)))
	}
}

// testBatchTakesEachEventOnce in their order, no more of them than it may.
func testBatchTakesEachEventOnce(t *testing.T, f *fixture) {
	var events []stepwell.EventID
	for i := range 7 {
		start, led := f.put(second(float64(i)), batch("a", 3))
		events = append(events, start.Run.Events[0])
		require.True(t, led.Buffered)
		require.False(t, led.Displaces)
	}
	due := f.buffers(second(6))
	require.Len(t, due, 2)
	for i, full := range due {
		require.Equal(t, events[3*i:3*i+3], full.Run.Events)
		require.Equal(t, second(float64(3*i+2)), full.FireAt)
		require.Equal(t, full.Run.Events[0], full.Event.ID)
		require.True(t, full.Batch)
	}
	require.Empty(t, f.buffers(second(15.999))[2:])
	require.Equal(t, events[6:], f.buffers(second(16))[2].Run.Events)

	fired := f.fire(due[1], second(7))
	require.Len(t, fired.Opened, 1)
	for _, event := range events[3:6] {
		runs := f.runsOf(event)
		require.Len(t, runs, 1)
		require.Equal(t, due[1].Run.ID, runs[0].ID)
		require.Equal(t, events[3:6], runs[0].Events)
	}
	loaded, err := store.LoadRun(f.ctx, f.Store, due[1].Run.ID)
	require.NoError(t, err)
	require.Len(t, loaded.Events, 3)
	for i, event := range loaded.Events {
		require.Equal(t, events[3+i], event.ID)
	}
}

// testBatchIsBounded by the bytes of its events.
func testBatchIsBounded(t *testing.T, f *fixture) {
	with := batch("", 10)
	with.Bytes = stepwell.BatchBytesMax / 2
	f.put(second(0), with)
	f.put(second(1), with)
	require.Empty(t, f.buffers(second(1)))
	small := batch("", 10)
	f.put(second(2), small)
	require.Len(t, f.buffers(second(2)), 1, "it is full")
	require.Len(t, f.buffers(second(2))[0].Run.Events, 2)
	with.Bytes = 2 * stepwell.BatchBytesMax
	event, start := f.bufferedAt(second(3), with)
	require.Equal(t, second(3), f.ingestAt(second(3), event, start).FiresAt)
	require.Len(t, f.buffers(second(3)), 2, "an event that is larger is alone")
	require.Len(t, f.buffers(second(100)), 3)
}

// testBatchIsSmallerNow: the function was changed.
func testBatchIsSmallerNow(t *testing.T, f *fixture) {
	for i := range 4 {
		f.put(second(float64(i)), batch("", 10))
	}
	f.put(second(4), batch("", 2))
	require.Len(t, f.buffers(second(4)), 1)
	f.put(second(5), batch("", 2))
	due := f.buffers(second(5))
	require.Len(t, due, 2)
	require.Len(t, due[1].Run.Events, 2)
}

// testDisplacedInvokerGoesOn at once, and with it that of an event which comes too late.
func testDisplacedInvokerGoesOn(t *testing.T, f *fixture) {
	var children []stepwell.Item
	put := func(at, eventTime float64) store.Ingested {
		parent, item := f.newRun()
		child, _ := f.invoke(parent, item, f.named("unrelated", f.events))
		children = append(children, child)
		event, start := f.bufferedAt(second(at), debounce(""))
		start.Buffering.EventTime = second(eventTime)
		start.Buffering.Displaced = &stepwell.Resume{Item: child.ID, Step: stepwell.Step{
			ID: "call", Kind: stepwell.StepInvoke, Status: stepwell.StepFailed, EndedAt: second(at),
			Result: stepwell.Result{Kind: stepwell.ResultError, JSON: []byte(`{"message":"displaced"}`)},
		}}
		return f.ingestAt(second(at), event, start)
	}
	require.Empty(t, put(0, 5).Opened)
	late := put(1, 4)
	require.Len(t, late.Opened, 1)
	require.Equal(t, children[1].Run, late.Opened[0].Run)
	displacing := put(2, 6)
	require.Len(t, displacing.Opened, 1)
	require.Equal(t, children[0].Run, displacing.Opened[0].Run)
	require.Contains(t, displacing.Dropped, children[0].ID)
	state, err := store.LoadRun(f.ctx, f.Store, children[0].Run)
	require.NoError(t, err)
	step := state.Steps[len(state.Steps)-1]
	require.Equal(t, stepwell.StepFailed, step.Status)
	require.JSONEq(t, `{"message":"displaced"}`, string(step.Result.JSON))
	require.Equal(t, second(2), step.EndedAt)
	require.Len(t, f.fire(f.buffers(second(12))[0], second(12)).Opened, 1)
}

// testRateComesBeforeTheBuffer: what it refuses moves nothing.
func testRateComesBeforeTheBuffer(t *testing.T, f *fixture) {
	f.put(second(0), debounce(""))
	for i, skipped := range []bool{false, true} {
		event, start := f.bufferedAt(second(float64(1+i)), debounce(""))
		start.Rate = &stepwell.Rate{Limit: 1, Period: time.Minute}
		result := f.ingestAt(start.Run.CreatedAt, event, start)
		require.Equal(t, skipped, result.Runs[0][0].Skip != stepwell.SkipNone)
		if skipped {
			require.Equal(t, stepwell.SkipRateLimited, f.runsOf(event.ID)[0].Skip)
		}
	}
	require.Equal(t, second(11), f.buffers(second(100))[0].FireAt)
}
