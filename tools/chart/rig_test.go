package chart_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/stepwell/stepwell/tools/chart"
)

var update = flag.Bool("update", false, "write what is generated from the chart: golden manifests, the table of values, copies")

// folder is where the chart is.
const folder = "../../charts/stepwell"

// namespace and name are those of the release under test.
const (
	name      = "stepwell"
	namespace = "shop"
)

// strict decodes what the chart makes, and refuses fields that there are not.
var strict = func() runtime.Decoder {
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		scheme.AddToScheme, monitoringv1.AddToScheme, gatewayv1.Install, certmanagerv1.AddToScheme, addKEDA,
	} {
		if err := add(known); err != nil {
			panic(err)
		}
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, known, known, json.SerializerOptions{Yaml: true, Strict: true})
}()

// resource is a manifest, decoded.
type resource struct {
	chart.Manifest

	Kind   string
	Meta   metav1.Object
	Object runtime.Object
}

// sets are the sets of values that everything is tested with: of nothing, of each file in testdata/values, and of the
// example for production.
func sets(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	all := map[string]map[string]any{"default": {}}
	for _, file := range append(files, filepath.Join(folder, "values.production.yaml")) {
		set := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".yaml"), "values.")
		all[set] = parse(t, read(t, file))
	}
	return all
}

// each runs a test with every set of values.
func each(t *testing.T, test func(t *testing.T, values map[string]any, resources []resource)) {
	t.Helper()
	all := sets(t)
	for _, set := range slices.Sorted(maps.Keys(all)) {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			test(t, all[set], render(t, all[set]))
		})
	}
}

// rendered are the resources of values that were rendered before, which takes a while. Nobody changes them.
var rendered sync.Map

// render renders an install with these values.
func render(t *testing.T, values map[string]any) []resource {
	t.Helper()
	key, err := yaml.Marshal(values)
	require.NoError(t, err)
	if before, found := rendered.Load(string(key)); found {
		return before.([]resource)
	}
	resources := decode(t, renderRelease(t, chart.Release{Revision: 1}, values).Manifests)
	rendered.Store(string(key), resources)
	return resources
}

func renderRelease(t *testing.T, release chart.Release, values map[string]any) chart.Rendered {
	t.Helper()
	release.Name, release.Namespace = name, namespace
	rendered, err := chart.Render(folder, release, runtime.DeepCopyJSON(values))
	require.NoError(t, err)
	return rendered
}

func decode(t *testing.T, manifests []chart.Manifest) []resource {
	t.Helper()
	resources := make([]resource, len(manifests))
	for i, manifest := range manifests {
		object, kind, err := strict.Decode([]byte(manifest.Text), nil, nil)
		require.NoError(t, err, "%s:\n%s", manifest.File, manifest.Text)
		accessor, err := meta.Accessor(object)
		require.NoError(t, err)
		resources[i] = resource{Manifest: manifest, Kind: kind.Kind, Meta: accessor, Object: object}
	}
	return resources
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &values))
	return values
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// of are the resources of a type.
func of[T runtime.Object](resources []resource) []T {
	var found []T
	for _, r := range resources {
		if object, ok := r.Object.(T); ok {
			found = append(found, object)
		}
	}
	return found
}

// pod is a pod as something makes it.
type pod struct {
	// Name is that of what makes it.
	Name string
	// Serves says that it runs until it is told to stop.
	Serves bool
	corev1.PodTemplateSpec
}

// pods are all pods that the resources make.
func pods(resources []resource) []pod {
	var all []pod
	for _, r := range resources {
		switch object := r.Object.(type) {
		case *appsv1.Deployment:
			all = append(all, pod{object.Name, true, object.Spec.Template})
		case *appsv1.StatefulSet:
			all = append(all, pod{object.Name, true, object.Spec.Template})
		case *batchv1.Job:
			all = append(all, pod{object.Name, false, object.Spec.Template})
		case *corev1.Pod:
			all = append(all, pod{object.Name, false, corev1.PodTemplateSpec{ObjectMeta: object.ObjectMeta, Spec: object.Spec}})
		}
	}
	return all
}

// containers are all of a pod's.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}
