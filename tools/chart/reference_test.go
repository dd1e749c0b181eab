package chart_test

import (
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TestSelectorsMeanOneKindOfPod: each Service, budget and controller selects the pods of one workload, and all of
// them.
func TestSelectorsMeanOneKindOfPod(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		selectors := map[string]labels.Selector{}
		for _, service := range of[*corev1.Service](resources) {
			selectors["Service "+service.Name] = labels.SelectorFromSet(service.Spec.Selector)
		}
		for _, budget := range of[*policyv1.PodDisruptionBudget](resources) {
			selectors["PodDisruptionBudget "+budget.Name] = selector(t, budget.Spec.Selector)
		}
		for _, deployment := range of[*appsv1.Deployment](resources) {
			selectors["Deployment "+deployment.Name] = selector(t, deployment.Spec.Selector)
			for _, constraint := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
				if len(constraint.LabelSelector.MatchLabels) > 0 {
					selectors["spread of "+deployment.Name] = selector(t, constraint.LabelSelector)
				}
			}
		}
		for _, set := range of[*appsv1.StatefulSet](resources) {
			selectors["StatefulSet "+set.Name] = selector(t, set.Spec.Selector)
		}
		require.NotEmpty(t, selectors)
		for what, s := range selectors {
			matches := slices.DeleteFunc(pods(resources), func(p pod) bool { return !s.Matches(labels.Set(p.Labels)) })
			require.Len(t, matches, 1, what)
		}
	})
}

func selector(t *testing.T, s *metav1.LabelSelector) labels.Selector {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	require.False(t, parsed.Empty(), "it selects everything in the namespace")
	return parsed
}

// TestServicesLeadToPorts that containers have.
func TestServicesLeadToPorts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, service := range of[*corev1.Service](resources) {
			s := labels.SelectorFromSet(service.Spec.Selector)
			for _, p := range pods(resources) {
				if !s.Matches(labels.Set(p.Labels)) {
					continue
				}
				for _, port := range service.Spec.Ports {
					require.True(t, slices.ContainsFunc(p.Spec.Containers[0].Ports, func(c corev1.ContainerPort) bool {
						// A headless Service is only names: who calls it calls the pod's own port.
						return c.Name == port.TargetPort.StrVal &&
							(service.Spec.ClusterIP != corev1.ClusterIPNone || c.ContainerPort == port.Port)
					}), "%s: %s", service.Name, port.Name)
				}
			}
		}
	})
}

// TestServicesBetweenProgramsAreHeadless, so that clients find every pod and balance among them.
func TestServicesBetweenProgramsAreHeadless(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, callee := range []string{"state", "runner", "executor", "event-api-headless"} {
			services := slices.DeleteFunc(of[*corev1.Service](resources), func(s *corev1.Service) bool {
				return s.Name != prefix(resources)+callee
			})
			require.Len(t, services, 1, callee)
			require.Equal(t, corev1.ClusterIPNone, services[0].Spec.ClusterIP)
			require.False(t, services[0].Spec.PublishNotReadyAddresses, "who is not ready is not called")
		}
	})
}

// prefix is what names begin with.
func prefix(resources []resource) string {
	for _, deployment := range of[*appsv1.Deployment](resources) {
		if name, found := strings.CutSuffix(deployment.Name, "state"); found {
			return name
		}
	}
	return ""
}

// TestRoutesAndScalersNameWhatIsThere.
func TestRoutesAndScalersNameWhatIsThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		backend := func(from, name, portName string, port int32) {
			t.Helper()
			for _, service := range of[*corev1.Service](resources) {
				if service.Name == name && slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
					return p.Name == portName || p.Port == port
				}) {
					return
				}
			}
			t.Errorf("%s leads to %s:%s%d, which is not there", from, name, portName, port)
		}
		for _, ingress := range of[*networkingv1.Ingress](resources) {
			for _, rule := range ingress.Spec.Rules {
				for _, path := range rule.HTTP.Paths {
					backend(ingress.Name, path.Backend.Service.Name, path.Backend.Service.Port.Name, -1)
				}
			}
		}
		for _, route := range of[*gatewayv1.HTTPRoute](resources) {
			for _, ref := range route.Spec.Rules[0].BackendRefs {
				backend(route.Name, string(ref.Name), "", *ref.Port)
			}
		}
		for _, route := range of[*gatewayv1.GRPCRoute](resources) {
			for _, ref := range route.Spec.Rules[0].BackendRefs {
				backend(route.Name, string(ref.Name), "", *ref.Port)
			}
		}
		targets := map[string]int{}
		for _, hpa := range of[*autoscalingv2.HorizontalPodAutoscaler](resources) {
			targets[hpa.Spec.ScaleTargetRef.Name]++
		}
		for _, scaled := range of[*scaledObject](resources) {
			targets[scaled.Spec.ScaleTargetRef.Name]++
			require.Contains(t, scaled.Spec.Triggers[0].Metadata["scalerAddress"], prefix(resources)+"runner."+namespace+".svc:9100")
		}
		for _, deployment := range of[*appsv1.Deployment](resources) {
			require.Equal(t, targets[deployment.Name] == 0, deployment.Spec.Replicas != nil,
				"%s: replicas are given exactly if nobody scales, or an upgrade would scale back", deployment.Name)
			require.LessOrEqual(t, targets[deployment.Name], 1, "%s has two scalers", deployment.Name)
			delete(targets, deployment.Name)
		}
		require.Empty(t, targets, "scalers without a Deployment")
	})
}

// TestServiceMonitorFindsEachPodOnce.
func TestServiceMonitorFindsEachPodOnce(t *testing.T) {
	t.Parallel()
	resources := render(t, parse(t, "monitoring: {serviceMonitor: {enabled: true}}"))
	monitor := of[*monitoringv1.ServiceMonitor](resources)[0]
	s := selector(t, &monitor.Spec.Selector)
	scraped := map[string]int{}
	for _, service := range of[*corev1.Service](resources) {
		if s.Matches(labels.Set(service.Labels)) {
			scraped[service.Spec.Selector["app.kubernetes.io/component"]]++
			require.True(t, slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
				return p.Name == monitor.Spec.Endpoints[0].Port
			}), service.Name)
		}
	}
	require.Equal(t, map[string]int{"event-api": 1, "runner": 1, "executor": 1, "state": 1}, scraped)
}

// TestSecretsThatPodsNeedExist: the release makes them, cert-manager does, or the values name them.
func TestSecretsThatPodsNeedExist(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, values map[string]any, resources []resource) {
		there := texts(values)
		for _, secret := range of[*corev1.Secret](resources) {
			for key := range secret.Data {
				there = append(there, secret.Name+"/"+key)
			}
		}
		for _, certificate := range of[*certmanagerv1.Certificate](resources) {
			there = append(there, certificate.Spec.SecretName)
		}
		for _, p := range pods(resources) {
			for secret, keys := range p.secrets() {
				for _, key := range keys {
					require.True(t, slices.Contains(there, secret) || slices.Contains(there, secret+"/"+key), "%s needs %s of %s", p.Name, key, secret)
				}
			}
		}
	})
}

// secrets are the Secrets that a pod reads, and their keys.
func (p pod) secrets() map[string][]string {
	needed := map[string][]string{}
	for _, volume := range p.Spec.Volumes {
		if volume.Secret != nil {
			for _, item := range volume.Secret.Items {
				needed[volume.Secret.SecretName] = append(needed[volume.Secret.SecretName], item.Key)
			}
		}
	}
	for _, c := range p.containers() {
		for _, env := range c.Env {
			if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil {
				ref := env.ValueFrom.SecretKeyRef
				needed[ref.Name] = append(needed[ref.Name], ref.Key)
			}
		}
	}
	return needed
}

// texts are all texts in values.
func texts(value any) []string {
	var all []string
	switch v := value.(type) {
	case string:
		all = append(all, v)
	case map[string]any:
		for _, inner := range v {
			all = append(all, texts(inner)...)
		}
	case []any:
		for _, inner := range v {
			all = append(all, texts(inner)...)
		}
	}
	return all
}

// TestMigrationComesBeforeWhatNeedsIt: as a hook with an external Postgres, where all that it needs exists by then; as a
// part of the release where Postgres is one, too, since hooks would wait for each other.
func TestMigrationComesBeforeWhatNeedsIt(t *testing.T) {
	t.Parallel()
	const hook, weight = "helm.sh/hook", "helm.sh/hook-weight"
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, job := range of[*batchv1.Job](resources) {
			if len(of[*appsv1.StatefulSet](resources)) > 0 {
				require.NotContains(t, job.Annotations, hook, "the bundled Postgres starts with the release")
				require.Regexp(t, `-migrate-1-[0-9a-f]{8}$`, job.Name, "a Job cannot be changed, so each revision has its own")
				continue
			}
			require.Equal(t, "pre-install,pre-upgrade", job.Annotations[hook])
			for _, r := range resources {
				needed := r.Kind == "ServiceAccount" && r.Meta.GetName() == job.Spec.Template.Spec.ServiceAccountName
				_, reads := pod{PodTemplateSpec: job.Spec.Template}.secrets()[r.Meta.GetName()]
				if needed || (reads && r.Kind == "Secret") {
					require.Equal(t, job.Annotations[hook], r.Meta.GetAnnotations()[hook], "%s %s", r.Kind, r.Meta.GetName())
					require.Equal(t, "-5", r.Meta.GetAnnotations()[weight], "before the Job")
				}
			}
		}
	})
}

// TestJobHasAnotherNameWhenItIsAnother: for those who render without revisions, and as Helm has them.
func TestJobHasAnotherNameWhenItIsAnother(t *testing.T) {
	t.Parallel()
	job := func(tag string) string {
		return of[*batchv1.Job](render(t, parse(t, "image: {tag: "+tag+"}")))[0].Name
	}
	before, after := job("1.0.0"), job("1.0.1")
	require.NotEqual(t, before, after)
	require.Equal(t, before, job("1.0.0"), "the same again is the same Job")
}

// TestGracePeriodHoldsTheDrain, with the sums of docs/operations.md.
func TestGracePeriodHoldsTheDrain(t *testing.T) {
	t.Parallel()
	resources := render(t, parse(t, "{drainDelaySeconds: 7, executor: {drainForSeconds: 100}}"))
	grace := map[string]int64{}
	for _, deployment := range of[*appsv1.Deployment](resources) {
		grace[deployment.Name] = *deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
	}
	const stores = 10
	require.Equal(t, map[string]int64{
		"stepwell-event-api": 7 + 25 + stores, "stepwell-executor": 7 + 100 + 15 + stores,
		"stepwell-runner": 7 + 15 + stores, "stepwell-state": 7 + 15 + stores,
	}, grace)
}
