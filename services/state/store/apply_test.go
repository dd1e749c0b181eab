package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// TestApplyKeepsInvariants drives one run with random transitions and checks what must hold after each.
func TestApplyKeepsInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		run := stepwell.Run{Progress: stepwell.Progress{DiscoveryCount: 1}}
		run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, time.Time{})}
		m := &model{run: run, results: map[stepwell.StepID]stepwell.Step{}, settled: map[stepwell.ItemID]bool{}}
		for range rapid.IntRange(1, 40).Draw(t, "transitions") {
			m.step(t)
		}
	})
}

// TestResultFromOutsideIsBounded: what a run waits for cannot take it beyond its bound; the step fails instead, so that the
// run ends. What an app answers is bounded by who asked.
func TestResultFromOutsideIsBounded(t *testing.T) {
	t.Parallel()
	fresh := func() stepwell.Run {
		run := stepwell.Run{Progress: stepwell.Progress{StateBytes: stepwell.StateBytesMax - 1000}}
		run.Progress.Open = []stepwell.Item{stepwell.NewStepItem(run, stepwell.ItemTimeout, "w", time.Time{})}
		return run
	}
	record := func(size int) stepwell.Transition {
		run := fresh()
		return stepwell.Transition{Settles: run.Progress.Open[0].ID, Records: []stepwell.Step{{
			ID: "w", Status: stepwell.StepCompleted, Result: stepwell.Result{JSON: []byte(strings.Repeat("1", size))},
		}}}
	}
	run := fresh()
	applied, err := store.Apply(&run, store.Known{}, record(1000))
	require.NoError(t, err)
	require.Equal(t, stepwell.StepCompleted, applied.Records[0].Status)

	run = fresh()
	applied, err = store.Apply(&run, store.Known{}, record(1001))
	require.NoError(t, err)
	require.Equal(t, stepwell.StepFailed, applied.Records[0].Status)
	require.Contains(t, string(applied.Records[0].Result.JSON), `"name":"state_too_large"`)
	require.Len(t, run.Progress.Open, 1, "it goes on")

	run = fresh()
	answered := record(1001)
	answered.Attempt = &stepwell.Attempt{}
	applied, err = store.Apply(&run, store.Known{}, answered)
	require.NoError(t, err)
	require.Equal(t, stepwell.StepCompleted, applied.Records[0].Status)
}

// model is what a driver would keep of one run.
type model struct {
	run     stepwell.Run
	results map[stepwell.StepID]stepwell.Step
	settled map[stepwell.ItemID]bool
}

func (m *model) step(t *rapid.T) {
	transition := m.draw(t)
	before := m.run
	before.Progress.Open = slices.Clone(before.Progress.Open)
	isRecorded := func(id stepwell.StepID) bool { _, ok := m.results[id]; return ok }
	applied, err := store.Apply(&m.run, store.Known{Recorded: isRecorded}, transition)
	if err != nil {
		require.ErrorIs(t, err, stepwell.ErrConflict)
		require.Equal(t, before, m.run, "a refused transition changes nothing")
		return
	}
	require.False(t, before.Status.Ended(), "I5")
	if transition.Settles != "" && !transition.Keep {
		require.False(t, m.settled[transition.Settles], "I11")
		m.settled[transition.Settles] = true
	}
	for _, step := range applied.Records {
		require.NotContains(t, m.results, step.ID, "I10")
		m.results[step.ID] = step
		require.Equal(t, len(m.results), step.Order)
	}
	m.check(t, applied)
}

func (m *model) check(t *rapid.T, applied store.Applied) {
	open := m.run.Progress.Open
	require.Equal(t, m.run.Status.Ended(), len(open) == 0, "I7")
	seen := map[stepwell.ItemID]bool{}
	discoveries := 0
	for _, item := range open {
		require.False(t, seen[item.ID], "an item is open once")
		seen[item.ID] = true
		require.False(t, m.settled[item.ID], "I11: a settled item is not opened again")
		if item.Kind == stepwell.ItemDiscovery {
			discoveries++
			continue
		}
		require.NotContains(t, m.results, item.Step, "a recorded step is not open")
	}
	require.LessOrEqual(t, discoveries, 1, "I13")
	for _, id := range applied.Dropped {
		require.False(t, seen[id])
	}
	if !m.run.Status.Ended() {
		for _, item := range applied.Opened {
			require.True(t, seen[item.ID])
		}
	}
}

// draw makes a transition as the engine might, of an item that may be open, settled or never heard of.
func (m *model) draw(t *rapid.T) stepwell.Transition {
	step := rapid.SampledFrom([]stepwell.StepID{"a", "b", "c", "d"})
	result := stepwell.Transition{Keep: rapid.IntRange(0, 5).Draw(t, "keep") == 0}
	item := stepwell.NewStepItem(m.run, stepwell.ItemStep, step.Draw(t, "stranger"), time.Time{})
	if len(m.run.Progress.Open) > 0 && rapid.IntRange(0, 9).Draw(t, "known") > 0 {
		item = rapid.SampledFrom(m.run.Progress.Open).Draw(t, "item")
	}
	if rapid.IntRange(0, 9).Draw(t, "inside") > 0 {
		result.Settles = item.ID
	}
	for _, id := range rapid.SliceOfN(step, 0, 3).Draw(t, "records") {
		result.Records = append(result.Records, stepwell.Step{ID: id, Status: stepwell.StepCompleted})
	}
	for _, id := range rapid.SliceOfN(step, 0, 3).Draw(t, "opens") {
		opening := stepwell.Opening{
			Step: stepwell.Step{ID: id}, Item: stepwell.NewStepItem(m.run, stepwell.ItemStep, id, time.Time{}),
		}
		opening.Item.Race = rapid.Bool().Draw(t, "race")
		result.Opens = append(result.Opens, opening)
	}
	if result.Settles != "" && item.Kind != stepwell.ItemDiscovery && !result.Keep {
		// The engine never settles a step's item without the step's result or another attempt.
		result.Records = append(result.Records, stepwell.Step{ID: item.Step, Status: stepwell.StepCompleted})
	}
	switch {
	case rapid.IntRange(0, 19).Draw(t, "end") == 0:
		result.End = &stepwell.End{Status: stepwell.RunCompleted}
	case result.Settles != "" && !result.Keep && rapid.IntRange(0, 3).Draw(t, "retry") == 0:
		retry := item.Next(time.Time{})
		result.Retry, result.Records = &retry, nil
	}
	return result
}
