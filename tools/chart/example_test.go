package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/stepwell/stepwell/tools/chart"
)

// exampleFolder is where the chart of the example app is.
const exampleFolder = "../../deploy/example/chart"

// TestExampleFitsBesideStepwell: with the values of both as they are, and the names that each README says, the app finds
// the door and the keys, and Stepwell finds the app.
func TestExampleFitsBesideStepwell(t *testing.T) {
	t.Parallel()
	rendered, err := chart.Render(exampleFolder, chart.Release{Name: "shop", Namespace: namespace, Revision: 1}, nil)
	require.NoError(t, err)
	example := decode(t, rendered.Manifests)
	stepwell := render(t, map[string]any{})

	app := pods(example)[0].Spec.Containers[0]
	values := map[string]corev1.EnvVar{}
	for _, variable := range app.Env {
		values[variable.Name] = variable
	}
	named := func(name string) func(*corev1.Service) bool {
		return func(s *corev1.Service) bool { return s.Name == name }
	}
	door := only(t, of[*corev1.Service](stepwell), named(name+"-event-api"))
	require.Equal(t, "http://"+door.Name+":8080", values["INNGEST_BASE_URL"].Value)
	require.EqualValues(t, 8080, door.Spec.Ports[0].Port)
	service := only(t, of[*corev1.Service](example), named("shop"))
	require.Equal(t, "http://shop."+namespace+".svc:3000", values["INNGEST_SERVE_HOST"].Value)
	require.EqualValues(t, 3000, service.Spec.Ports[0].Port)
	require.Subset(t, pods(example)[0].Labels, service.Spec.Selector)
	for _, variable := range []string{"INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY"} {
		key := values[variable].ValueFrom.SecretKeyRef
		secret := only(t, of[*corev1.Secret](stepwell), func(s *corev1.Secret) bool { return s.Name == key.Name })
		require.Contains(t, secret.Data, key.Key)
	}
}

// only is the one that is so.
func only[T any](t *testing.T, all []T, so func(T) bool) T {
	t.Helper()
	var found []T
	for _, one := range all {
		if so(one) {
			found = append(found, one)
		}
	}
	require.Len(t, found, 1)
	return found[0]
}

// TestExampleIsRestricted, as Stepwell's pods are.
func TestExampleIsRestricted(t *testing.T) {
	t.Parallel()
	rendered, err := chart.Render(exampleFolder, chart.Release{Name: "shop", Namespace: namespace, Revision: 1}, nil)
	require.NoError(t, err)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	all := pods(decode(t, rendered.Manifests))
	require.Len(t, all, 1)
	for _, result := range evaluator.EvaluatePod(restricted, &all[0].ObjectMeta, &all[0].Spec) {
		require.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
	}
	container := all[0].Spec.Containers[0]
	require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	require.NotNil(t, container.ReadinessProbe)
	require.NotNil(t, container.LivenessProbe)
	require.Contains(t, rendered.Notes, "{.data.event-keys}")
}
