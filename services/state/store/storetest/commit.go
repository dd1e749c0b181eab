package storetest

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

func testEndWinsOnce(t *testing.T, f *fixture) {
	run, item := f.newRun()
	end := func(status stepwell.RunStatus, output string) stepwell.Transition {
		return stepwell.Transition{
			Run: run.ID, End: &stepwell.End{Status: status, Output: json.RawMessage(output)},
		}
	}
	first := end(stepwell.RunCompleted, `"first"`)
	first.Settles = item.ID
	require.Empty(t, f.mustCommit(first))
	require.ErrorIs(t, f.commit(end(stepwell.RunFailed, `"second"`)).Err, stepwell.ErrConflict)

	got, err := f.Run(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Equal(t, stepwell.RunCompleted, got.Status)
	require.Equal(t, `"first"`, string(got.Output))
	require.Equal(t, epoch().Add(time.Hour), got.EndedAt.UTC())
	require.Empty(t, got.Progress.Open)
}

func testIdleRunIsDiscovered(t *testing.T, f *fixture) {
	run, item := f.newRun()
	for n := 2; n < 5; n++ {
		opened := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID})
		require.Equal(t, []stepwell.Item{stepwell.NewDiscovery(run, n, epoch().Add(time.Hour))}, opened)
		item = opened[0]
	}
}

func testRecordedStepKeepsFirstResult(t *testing.T, f *fixture) {
	run, item := f.newRun()
	opened := f.mustCommit(stepwell.Transition{
		Run: run.ID, Settles: item.ID, Records: []stepwell.Step{recorded("a", `1`), recorded("a", `2`)},
	})
	f.mustCommit(stepwell.Transition{
		Run: run.ID, Settles: opened[0].ID, Records: []stepwell.Step{recorded("a", `3`), recorded("b", `4`)},
	})
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Steps, 2)
	require.Equal(t, `1`, string(state.Steps[0].Result.JSON))
	require.Equal(t, 1, state.Steps[0].Order)
	require.Equal(t, `4`, string(state.Steps[1].Result.JSON))
	require.Equal(t, 2, state.Steps[1].Order)
	require.Equal(t, 2, state.Run.Progress.StepCount)
	require.Equal(t, 2, state.Run.Progress.StateBytes)
}

// testCommitTellsWhatWasRecordedBefore: who knew as many steps knew them all, and may go on from what it knows.
func testCommitTellsWhatWasRecordedBefore(t *testing.T, f *fixture) {
	run, item := f.newRun()
	commit := func(transitions ...stepwell.Transition) []int {
		results, err := f.Commit(f.ctx, transitions)
		require.NoError(t, err)
		var counts []int
		for _, result := range results {
			require.NoError(t, result.Err)
			counts = append(counts, result.PriorStepCount)
		}
		return counts
	}
	checkpoint := func(steps ...stepwell.Step) stepwell.Transition {
		return stepwell.Transition{Run: run.ID, Settles: item.ID, Keep: true, At: epoch(), Records: steps}
	}
	require.Equal(t, []int{0}, commit(checkpoint(recorded("a", `1`), recorded("b", `1`))))
	require.Equal(t, []int{2}, commit(checkpoint(recorded("a", `2`))))
	require.Equal(t, []int{2, 3}, commit(checkpoint(recorded("c", `1`)), checkpoint(recorded("d", `1`))))
	end := stepwell.Transition{Run: run.ID, Settles: item.ID, At: epoch(), End: &stepwell.End{}}
	end.End.Status, end.Records = stepwell.RunCompleted, []stepwell.Step{recorded("e", `1`)}
	require.Equal(t, []int{4}, commit(end))
}

func testItemIsSettledOnce(t *testing.T, f *fixture) {
	run, item := f.newRun()
	t1 := stepwell.Transition{Run: run.ID, Settles: item.ID, Records: []stepwell.Step{recorded("a", `1`)}}
	f.mustCommit(t1)
	t1.Records = []stepwell.Step{recorded("b", `1`)}
	require.ErrorIs(t, f.commit(t1).Err, stepwell.ErrConflict)

	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Steps, 1, "nothing of the late commit is kept")
}

func testOneOfManyCommitsWins(t *testing.T, f *fixture) {
	run, item := f.newRun()
	const rivals = 16
	errs := make([]error, rivals)
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			results, err := f.Commit(f.ctx, []stepwell.Transition{{
				Run: run.ID, Settles: item.ID, At: epoch(), Records: []stepwell.Step{recorded("a", `1`)},
			}})
			errs[i] = err
			if err == nil {
				errs[i] = results[0].Err
			}
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, stepwell.ErrConflict)
	}
	require.Equal(t, 1, won)
}

func testClaimFencesOlderLeases(t *testing.T, f *fixture) {
	run, item := f.newRun()
	require.NoError(t, f.Claim(f.ctx, item.ID, 3, time.Time{}))
	require.NoError(t, f.Claim(f.ctx, item.ID, 3, time.Time{}), "claiming again is harmless")
	require.ErrorIs(t, f.Claim(f.ctx, item.ID, 2, time.Time{}), stepwell.ErrConflict)

	late := stepwell.Transition{Run: run.ID, Settles: item.ID, Generation: 2}
	require.ErrorIs(t, f.commit(late).Err, stepwell.ErrConflict)
	late.Keep = true
	require.ErrorIs(t, f.commit(late).Err, stepwell.ErrConflict)
	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Generation: 3})
	require.ErrorIs(t, f.Claim(f.ctx, item.ID, 4, time.Time{}), stepwell.ErrConflict, "settled")
}

func testParallelStepsGoOnOnce(t *testing.T, f *fixture) {
	run, item := f.newRun()
	items := f.plan(run, item, stepIDs(20)...)
	require.Len(t, items, 20)
	require.Zero(t, discoveries(items))

	var mu sync.Mutex
	var opened []stepwell.Item
	var wg sync.WaitGroup
	for _, item := range items {
		wg.Go(func() {
			results, err := f.Commit(f.ctx, []stepwell.Transition{settle(item, `1`)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && results[0].Err == nil {
				opened = append(opened, results[0].Opened...)
			}
		})
	}
	wg.Wait()
	require.Len(t, opened, 1)
	require.Equal(t, 1, discoveries(opened))
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Steps, 20)
	require.Equal(t, opened[0].ID, state.Run.Progress.Open[0].ID)
}

func testStepEndingDuringDiscoveryIsSeen(t *testing.T, f *fixture) {
	run, item := f.newRun()
	items := f.race(run, item, "a", "b", "c")
	// Each end asks for a discovery: the first gets one, the second ends while it is open.
	first := f.mustCommit(settle(items[0], `1`))
	require.Equal(t, 1, discoveries(first))
	require.Empty(t, f.mustCommit(settle(items[1], `2`)))
	second := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: first[0].ID})
	require.Equal(t, 1, discoveries(second), "what ended meanwhile must be seen")
	require.Empty(t, f.mustCommit(stepwell.Transition{Run: run.ID, Settles: second[0].ID}), "c is still open")
	require.Equal(t, 1, discoveries(f.mustCommit(settle(items[2], `3`))))
}

func testStepDoesNotWaitForARace(t *testing.T, f *fixture) {
	run, item := f.newRun()
	slow := opening(run, "slow")
	slow.Item.Race = true
	opened := f.mustCommit(stepwell.Transition{
		Run: run.ID, Settles: item.ID, Opens: []stepwell.Opening{opening(run, "after"), slow},
	})
	discovery := f.mustCommit(settle(opened[0], `1`))
	require.Equal(t, 1, discoveries(discovery), "the race's loser holds up nobody")
	require.Empty(t, f.mustCommit(stepwell.Transition{Run: run.ID, Settles: discovery[0].ID}), "nor is it asked for again")
	require.Equal(t, 1, discoveries(f.mustCommit(settle(opened[1], `2`))))
}

func testMatchOrTimeoutWins(t *testing.T, f *fixture) {
	run, item := f.newRun()
	timeout := stepwell.NewStepItem(run, stepwell.ItemTimeout, "w", epoch().Add(time.Hour))
	wait := stepwell.Opening{
		Step: stepwell.Step{ID: "w", Name: "w", Kind: stepwell.StepWaitForEvent, DueAt: timeout.DueAt},
		Item: timeout,
		Wait: &stepwell.Wait{Run: run.ID, Environment: run.Environment, Kind: stepwell.WaitEvent, Item: timeout, Name: "a/b"},
	}
	opened := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Opens: []stepwell.Opening{wait}})
	require.Len(t, opened, 1)
	require.False(t, opened[0].WaitsSince.IsZero(), "since when the run waits is kept")
	require.Equal(t, timeout.OpenedAt(opened[0].WaitsSince), opened[0])
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Equal(t, opened, state.Run.Progress.Open)

	match := settle(timeout, `{"name":"a/b"}`)
	require.Equal(t, 1, discoveries(f.mustCommit(match)))
	require.ErrorIs(t, f.commit(settle(timeout, `null`)).Err, stepwell.ErrConflict)
}

func testRecordedStepKeepsWhatItWasOpenedWith(t *testing.T, f *fixture) {
	run, item := f.newRun()
	open := stepwell.Step{
		ID: "z", Name: "nap", Kind: stepwell.StepSleep, OpenedAt: epoch(), StartedAt: epoch(), DueAt: epoch().Add(time.Hour),
	}
	items := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Opens: []stepwell.Opening{
		{Step: open, Item: stepwell.NewStepItem(run, stepwell.ItemSleep, "z", open.DueAt)},
	}})
	woken := stepwell.Step{ID: "z", Status: stepwell.StepCompleted, EndedAt: open.DueAt}
	woken.Result = stepwell.Result{Kind: stepwell.ResultBare, JSON: json.RawMessage(`null`)}
	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: items[0].ID, Records: []stepwell.Step{woken}})

	history, err := f.RunHistory(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	want := open
	want.Status, want.EndedAt, want.Result, want.Order = woken.Status, woken.EndedAt, woken.Result, 1
	require.Equal(t, []stepwell.Step{want}, history.Steps)
}

func testNothingAfterCancel(t *testing.T, f *fixture) {
	run, item := f.newRun()
	items := f.plan(run, item, "a", "b")
	result := f.commit(stepwell.Transition{Run: run.ID, End: &stepwell.End{Status: stepwell.RunCancelled}})
	require.NoError(t, result.Err)
	require.ElementsMatch(t, []stepwell.ItemID{items[0].ID, items[1].ID}, result.Dropped)
	require.ErrorIs(t, f.commit(settle(items[0], `1`)).Err, stepwell.ErrConflict)

	history, err := f.RunHistory(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Len(t, history.Steps, 2)
	require.Equal(t, stepwell.StepOpen, history.Steps[0].Status, "its late result is refused")
}

func testRetryKeepsTheRunGoing(t *testing.T, f *fixture) {
	run, item := f.newRun()
	due := epoch().Add(2 * time.Hour)
	retry := item.Next(due)
	retry.Forgiven, retry.UnreachedSince = 1, epoch()
	opened := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Retry: &retry})
	require.Equal(t, []stepwell.Item{retry.OpenedAt(epoch().Add(time.Hour))}, opened)
	require.Equal(t, 1, retry.Attempt)
	require.NotEqual(t, item.ID, retry.ID)
	got, err := f.Run(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Equal(t, retry.ID, got.Progress.Open[0].ID)
	require.Equal(t, due, got.Progress.Open[0].DueAt.UTC())
	require.Equal(t, 1, got.Progress.Open[0].Forgiven)
	require.Equal(t, epoch(), got.Progress.Open[0].UnreachedSince.UTC())
}

func testCheckpointKeepsItemAndForgives(t *testing.T, f *fixture) {
	run, item := f.newRun()
	retry := item.Next(epoch())
	retry.UnreachedSince = epoch()
	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Retry: &retry})
	opened := f.mustCommit(stepwell.Transition{
		Run: run.ID, Settles: retry.ID, Keep: true, Records: []stepwell.Step{recorded("a", `1`)},
	})
	require.Empty(t, opened, "the call goes on")
	got, err := f.Run(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Len(t, got.Progress.Open, 1)
	require.Equal(t, 0, got.Progress.Open[0].CountedAttempt(), "progress was made")
	require.Zero(t, got.Progress.Open[0].UnreachedSince, "by an app that was reached")
	require.Equal(t, 1, got.Progress.StepCount)
}

func testCheckpointBeyondBoundsIsRefused(t *testing.T, f *fixture) {
	run, item := f.newRun()
	report := stepwell.Transition{Run: run.ID, Settles: item.ID, Keep: true}
	for _, id := range stepIDs(stepwell.StepsMax) {
		report.Records = append(report.Records, recorded(id, `1`))
	}
	f.mustCommit(report)
	report.Records = []stepwell.Step{recorded("one more", `1`)}
	require.ErrorIs(t, f.commit(report).Err, stepwell.ErrTooLarge)

	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Len(t, state.Steps, stepwell.StepsMax)
	require.Equal(t, stepwell.StepsMax, state.Run.Progress.StepCount)
}

func testKnownStepIsNotOpenedAgain(t *testing.T, f *fixture) {
	run, item := f.newRun()
	items := f.race(run, item, "a", "b", "a")
	require.Len(t, items, 2)
	discovery := f.mustCommit(settle(items[0], `1`))
	require.Len(t, f.plan(run, discovery[0], "a", "b", "c"), 1, "a is recorded, b is open")
}

func testBatchedTransitionsAreIndependent(t *testing.T, f *fixture) {
	run1, item1 := f.newRun()
	run2, item2 := f.newRun()
	results, err := f.Commit(f.ctx, []stepwell.Transition{
		{Run: run1.ID, Settles: item1.ID, At: epoch(), Opens: []stepwell.Opening{opening(run1, "a")}},
		{Run: run1.ID, Settles: item1.ID, At: epoch()},
		{Run: run2.ID, Settles: item2.ID, At: epoch(), Opens: []stepwell.Opening{opening(run2, "a")}},
		settle(stepwell.NewStepItem(run1, stepwell.ItemStep, "a", epoch()), `1`),
	})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, stepwell.ErrConflict)
	require.NoError(t, results[2].Err)
	require.NoError(t, results[3].Err, "transitions of one run are applied in order")
	require.Equal(t, 1, discoveries(results[3].Opened))
}

func testRequestVersionIsKeptOnceKnown(t *testing.T, f *fixture) {
	run, item := f.newRun()
	for range 2 {
		opened := f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, RequestVersion: item.Number + 1})
		item = opened[0]
	}
	got, err := f.Run(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Equal(t, 2, got.Progress.RequestVersion)
}

func testHistoryTellsStepsAndAttempts(t *testing.T, f *fixture) {
	run, item := f.newRun()
	attempt := stepwell.Attempt{
		Item: item.ID, Step: "a", Status: stepwell.AttemptRetried, HTTPStatus: 206,
		StartedAt: epoch(), EndedAt: epoch().Add(time.Second), NextAt: epoch().Add(time.Minute),
		Error: json.RawMessage(`{"name":"Error","message":"boom"}`),
	}
	retry := item.Next(attempt.NextAt)
	f.mustCommit(stepwell.Transition{Run: run.ID, Settles: item.ID, Attempt: &attempt, Retry: &retry})
	items := f.plan(run, retry, "b", "a")
	f.mustCommit(settle(items[1], `1`))

	history, err := f.RunHistory(f.ctx, run.Environment, run.ID)
	require.NoError(t, err)
	require.Equal(t, epoch(), history.Run.StartedAt.UTC())
	require.Equal(t, []stepwell.Attempt{attempt}, history.Attempts)
	require.Len(t, history.Steps, 2)
	require.Equal(t, stepwell.StepID("b"), history.Steps[0].ID, "in the order they were heard of")
	require.Equal(t, stepwell.StepOpen, history.Steps[0].Status)
	require.Equal(t, stepwell.StepCompleted, history.Steps[1].Status)
	require.Equal(t, epoch(), history.Steps[1].OpenedAt.UTC())
	require.Equal(t, 1, history.Steps[1].Order)
	require.Len(t, history.Events, 1)
	require.Equal(t, "shop", history.App.Name)
}
