package compatibility

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rowOf is the row of a feature that the results make, without the column of the Python SDK, and the notes below it.
func rowOf(t *testing.T, feature Feature, results ...Result) (row string, notes []string) {
	t.Helper()
	_, rest, found := strings.Cut(Page(results), "\n| "+string(feature)+" |")
	require.True(t, found)
	row, rest, _ = strings.Cut(rest, "\n")
	row = row[:strings.LastIndex(strings.TrimSuffix(row, "|"), "|")]
	part, _, _ := strings.Cut(rest, "\n## ")
	_, list, _ := strings.Cut(part, "\n\n")
	return strings.TrimSpace(row), strings.Split(strings.TrimSpace(list), "\n")
}

// The tests look at the first row, so that its notes are the first ones.
func outcome(app, scenario, outcome, reason string) Result {
	return Result{
		Target: "dev", App: app, SDK: "js:v4.24.0", Scenario: scenario, Features: []Feature{NoSteps}, Outcome: outcome,
		Reason: reason,
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		results []Result
		cell    string
		notes   []string // some of them
	}{
		"passed": {results: []Result{outcome("a", "one", Passed, ""), outcome("b", "one", Passed, "")}, cell: "✓"},
		"one failure among others": {
			results: []Result{outcome("a", "one", Passed, ""), outcome("a", "two", Failed, ""), outcome("a", "three", LeftOut, "x")},
			cell:    "✗",
		},
		"not in the SDK": {
			results: []Result{outcome("a", "one", NotApplicable, "it has none")}, cell: "– <sup>1</sup>",
			notes: []string{"1. it has none"},
		},
		"left out": {
			results: []Result{outcome("a", "one", LeftOut, "it is slow")}, cell: "not tested <sup>1</sup>",
			notes: []string{"1. it is slow"},
		},
		"a scenario left out": {
			results: []Result{outcome("a", "one", Passed, ""), outcome("a", "two", LeftOut, "it is slow")},
			cell:    "✓ <sup>1</sup>",
			notes:   []string{`1. without the scenario "two": it is slow`},
		},
		"a scenario left out that another app cannot": {
			results: []Result{
				outcome("a", "one", Passed, ""), outcome("a", "two", NotApplicable, "it is off"),
				outcome("b", "two", LeftOut, "it is slow"),
			},
			cell:  "✓ <sup>1</sup>",
			notes: []string{`1. without the scenario "two": it is slow`},
		},
		"an app that cannot": {
			results: []Result{outcome("a", "one", Passed, ""), outcome("b", "one", NotApplicable, "it is off")},
			cell:    "✓ <sup>1</sup>",
			notes:   []string{"1. not in the app `b`: it is off"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, notes := rowOf(t, NoSteps, test.results...)
			require.Equal(t, test.cell, row)
			require.Subset(t, notes, test.notes)
		})
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	at := func(target, sdk, is string) Result {
		return Result{Target: target, App: "a", SDK: sdk, Scenario: "one", Features: []Feature{NoSteps}, Outcome: is}
	}
	results := []Result{
		at("split", "go:v0.15.0", Passed), at("start", "go:v0.15.0", Passed), at("dev", "go:v0.15.0", Failed), at("dev", "js:v3.54.2", Passed),
		at("dev", "js:v4.24.0", Failed),
	}
	require.Contains(t, Page(results), "| | JS 4.24.0 dev | JS 3.54.2 dev | Go 0.15.0 dev | Go 0.15.0 start | Go 0.15.0 split | Python 0.5.18 |\n")
	row, _ := rowOf(t, NoSteps, results...)
	require.Equal(t, "✗ | ✓ | ✗ | ✓ | ✓", row)
	row, _ = rowOf(t, Triggers, results...)
	require.Equal(t, strings.Repeat("not tested | ", 4)+"not tested", row)
}

// TestTimesDoNotMatter: runs with the same outcomes make the same page, however long they took and in whichever order.
func TestTimesDoNotMatter(t *testing.T) {
	t.Parallel()
	first := []Result{outcome("a", "one", Passed, ""), outcome("a", "two", LeftOut, "x"), outcome("b", "two", LeftOut, "y")}
	second := slices.Clone(first)
	slices.Reverse(second)
	for i := range second {
		second[i].Seconds = float64(i) + 1
	}
	require.Equal(t, Page(first), Page(second))
}

func TestFactsAreOfFeatures(t *testing.T) {
	t.Parallel()
	require.Subset(t, Features(), slices.Collect(maps.Keys(python())))
	all := Features()
	slices.Sort(all)
	require.Len(t, slices.Compact(all), len(Features()), "a feature is listed twice")
}

func TestPartialResultsAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.json")
	list := []Result{outcome("a", "one", Passed, "")}
	require.NoError(t, Results{Results: list}.Write(file))
	_, err := Read(file)
	require.ErrorContains(t, err, "a part of the scenarios")

	require.NoError(t, Results{Whole: true, Results: list}.Write(file))
	read, err := Read(file)
	require.NoError(t, err)
	require.Equal(t, list, read.Results)

	require.NoError(t, os.Remove(file))
	_, err = Read(file)
	require.ErrorIs(t, err, os.ErrNotExist)
}
