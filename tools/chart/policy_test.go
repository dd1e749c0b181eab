package chart_test

import (
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/stepwell/stepwell/tools/chart"
)

// TestPodsAreRestricted asks what an API server asks where a namespace enforces the restricted Pod Security Standard.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		require.NotEmpty(t, pods(resources))
		for _, p := range pods(resources) {
			for _, result := range evaluator.EvaluatePod(restricted, &p.ObjectMeta, &p.Spec) {
				require.True(t, result.Allowed, "%s: %s: %s", p.Name, result.ForbiddenReason, result.ForbiddenDetail)
			}
			require.NotNil(t, p.Spec.SecurityContext.RunAsUser, p.Name)
			require.NotZero(t, *p.Spec.SecurityContext.RunAsUser, p.Name)
			require.NotNil(t, p.Spec.SecurityContext.SeccompProfile, "%s: for the whole pod", p.Name)
			for _, c := range p.containers() {
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, "%s/%s", p.Name, c.Name)
			}
		}
	})
}

// TestPodsHaveNoToken: nothing here talks to Kubernetes.
func TestPodsHaveNoToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			require.False(t, *p.Spec.AutomountServiceAccountToken, p.Name)
			require.False(t, *p.Spec.EnableServiceLinks, "%s: variables of Services look like settings", p.Name)
		}
		for _, account := range of[*corev1.ServiceAccount](resources) {
			require.False(t, *account.AutomountServiceAccountToken, account.Name)
		}
		for _, r := range resources {
			require.NotContains(t, []string{"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}, r.Kind)
		}
	})
}

// TestContainersHaveBounds of memory and CPU, and say what they need.
func TestContainersHaveBounds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			for _, c := range p.containers() {
				for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
					require.NotZero(t, c.Resources.Requests.Name(resource, "").Value(), "%s/%s requests %s", p.Name, c.Name, resource)
					require.NotZero(t, c.Resources.Limits.Name(resource, "").Value(), "%s/%s limits %s", p.Name, c.Name, resource)
				}
			}
		}
	})
}

// TestProbesAskDifferentThings: a probe that restarts a pod must not ask what other services do.
func TestProbesAskDifferentThings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			if !p.Serves {
				continue
			}
			c := p.Spec.Containers[0]
			for kind, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
				require.NotNil(t, probe, "%s has no %s probe", p.Name, kind)
			}
			require.NotEqual(t, c.LivenessProbe.ProbeHandler, c.ReadinessProbe.ProbeHandler, p.Name)
			if c.StartupProbe.HTTPGet != nil {
				require.Equal(t, []string{"/startupz", "/readyz", "/livez"},
					[]string{c.StartupProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path, c.LivenessProbe.HTTPGet.Path})
			}
			start := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold
			require.GreaterOrEqual(t, start, int32(300), "%s must have time to wait for Postgres and the schema", p.Name)
		}
	})
}

// TestWritableVolumesAreBounded: an emptyDir without a bound fills the node.
func TestWritableVolumesAreBounded(t *testing.T) {
	t.Parallel()
	for _, p := range pods(render(t, nil)) {
		for _, volume := range p.Spec.Volumes {
			if volume.EmptyDir != nil {
				require.NotNil(t, volume.EmptyDir.SizeLimit, "%s: %s", p.Name, volume.Name)
			}
		}
	}
}

// TestEveryResourceSaysWhoseItIs by the labels that Kubernetes recommends.
func TestEveryResourceSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, r := range resources {
			require.Equal(t, namespace, r.Meta.GetNamespace(), r.Meta.GetName())
			require.Equal(t, name, r.Meta.GetLabels()["app.kubernetes.io/instance"], r.Meta.GetName())
			for key := range r.Meta.GetLabels() {
				require.LessOrEqual(t, len(r.Meta.GetLabels()[key]), 63, "%s: %s", r.Meta.GetName(), key)
			}
		}
	})
}

// TestNamesAreShortEnough, however long the release's is: those of Services and pods are names in DNS, and what makes pods
// labels them with its own.
func TestNamesAreShortEnough(t *testing.T) {
	t.Parallel()
	resources := decode(t, renderRelease(t, chart.Release{Revision: 9999},
		parse(t, "fullnameOverride: "+strings.Repeat("a-very-long-name-", 10)+"x")).Manifests)
	for _, r := range resources {
		switch r.Kind {
		case "Service", "Job", "Pod":
			require.LessOrEqual(t, len(r.Meta.GetName()), 63, r.Meta.GetName())
		case "StatefulSet", "Deployment":
			require.LessOrEqual(t, len(r.Meta.GetName()), 63-len("-0123456789"), r.Meta.GetName())
		}
	}
}

// TestPublicCertificate names the Service, or there is no test that would call it by that name.
func TestPublicCertificate(t *testing.T) {
	t.Parallel()
	const enabled = "eventApi: {tls: {certManager: {enabled: true, issuerRef: {name: acme}, dnsNames: [events.example.com], serviceNames: "
	with, without := render(t, parse(t, enabled+"true}}}")), render(t, parse(t, enabled+"false}}}"))
	require.Contains(t, of[*certmanagerv1.Certificate](with)[0].Spec.DNSNames, "stepwell-event-api.shop.svc")
	require.Len(t, of[*corev1.Pod](with), 1)
	require.Equal(t, []string{"events.example.com"}, of[*certmanagerv1.Certificate](without)[0].Spec.DNSNames)
	require.Empty(t, of[*corev1.Pod](without))
}
