package chart_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestAlertsAreThoseOfTheFile, untouched by Helm's templates, and each names its page of what to do.
func TestAlertsAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(folder, "files/alerts.yaml"))
	require.NoError(t, err)
	var want monitoringv1.PrometheusRuleSpec
	for _, file := range files {
		require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, file)), &want))
	}
	rules := of[*monitoringv1.PrometheusRule](render(t, parse(t, "monitoring: {prometheusRule: {enabled: true}}")))
	require.Len(t, rules, 1)
	require.ElementsMatch(t, want.Groups, rules[0].Spec.Groups)
	for _, group := range want.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				require.NotEmpty(t, rule.Annotations["runbook_url"], rule.Alert)
			}
		}
	}
}

// TestEachDashboardIsAConfigMap that the sidecar of Grafana finds.
func TestEachDashboardIsAConfigMap(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(folder, "files/dashboards/*.json"))
	require.NoError(t, err)
	maps := of[*corev1.ConfigMap](render(t, parse(t, "monitoring: {dashboards: {enabled: true, labels: {mine: 'yes'}}}")))
	require.Len(t, maps, len(files))
	for _, m := range maps {
		require.Equal(t, "yes", m.Labels["mine"])
		require.Equal(t, "1", m.Labels["grafana_dashboard"], "labels add to those of the chart")
		require.Len(t, m.Data, 1)
		for file, content := range m.Data {
			require.True(t, json.Valid([]byte(content)), file)
			require.JSONEq(t, read(t, filepath.Join(folder, "files/dashboards", file)), content)
		}
	}
}
