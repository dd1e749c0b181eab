package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"

	"github.com/stepwell/stepwell/tools/chart"
)

// again is how what is generated is written.
const again = "if that is meant: make chart"

// TestLint is `helm lint --strict`, with every set of values.
func TestLint(t *testing.T) {
	t.Parallel()
	version, err := chartutil.ParseKubeVersion("v1.36.0")
	require.NoError(t, err)
	for set, values := range sets(t) {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			result := lint.AllWithKubeVersion(folder, values, namespace, version)
			for _, message := range result.Messages {
				if !strings.Contains(message.Error(), "icon is recommended") {
					t.Error(message)
				}
			}
		})
	}
}

// TestGolden compares all that the chart makes with what it made, so that a review sees what a change of it means.
func TestGolden(t *testing.T) {
	t.Parallel()
	all := sets(t)
	for _, set := range []string{"default", "production", "everything"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			rendered := renderRelease(t, chart.Release{Revision: 1, Cluster: clusterWith(fixedSecrets()...)}, all[set])
			var b strings.Builder
			for _, manifest := range rendered.Manifests {
				if strings.Contains(manifest.Text, "\nkind: ConfigMap\n") || strings.Contains(manifest.Text, "\nkind: PrometheusRule\n") {
					continue // copies of files of deploy, which a review sees there
				}
				b.WriteString("---\n# " + manifest.File + "\n" + manifest.Text + "\n")
			}
			b.WriteString("--- NOTES\n" + rendered.Notes)
			compareOrWrite(t, filepath.Join("testdata/golden", set+".txt"), b.String())
		})
	}
}

// compareOrWrite compares a file with what should be there, or writes that.
func compareOrWrite(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, read(t, path), "%s; %s", path, again)
}

// TestReadmeHasEveryValue: its table is made of values.yaml.
func TestReadmeHasEveryValue(t *testing.T) {
	t.Parallel()
	const from, to = "<!-- values: generated, do not edit -->\n", "\n<!-- end of values -->"
	all, err := chart.Values([]byte(read(t, filepath.Join(folder, "values.yaml"))))
	require.NoError(t, err)
	described := slices.DeleteFunc(slices.Clone(all), func(v chart.Value) bool { return v.Meaning == "" })
	path := filepath.Join(folder, "README.md")
	before, rest, found := strings.Cut(read(t, path), from)
	require.True(t, found)
	_, after, found := strings.Cut(rest, to)
	require.True(t, found)
	compareOrWrite(t, path, before+from+"\n"+chart.Table(described)+to+after)
}

// TestEveryValueHasAComment: its own, or that of the same value of event-api, which comes first.
func TestEveryValueHasAComment(t *testing.T) {
	t.Parallel()
	all, err := chart.Values([]byte(read(t, filepath.Join(folder, "values.yaml"))))
	require.NoError(t, err)
	twin := regexp.MustCompile(`^(runner|executor|state)\.`)
	described := map[string]bool{}
	for _, v := range all {
		described[v.Path] = v.Meaning != ""
		ok := described[v.Path]
		// A description may be of a whole map.
		for path := twin.ReplaceAllString(v.Path, "eventApi."); path != ""; path = path[:max(0, strings.LastIndex(path, "."))] {
			ok = ok || described[path]
		}
		require.True(t, ok, "values.yaml: %s has no comment that begins with `# -- `", v.Path)
	}
}

// TestFilesOfTheChartAreThoseOfDeploy: Helm reads nothing outside a chart, so it has copies of the alerts and dashboards.
//
// It is not parallel, so that with -update the files are there before others look at them.
func TestFilesOfTheChartAreThoseOfDeploy(t *testing.T) {
	copies := map[string]string{}
	for source, folderOfCopy := range map[string]string{
		"../../deploy/prometheus/alerts.yaml":    "files",
		"../../deploy/grafana/dashboards/*.json": "files/dashboards",
	} {
		found, err := filepath.Glob(source)
		require.NoError(t, err)
		for _, file := range found {
			copies[filepath.Join(folder, folderOfCopy, filepath.Base(file))] = file
		}
	}
	for path, source := range copies {
		compareOrWrite(t, path, read(t, source))
	}
	there, err := filepath.Glob(filepath.Join(folder, "files", "*.yaml"))
	require.NoError(t, err)
	dashboards, err := filepath.Glob(filepath.Join(folder, "files/dashboards", "*.json"))
	require.NoError(t, err)
	for _, path := range append(there, dashboards...) {
		require.Contains(t, copies, path, "it is no copy of anything in deploy")
	}
}
