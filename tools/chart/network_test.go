package chart_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// network says what network policies allow, as the network of a cluster does.
type network struct {
	t        *testing.T
	policies []*networkingv1.NetworkPolicy
	pods     []pod
}

// end is one end of a connection: a pod of the release by its component, a pod elsewhere by the labels of its
// namespace, or an address.
type end struct {
	component string
	namespace map[string]string
	address   string
}

var (
	anywhere   = end{namespace: map[string]string{"kubernetes.io/metadata.name": "elsewhere"}}
	keda       = end{namespace: map[string]string{"kubernetes.io/metadata.name": "keda"}}
	internet   = end{address: "198.51.100.7"}
	metadataIP = end{address: "169.254.169.254"}
)

func component(name string) end { return end{component: name} }

// allows tells whether a connection may be made: both ends must allow it, as far as they are pods of the release.
func (n network) allows(from, to end, port int32, protocol corev1.Protocol) bool {
	n.t.Helper()
	return n.half(from, to, port, protocol, networkingv1.PolicyTypeEgress) &&
		n.half(to, from, port, protocol, networkingv1.PolicyTypeIngress)
}

// half is what policies of one end say of the other.
func (n network) half(self, other end, port int32, protocol corev1.Protocol, kind networkingv1.PolicyType) bool {
	n.t.Helper()
	if self.component == "" {
		return true
	}
	isolated := false
	for _, policy := range n.policies {
		if !selector(n.t, &policy.Spec.PodSelector).Matches(n.labels(self)) || !slices.Contains(policy.Spec.PolicyTypes, kind) {
			continue
		}
		isolated = true
		if kind == networkingv1.PolicyTypeEgress {
			for _, rule := range policy.Spec.Egress {
				if n.matches(rule.To, rule.Ports, other, port, protocol) {
					return true
				}
			}
			continue
		}
		for _, rule := range policy.Spec.Ingress {
			if n.matches(rule.From, rule.Ports, other, port, protocol) {
				return true
			}
		}
	}
	return !isolated
}

func (n network) labels(e end) labels.Set {
	n.t.Helper()
	for _, p := range n.pods {
		if p.Labels["app.kubernetes.io/component"] == e.component {
			return p.Labels
		}
	}
	require.FailNow(n.t, "there is no pod "+e.component)
	return nil
}

func (n network) matches(
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, other end, port int32,
	protocol corev1.Protocol,
) bool {
	n.t.Helper()
	portMatches := len(ports) == 0
	for _, p := range ports {
		portMatches = portMatches || (p.Port.IntVal == port && *p.Protocol == protocol)
	}
	peerMatches := len(peers) == 0
	for _, peer := range peers {
		peerMatches = peerMatches || n.isPeer(peer, other)
	}
	return portMatches && peerMatches
}

func (n network) isPeer(peer networkingv1.NetworkPolicyPeer, other end) bool {
	n.t.Helper()
	if peer.IPBlock != nil {
		// In some networks, blocks do not mean pods.
		return other.address != "" && n.inBlock(peer.IPBlock, other.address)
	}
	if other.address != "" {
		return false
	}
	matches := func(s *metav1.LabelSelector, set labels.Set) bool {
		parsed, err := metav1.LabelSelectorAsSelector(s)
		require.NoError(n.t, err)
		return parsed.Matches(set)
	}
	if other.component == "" {
		return peer.NamespaceSelector != nil && matches(peer.NamespaceSelector, other.namespace) && peer.PodSelector == nil
	}
	here := peer.NamespaceSelector == nil || matches(peer.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": namespace})
	return here && (peer.PodSelector == nil || matches(peer.PodSelector, n.labels(other)))
}

func (n network) inBlock(block *networkingv1.IPBlock, address string) bool {
	n.t.Helper()
	in := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		require.NoError(n.t, err)
		return prefix.Contains(netip.MustParseAddr(address))
	}
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}

func networkOf(t *testing.T, resources []resource) network {
	t.Helper()
	return network{t: t, policies: of[*networkingv1.NetworkPolicy](resources), pods: pods(resources)}
}

// flow is a connection.
type flow struct {
	from, to end
	port     int32
}

// needed are the flows without which Stepwell does not work.
func needed() []flow {
	return []flow{
		{component("event-api"), component("state"), 9000},
		{component("event-api"), component("runner"), 9000},
		{component("event-api"), component("executor"), 9000},
		{component("runner"), component("state"), 9000},
		{component("executor"), component("state"), 9000},
		{component("executor"), component("runner"), 9000},
		{component("test"), component("event-api"), 8080},
		// Apps.
		{component("executor"), anywhere, 3000},
		{component("executor"), internet, 443},
		{component("event-api"), anywhere, 3000},
		{component("event-api"), internet, 443},
		// Metrics.
		{anywhere, component("event-api"), 9090},
		{anywhere, component("runner"), 9090},
		{anywhere, component("executor"), 9090},
		{anywhere, component("state"), 9090},
	}
}

// TestNeededFlowsAreAllowed, and every pod may ask for names.
func TestNeededFlowsAreAllowed(t *testing.T) {
	t.Parallel()
	for _, values := range []string{
		"{}",
		"executor: {autoscaling: {kind: keda}}",
		"{mtls: {kind: existingSecret, existingSecret: tls}, telemetry: {otlpEndpoint: 'http://otel:4318'}}",
		"networkPolicy: {publicFrom: [{namespaceSelector: {matchLabels: {team: shop}}}]}",
	} {
		n := networkOf(t, render(t, parse(t, values)))
		for _, f := range needed() {
			require.True(t, n.allows(f.from, f.to, f.port, corev1.ProtocolTCP), "%s: %+v", values, f)
		}
		for _, p := range n.pods {
			for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
				asks := component(p.Labels["app.kubernetes.io/component"])
				require.True(t, n.allows(asks, end{namespace: map[string]string{"kubernetes.io/metadata.name": "kube-system"}}, 53, protocol), p.Name)
				require.True(t, n.allows(asks, end{address: "169.254.20.10"}, 53, protocol), p.Name)
			}
		}
	}
}

// TestFlowsOfTheBundledStores.
func TestFlowsOfTheBundledStores(t *testing.T) {
	t.Parallel()
	n := networkOf(t, render(t, nil))
	callers := map[string][]string{"postgres": {"state", "migrate"}, "redis": {"runner", "executor"}}
	ports := map[string]int32{"postgres": 5432, "redis": 6379}
	for store, port := range ports {
		for _, p := range n.pods {
			caller := p.Labels["app.kubernetes.io/component"]
			require.Equal(t, slices.Contains(callers[store], caller), n.allows(component(caller), component(store), port, corev1.ProtocolTCP),
				"%s to %s", caller, store)
		}
		require.False(t, n.allows(anywhere, component(store), port, corev1.ProtocolTCP), "anybody to %s", store)
		require.False(t, n.allows(component(store), internet, 443, corev1.ProtocolTCP), "%s to the internet", store)
	}
}

// TestFlowsToExternalStores.
func TestFlowsToExternalStores(t *testing.T) {
	t.Parallel()
	values := parse(t, read(t, "testdata/values/urls.yaml"))
	n := networkOf(t, render(t, values))
	postgres, redis := end{address: "10.1.2.3"}, end{address: "10.2.3.4"}
	for _, caller := range []string{"state", "migrate"} {
		require.True(t, n.allows(component(caller), postgres, 6432, corev1.ProtocolTCP), caller)
		require.False(t, n.allows(component(caller), redis, 6379, corev1.ProtocolTCP), caller)
		require.False(t, n.allows(component(caller), internet, 443, corev1.ProtocolTCP), caller)
	}
	require.True(t, n.allows(component("runner"), redis, 26379, corev1.ProtocolTCP))
	require.False(t, n.allows(component("runner"), postgres, 6432, corev1.ProtocolTCP))
	require.True(t, n.allows(component("executor"), redis, 6379, corev1.ProtocolTCP))
	for _, policy := range n.policies {
		if policy.Name == "stepwell-allow-postgres-from-migrate" {
			require.Equal(t, "-5", policy.Annotations["helm.sh/hook-weight"], "the policy of the hook is there before it")
			require.Equal(t, "pre-install,pre-upgrade", policy.Annotations["helm.sh/hook"])
		}
	}

	// Where the values do not say where, it may be anywhere, at the port that they say.
	n = networkOf(t, render(t, parse(t, read(t, "testdata/values/external.yaml"))))
	require.True(t, n.allows(component("state"), anywhere, 5432, corev1.ProtocolTCP))
	require.True(t, n.allows(component("runner"), internet, 6380, corev1.ProtocolTCP))
}

// TestAllElseIsDenied.
func TestAllElseIsDenied(t *testing.T) {
	t.Parallel()
	n := networkOf(t, render(t, parse(t, "executor: {autoscaling: {kind: keda}}")))
	for _, f := range []flow{
		{anywhere, component("state"), 9000},
		{anywhere, component("runner"), 9000},
		{anywhere, component("executor"), 9000},
		{anywhere, component("runner"), 9100},
		{anywhere, component("state"), 8090},
		{internet, component("state"), 9090},
		{component("state"), internet, 443},
		{component("runner"), internet, 443},
		{component("executor"), metadataIP, 80},
		{component("event-api"), metadataIP, 80},
		{component("test"), component("state"), 9000},
		{component("migrate"), component("state"), 9000},
		{component("state"), component("runner"), 9000},
	} {
		require.False(t, n.allows(f.from, f.to, f.port, corev1.ProtocolTCP), "%+v", f)
	}
	require.True(t, n.allows(keda, component("runner"), 9100, corev1.ProtocolTCP))
	require.True(t, n.allows(internet, component("event-api"), 8080, corev1.ProtocolTCP), "the public door is open")
	require.True(t, n.allows(internet, component("event-api"), 8081, corev1.ProtocolTCP))

	n = networkOf(t, render(t, parse(t, "networkPolicy: {publicFrom: [{namespaceSelector: {matchLabels: {team: shop}}}]}")))
	require.False(t, n.allows(internet, component("event-api"), 8080, corev1.ProtocolTCP))
	require.True(t, n.allows(end{namespace: map[string]string{"team": "shop"}}, component("event-api"), 8080, corev1.ProtocolTCP))
	require.False(t, n.allows(component("runner"), component("event-api"), 8080, corev1.ProtocolTCP))
}

// TestTelemetryGoesToItsPort.
func TestTelemetryGoesToItsPort(t *testing.T) {
	t.Parallel()
	for endpoint, port := range map[string]int32{"http://otel:4318": 4318, "https://otel.example.com": 4317, "http://otel:4317/v1": 4317} {
		n := networkOf(t, render(t, parse(t, "telemetry: {otlpEndpoint: '"+endpoint+"'}")))
		require.True(t, n.allows(component("state"), anywhere, port, corev1.ProtocolTCP), endpoint)
		require.False(t, n.allows(component("state"), anywhere, port+1, corev1.ProtocolTCP), endpoint)
	}
}
