package chart_test

import (
	"encoding/hex"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/stepwell/stepwell/tools/chart"
)

// cluster is what `lookup` finds.
type cluster struct{ client dynamic.Interface }

// GetClientFor implements engine.ClientProvider.
func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	resource, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(apiVersion, kind))
	return c.client.Resource(resource), true, nil
}

func clusterWith(secrets ...*corev1.Secret) cluster {
	objects := make([]runtime.Object, len(secrets))
	for i, secret := range secrets {
		objects[i] = secret
	}
	return cluster{client: fake.NewSimpleDynamicClient(scheme.Scheme, objects...)}
}

// made are the Secrets of a release that are generated.
func made(t *testing.T, release chart.Release) map[string]map[string][]byte {
	t.Helper()
	secrets := map[string]map[string][]byte{}
	for _, secret := range of[*corev1.Secret](decode(t, renderRelease(t, release, nil).Manifests)) {
		secrets[secret.Name] = secret.Data
	}
	return secrets
}

// TestSecretsAreMadeOnce: an install makes them, an upgrade keeps them, another install makes others.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	first := made(t, chart.Release{Revision: 1, Cluster: clusterWith()})
	require.Equal(t, []string{"stepwell-admin", "stepwell-keys", "stepwell-postgres", "stepwell-redis"}, slices.Sorted(maps.Keys(first)))
	seen := map[string]bool{}
	var there []*corev1.Secret
	for name, data := range first {
		for key, value := range data {
			bits, err := hex.DecodeString(string(value))
			require.NoError(t, err, "%s of %s: a signing key is hexadecimal digits, and a password may stand in a URL", key, name)
			require.Len(t, bits, 32)
			require.False(t, seen[string(value)], "each is another")
			seen[string(value)] = true
		}
		secret := &corev1.Secret{Data: data}
		secret.Name, secret.Namespace = name, namespace
		there = append(there, secret)
	}
	require.Equal(t, first, made(t, chart.Release{Revision: 2, Cluster: clusterWith(there...)}))
	require.NotEqual(t, first, made(t, chart.Release{Revision: 1, Cluster: clusterWith()}))
}

// TestKeysThatSomebodyAddedAreKept: what is rotated by hand in a generated Secret stays.
func TestKeysThatSomebodyAddedAreKept(t *testing.T) {
	t.Parallel()
	keys := &corev1.Secret{Data: map[string][]byte{"signing-keys": []byte("new\nold\n")}}
	keys.Name, keys.Namespace = "stepwell-keys", namespace
	after := made(t, chart.Release{Revision: 2, Cluster: clusterWith(keys)})
	require.Equal(t, "new\nold\n", string(after["stepwell-keys"]["signing-keys"]))
	require.Len(t, after["stepwell-keys"]["event-keys"], 64, "what is missing is made")
}

// TestPasswordOfDataThatOutlivesTheReleaseIsKept.
func TestPasswordOfDataThatOutlivesTheReleaseIsKept(t *testing.T) {
	t.Parallel()
	for _, secret := range of[*corev1.Secret](render(t, nil)) {
		if secret.Name == "stepwell-postgres" {
			require.Equal(t, "keep", secret.Annotations["helm.sh/resource-policy"])
			return
		}
	}
	t.Error("there is no Secret of Postgres")
}

// TestNoSecretIsMadeWhereOthersAreNamed.
func TestNoSecretIsMadeWhereOthersAreNamed(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"testdata/values/urls.yaml", folder + "/values.production.yaml"} {
		require.Empty(t, of[*corev1.Secret](render(t, parse(t, read(t, set)))), set)
	}
}

// TestRevisionsDifferOnlyInTheMigration, so that an upgrade that changes nothing replaces no pod.
func TestRevisionsDifferOnlyInTheMigration(t *testing.T) {
	t.Parallel()
	secrets := clusterWith(fixedSecrets()...)
	before := renderRelease(t, chart.Release{Revision: 1, Cluster: secrets}, nil).Manifests
	after := renderRelease(t, chart.Release{Revision: 2, Cluster: secrets}, nil).Manifests
	require.Len(t, after, len(before))
	for i := range before {
		if before[i].File != "templates/migrate.yaml" {
			require.Equal(t, before[i].Text, after[i].Text)
		}
	}
}

// fixedSecrets are generated Secrets that are there already, the same in each test.
func fixedSecrets() []*corev1.Secret {
	var secrets []*corev1.Secret
	for name, keys := range map[string][]string{
		"stepwell-keys": {"event-keys", "signing-keys"}, "stepwell-admin": {"token"}, "stepwell-postgres": {"password"},
		"stepwell-redis": {"password"},
	} {
		secret := &corev1.Secret{Data: map[string][]byte{}}
		secret.Name, secret.Namespace = name, namespace
		for _, key := range keys {
			secret.Data[key] = []byte("kept")
		}
		secrets = append(secrets, secret)
	}
	return secrets
}
