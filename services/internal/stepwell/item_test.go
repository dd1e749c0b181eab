package stepwell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func instant() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func newRun(t require.TestingT) stepwell.Run {
	id, err := stepwell.ParseRunID(ulidText)
	require.NoError(t, err)
	return stepwell.Run{
		ID: id, Function: stepwell.NewFunctionID(stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop"), "shop-charge"),
		Priority: time.Minute, Limits: []stepwell.LimitKey{{Value: "eu"}},
	}
}

// TestItemIDsNeverChange: they are stored and queued, and a new version of the server must make the same ones.
func TestItemIDsNeverChange(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	discovery := stepwell.NewDiscovery(run, 3, instant())
	tests := map[string]struct {
		item stepwell.Item
		id   string
	}{
		"discovery":         {discovery, ulidText + ".d3.0"},
		"its next attempt":  {discovery.Next(instant()), ulidText + ".d3.1"},
		"and the one after": {discovery.Next(instant()).Next(instant()), ulidText + ".d3.2"},
		"step":              {stepwell.NewStepItem(run, stepwell.ItemStep, "abc", instant()), ulidText + ".sabc.0"},
		"sleep":             {stepwell.NewStepItem(run, stepwell.ItemSleep, "abc", instant()), ulidText + ".zabc.0"},
		"timeout":           {stepwell.NewStepItem(run, stepwell.ItemTimeout, "abc", instant()), ulidText + ".tabc.0"},
		"invoke":            {stepwell.NewStepItem(run, stepwell.ItemInvoke, "abc", instant()), ulidText + ".iabc.0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, stepwell.ItemID(test.id), test.item.ID)
			require.Equal(t, run.ID, test.item.ID.Run())
		})
	}
}

// TestItemIsReadFromItsID: what the queue must not store twice.
func TestItemIsReadFromItsID(t *testing.T) {
	t.Parallel()
	step := rapid.StringMatching(`[a-z0-9./ \x00\xff"]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		run := stepwell.Run{ID: newRun(t).ID}
		kind := stepwell.ItemKind(rapid.IntRange(0, int(stepwell.ItemInvoke)).Draw(t, "kind"))
		want := stepwell.NewDiscovery(run, rapid.IntRange(0, 1000).Draw(t, "number"), time.Time{})
		if kind != stepwell.ItemDiscovery {
			want = stepwell.NewStepItem(run, kind, stepwell.StepID(step.Draw(t, "step")), time.Time{})
		}
		for range rapid.IntRange(0, 12).Draw(t, "attempt") {
			want = want.Next(time.Time{})
		}
		got, err := want.ID.Item()
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestTextThatIsNoItemIDIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", "..", ulidText, ulidText + ".", ulidText + ".d1", ulidText + "..0", ulidText + ".d1.", ulidText + ".d1.x",
		ulidText + ".d01.0", ulidText + ".d1.00", ulidText + ".d1.+1", ulidText + ".d.0", ulidText + ".x1.0",
		ulidText[1:] + ".d1.0", strings.ToLower(ulidText) + ".d1.0", ulidText + ".d99999999999999999999.0",
	} {
		_, err := stepwell.ItemID(text).Item()
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
	}
}

func TestTextThatIsNoItemIDHasNoRun(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", ".d1.0", "d1.0", ulidText[1:] + ".d1.0", ulidText + "0.d1.0", " " + ulidText + ".d1.0",
	} {
		require.Equal(t, stepwell.RunID{}, stepwell.ItemID(text).Run(), text)
	}
}

func TestItemTakesFromItsRunWhatTheQueueNeeds(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	discovery := stepwell.NewDiscovery(run, 2, instant())
	want := stepwell.Item{
		ID: discovery.ID, Run: run.ID, Function: run.Function, Kind: stepwell.ItemDiscovery, Number: 2,
		DueAt: instant(), Priority: run.Priority, Limits: run.Limits,
	}
	require.Equal(t, want, discovery)
	step := stepwell.NewStepItem(run, stepwell.ItemSleep, "abc", instant())
	want = stepwell.Item{
		ID: step.ID, Run: run.ID, Function: run.Function, Kind: stepwell.ItemSleep, Step: "abc",
		DueAt: instant(), Priority: run.Priority, Limits: run.Limits,
	}
	require.Equal(t, want, step)
}

// TestItemOfARun: whoever knows the step only, leaves to the run what is the run's.
func TestItemOfARun(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	want := stepwell.NewStepItem(run, stepwell.ItemSleep, "abc", instant())
	want.Race = true
	require.Equal(t, want, stepwell.Item{Kind: stepwell.ItemSleep, Step: "abc", DueAt: instant(), Race: true}.Of(run))
	next := want.Next(instant())
	require.Equal(t, next, next.Of(run), "it counts the attempt")
}

func TestNextAttemptKeepsAllButLeaseAndTime(t *testing.T) {
	t.Parallel()
	item := stepwell.NewStepItem(newRun(t), stepwell.ItemStep, "abc", instant())
	item.Generation, item.Race, item.Forgiven, item.Attempt = 7, true, 2, 4
	next := item.Next(instant().Add(time.Hour))
	want := item
	want.ID, want.Attempt, want.Generation = ulidText+".sabc.5", 5, 0
	want.DueAt = instant().Add(time.Hour)
	require.Equal(t, want, next)
	require.Equal(t, 3, next.CountedAttempt(), "forgiven attempts do not count")
	require.Equal(t, 4, item.Attempt, "the item itself does not change")
}

// identity is what an item id is derived from.
type identity struct {
	Kind    stepwell.ItemKind
	Target  string
	Number  int
	Attempt int
}

// TestItemsThatDifferHaveDifferentIDs: also when a step's id looks like a part of an item's.
func TestItemsThatDifferHaveDifferentIDs(t *testing.T) {
	t.Parallel()
	step := rapid.StringMatching(`[a-z0-9.]{1,4}`)
	draw := rapid.Custom(func(t *rapid.T) identity {
		kind := stepwell.ItemKind(rapid.IntRange(0, int(stepwell.ItemInvoke)).Draw(t, "kind"))
		i := identity{Kind: kind, Attempt: rapid.IntRange(0, 12).Draw(t, "attempt")}
		if kind == stepwell.ItemDiscovery {
			i.Number = rapid.IntRange(1, 12).Draw(t, "number")
		} else {
			i.Target = step.Draw(t, "step")
		}
		return i
	})
	rapid.Check(t, func(t *rapid.T) {
		run := newRun(t)
		id := func(i identity) stepwell.ItemID {
			item := stepwell.NewDiscovery(run, i.Number, instant())
			if i.Kind != stepwell.ItemDiscovery {
				item = stepwell.NewStepItem(run, i.Kind, stepwell.StepID(i.Target), instant())
			}
			for range i.Attempt {
				item = item.Next(instant())
			}
			return item.ID
		}
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		require.Equal(t, a == b, id(a) == id(b), "%s %s", id(a), id(b))
	})
}

func TestItemKindsAreShownByName(t *testing.T) {
	t.Parallel()
	names := map[stepwell.ItemKind]string{
		stepwell.ItemDiscovery: "discovery", stepwell.ItemStep: "step", stepwell.ItemSleep: "sleep",
		stepwell.ItemTimeout: "timeout", stepwell.ItemInvoke: "invoke", stepwell.ItemInvoke + 1: "unknown",
	}
	for kind, name := range names {
		require.Equal(t, name, kind.String())
	}
}
