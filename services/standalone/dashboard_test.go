package standalone_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// dashboard is what of a dashboard of Grafana has expressions.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		Targets []struct {
			Expr       string            `json:"expr"`
			Datasource map[string]string `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

// foreign are the metrics that dashboards and alerts name and that are not ours.
func foreign() []string {
	return []string{
		"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "go_goroutines",
	}
}

// namesIn are the metrics that an expression names: its words, without those of the language, labels and their values.
func namesIn(expression string) []string {
	expression = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expression, "")
	expression = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right) ?\([^)]*\)`).ReplaceAllString(expression, "")
	expression = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`).ReplaceAllString(expression, "")
	language := regexp.MustCompile(`^(sum|max|min|avg|rate|increase|histogram_quantile|absent|or|and|unless|label_values|fn)$`)
	var names []string
	for _, word := range regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`).FindAllString(expression, -1) {
		if !language.MatchString(word) {
			names = append(names, word)
		}
	}
	return names
}

// requireKnown checks that an expression names metrics, and only such as there are, of the type that it takes them for.
func requireKnown(t *testing.T, known map[string]string, expression string) {
	t.Helper()
	names := namesIn(expression)
	require.NotEmpty(t, names, expression)
	for _, name := range names {
		kind, isMetric := known[name]
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(name, part); cut && !isMetric {
				kind, isMetric = known[base], known[base] == "histogram"
			}
		}
		if !isMetric {
			require.Contains(t, foreign(), name, "%s: there is no such metric", expression)
			continue
		}
		isRate := regexp.MustCompile(`(rate|increase)\(` + name + `\b`).MatchString(expression)
		isSeries := kind == "gauge" || strings.Contains(expression, " - sum(") || strings.HasPrefix(expression, "label_values(")
		require.True(t, isRate || isSeries, "%s: %s is a %s, whose rate is meant", expression, name, kind)
	}
}

// TestDashboardsNameMetricsThatThereAre: those of docs/observability.md.
func TestDashboardsNameMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	known := pageMetrics(t)
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 2)
	uids, named := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(content, &d), file)
		require.False(t, uids[d.UID])
		uids[d.UID] = true
		for _, variable := range d.Templating.List {
			if variable.Type == "query" {
				requireKnown(t, known, variable.Definition)
			}
		}
		ids := map[int]bool{}
		for _, panel := range d.Panels {
			require.False(t, ids[panel.ID], "%s: panel %q", file, panel.Title)
			ids[panel.ID] = true
			require.Equal(t, panel.Type == "row", len(panel.Targets) == 0, "%s: panel %q", file, panel.Title)
			for _, target := range panel.Targets {
				require.Equal(t, "${datasource}", target.Datasource["uid"], "whoever has another one can choose it")
				requireKnown(t, known, target.Expr)
				for _, name := range namesIn(target.Expr) {
					named[name] = true
				}
			}
		}
	}
	for metric := range known {
		parts := []string{metric, metric + "_bucket", metric + "_sum", metric + "_count"}
		found := false
		for _, part := range parts {
			found = found || named[part]
		}
		require.True(t, found, "no panel shows %s", metric)
	}
}

// alerts are what of a file of rules is checked here.
type alerts struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         time.Duration     `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// TestAlertsHaveTheirMetricsAndRunbooks: an alert is about a metric that there is, and says where to read what to do.
func TestAlertsHaveTheirMetricsAndRunbooks(t *testing.T) {
	t.Parallel()
	known := pageMetrics(t)
	content, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	var file alerts
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	page, err := os.ReadFile("../../docs/runbooks.md")
	require.NoError(t, err)
	sections := map[string]string{}
	for _, section := range regexp.MustCompile(`(?m)^## `).Split(string(page), -1)[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	seen := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			require.False(t, seen[rule.Alert])
			seen[rule.Alert] = true
			requireKnown(t, known, rule.Expr)
			require.Contains(t, []string{"critical", "warning"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.Equal(t, "https://github.com/stepwell/stepwell/blob/main/docs/runbooks.md#"+strings.ToLower(rule.Alert),
				rule.Annotations["runbook_url"])
			require.Contains(t, sections, rule.Alert)
			for _, part := range []string{"**Symptom.**", "**Meaning.**", "**Look at**", "**Do**"} {
				require.Contains(t, sections[rule.Alert], part, rule.Alert)
			}
		}
	}
	require.GreaterOrEqual(t, len(seen), 12)
	for title := range sections {
		require.True(t, seen[title], "the runbook %q is of no alert", title)
	}
}

// TestNamesInExpressions: what is taken for a metric.
func TestNamesInExpressions(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a_total", "b_bucket"}, namesIn(
		`sum by (le, fn) (rate(a_total{x="y_total", z=~"$fn"}[5m])) / histogram_quantile(0.9, rate(b_bucket[$__rate_interval])) > 0.2`))
}
