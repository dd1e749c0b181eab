package e2e

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// compatibilityPage is made of the results of the scenarios.
const compatibilityPage = root + "/docs/compatibility.md"

// isWhole tells whether there is a result for every scenario with every app on every kind of server, which there is unless
// only some of the tests were asked for.
func isWhole(list []compatibility.Result) bool {
	type played struct{ target, app, scenario string }
	all := map[played]bool{}
	for _, r := range list {
		all[played{target: r.Target, app: r.App, scenario: r.Scenario}] = true
	}
	for _, kind := range target.Kinds() {
		for _, app := range sdkapp.Apps(appsFolder, builtFolder) {
			for _, sc := range scenarios() {
				if !all[played{target: kind.Name, app: app.Name, scenario: sc.name}] {
					return false
				}
			}
		}
	}
	return true
}

// requireCompatibilityPage compares the page with the results of the scenarios, when all have been played.
func requireCompatibilityPage(t *testing.T) {
	played := results.all(isWhole)
	if !played.Whole {
		t.Log("not compared: only a part of the scenarios was played")
		return
	}
	page, err := os.ReadFile(compatibilityPage)
	require.NoError(t, err)
	require.Equal(t, compatibility.Page(played.Results), string(page), "docs/compatibility.md is not what the scenarios "+
		"showed in this run. If none of them failed: `make e2e` and then `make compatibility` write it anew")
}

// TestEveryScenarioProvesAFeature: what is played is on the page, and nothing is on the page that is not played.
func TestEveryScenarioProvesAFeature(t *testing.T) {
	t.Parallel()
	proven := map[compatibility.Feature]bool{}
	for _, sc := range scenarios() {
		require.NotEmpty(t, sc.proves, "scenario %q proves no feature of tools/e2e/compatibility/features.go", sc.name)
		for _, feature := range sc.proves {
			require.True(t, slices.Contains(compatibility.Features(), feature), "%q is on no part of the page", feature)
			proven[feature] = true
		}
	}
	for _, feature := range compatibility.Features() {
		require.True(t, proven[feature], "no scenario proves %q", feature)
	}
}
