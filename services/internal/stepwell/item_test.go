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
		Priority: time.Minute, Limits: []stepwell.LimitKey{{Kind: stepwell.LimitThrottle, Index: 1, Value: "eu"}},
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

func TestLaneIsTheFunctionAndItsLimitKeys(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	item := stepwell.Item{Function: run.Function}
	require.Equal(t, stepwell.Lane("4df6e8b1-b9bd-5722-b1db-37550bb04c00"), item.Lane())
	item.Limits = []stepwell.LimitKey{
		{Kind: stepwell.LimitConcurrency, Index: 0, Value: "eu"}, {Kind: stepwell.LimitThrottle, Index: 1, Value: ""},
	}
	require.Equal(t, stepwell.Lane(`4df6e8b1-b9bd-5722-b1db-37550bb04c00/0.0="eu"/1.1=""`), item.Lane())
}

// TestLanesAreEqualOnlyForEqualKeys: a key's value is what a customer sends, so it may look like anything.
func TestLanesAreEqualOnlyForEqualKeys(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]string{"", "a", `"`, `a"/0.0="b`, "b", `\`, `/0.0=""`, "\xff", "\xfe"})
	key := rapid.Custom(func(t *rapid.T) stepwell.LimitKey {
		return stepwell.LimitKey{
			Kind:  stepwell.LimitKind(rapid.IntRange(0, 1).Draw(t, "kind")),
			Index: rapid.IntRange(0, 11).Draw(t, "index"), Value: value.Draw(t, "value"),
		}
	})
	keys := rapid.SliceOfN(key, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := stepwell.Item{Limits: keys.Draw(t, "a")}, stepwell.Item{Limits: keys.Draw(t, "b")}
		a.Function = stepwell.FunctionID{UUID: [16]byte{byte(rapid.IntRange(0, 255).Draw(t, "function"))}}
		b.Function = a.Function
		function, limits, err := a.Lane().Parse()
		require.NoError(t, err)
		require.Equal(t, a.Function, function)
		require.Len(t, limits, len(a.Limits))
		for i := range limits {
			require.Equal(t, a.Limits[i], limits[i])
		}
		same := len(a.Limits) == len(b.Limits)
		for i := 0; same && i < len(a.Limits); i++ {
			same = a.Limits[i] == b.Limits[i]
		}
		require.Equal(t, same, a.Lane() == b.Lane(), "%s %s", a.Lane(), b.Lane())
		b.Function = stepwell.FunctionID{UUID: [16]byte{1, 1}}
		require.NotEqual(t, a.Lane(), b.Lane())
	})
}

func TestTextThatIsNoLaneIsRefused(t *testing.T) {
	t.Parallel()
	const function = "4df6e8b1-b9bd-5722-b1db-37550bb04c00"
	for _, text := range []string{
		"", "/", "x", function[1:], strings.ToUpper(function), "{" + function + "}", function + "/", function + "/0.0",
		function + "/0.0=", function + `/0.0="`, function + `/0.0=a`, function + `/0="a"`, function + `/00.0="a"`,
		function + `/0.0="a"/`, function + `/0.0="a"x`, function + `/x.0="a"`, function + "/0.0=`a`", function + `/0.0="\u0061"`,
	} {
		_, _, err := stepwell.Lane(text).Parse()
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
	}
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
