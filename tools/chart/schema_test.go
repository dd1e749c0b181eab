package chart_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/chart"
)

// renderError is why these values are refused.
func renderError(t *testing.T, values string) error {
	t.Helper()
	_, err := chart.Render(folder, chart.Release{Name: name, Namespace: namespace, Revision: 1}, parse(t, values))
	require.Error(t, err, values)
	return err
}

// TestValuesThatCannotBeAreRefused, and the error says where.
func TestValuesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for values, problem := range map[string]string{
		"replicas: 2":                                           "additional properties 'replicas' not allowed",
		"executor: {replica: 2}":                                "at '/executor': additional properties 'replica' not allowed",
		"eventApi: {drainForSeconds: 2}":                        "at '/eventApi': additional properties 'drainForSeconds' not allowed",
		"state: {replicas: two}":                                "at '/state/replicas'",
		"state: {replicas: -1}":                                 "at '/state/replicas'",
		"image: {tag: latest stable}":                           "at '/image/tag'",
		"image: {pullPolicy: Sometimes}":                        "at '/image/pullPolicy'",
		"logLevel: loud":                                        "at '/logLevel'",
		"drainDelaySeconds: 10s":                                "at '/drainDelaySeconds'",
		"drainDelaySeconds: 601":                                "at '/drainDelaySeconds'",
		"postgres: {kind: internal}":                            "at '/postgres/kind'",
		"postgres: {external: {url: postgres://u:p@h/d}}":       "additional properties 'url' not allowed",
		"postgres: {external: {sslMode: prefer}}":               "at '/postgres/external/sslMode'",
		"redis: {bundled: {maxmemory: 1Gi}}":                    "at '/redis/bundled/maxmemory'",
		"redis: {external: {port: 70000}}":                      "at '/redis/external/port'",
		"keys: {existingSecret: My Keys}":                       "at '/keys/existingSecret'",
		"keys: {eventKeys: [a]}":                                "additional properties 'eventKeys' not allowed",
		"mtls: {kind: auto}":                                    "at '/mtls/kind'",
		"telemetry: {traceRatio: 2}":                            "at '/telemetry/traceRatio'",
		"telemetry: {otlpEndpoint: 'otel:4317'}":                "at '/telemetry/otlpEndpoint'",
		"executor: {autoscaling: {kind: cpu}}":                  "at '/executor/autoscaling/kind'",
		"executor: {autoscaling: {enabled: true}}":              "additional properties 'enabled' not allowed",
		"runner: {autoscaling: {minReplicas: 0}}":               "at '/runner/autoscaling/minReplicas'",
		"state: {pdb: {maxUnavailable: half}}":                  "at '/state/pdb/maxUnavailable'",
		"state: {resources: {limits: {memory: 1 GB}}}":          "at '/state/resources/limits/memory'",
		"state: {resources: {limit: {memory: 1Gi}}}":            "at '/state/resources': additional properties 'limit' not allowed",
		"state: {settings: {Database: {}}}":                     "invalid propertyName 'Database'",
		"state: {settings: {database: [{a: b}]}}":               "at '/state/settings/database'",
		"eventApi: {image: {repository: x, digest: sha256:12}}": "at '/eventApi/image/digest'",
		"eventApi: {extraVolumeMounts: [{name: a}]}":            "at '/eventApi/extraVolumeMounts/0'",
		"ingress: {http: {enabled: true}}":                      "at '/ingress/http/hosts'",
		"ingress: {admin: {enabled: true}}":                     "at '/ingress/admin/host'",
		"gateway: {grpc: {enabled: true}}":                      "at '/gateway/grpc/parentRefs'",
		"networkPolicy: {appsTo: [{cidr: 10.0.0.0/8}]}":         "at '/networkPolicy/appsTo/0'",
		"probes: {startup: {path: /}}":                          "at '/probes/startup'",
		"postgres: {kind: external}":                            "set postgres.external.existingSecret",
		"redis: {kind: external}":                               "set redis.external.existingSecret",
		"mtls: {kind: existingSecret}":                          "set mtls.existingSecret",
		"mtls: {kind: certManager}":                             "set mtls.certManager.issuerRef.name",
		"eventApi: {tls: {certManager: {enabled: true}}}":       "set its issuerRef.name",
		"eventApi: {tls: {existingSecret: a, certManager: {enabled: true, issuerRef: {name: b}}}}":   "use one",
		"eventApi: {tls: {certManager: {enabled: true, issuerRef: {name: b}, serviceNames: false}}}": "set its dnsNames",
		"runner: {autoscaling: {minReplicas: 9}}":                                                    "runner.autoscaling: minReplicas is more than maxReplicas",
		"executor: {autoscaling: {kind: hpa, minReplicas: 0}}":                                       "which only kind keda can do",
		"{admin: {enabled: false}, monitoring: {serviceMonitor: {enabled: true}}}":                   "set admin.enabled",
		"{admin: {enabled: false}, ingress: {admin: {enabled: true, host: a.example}}}":              "set admin.enabled",
		"{postgres: {kind: external}, redis: {kind: external}}":                                      "set redis.external.existingSecret",
	} {
		require.ErrorContains(t, renderError(t, values), problem, values)
	}
}

// TestSchemaSaysWhatValuesThereAre: no more and no less than values.yaml, so that each has its comment.
func TestSchemaSaysWhatValuesThereAre(t *testing.T) {
	t.Parallel()
	var schema node
	require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(folder, "values.schema.json"))), &schema))
	delete(schema.Properties, "global") // Helm's own, for charts in charts
	compare(t, schema.Definitions, schema, parse(t, read(t, filepath.Join(folder, "values.yaml"))), "")
}

// node is a part of a JSON schema.
type node struct {
	Ref         string          `json:"$ref"`
	Type        any             `json:"type"`
	Properties  map[string]node `json:"properties"`
	Additional  any             `json:"additionalProperties"`
	Definitions map[string]node `json:"definitions"`
}

func compare(t *testing.T, definitions map[string]node, schema node, values map[string]any, path string) {
	t.Helper()
	if name, found := strings.CutPrefix(schema.Ref, "#/definitions/"); found {
		schema = definitions[name]
	}
	if schema.Properties == nil {
		return // it may have anything
	}
	require.Equal(t, false, schema.Additional, "%s: a typing error would pass", path)
	for _, key := range slices.Sorted(maps.Keys(schema.Properties)) {
		inner, is := values[key].(map[string]any)
		if key == "resources" || key == "behavior" || key == "strategy" {
			continue // as in Kubernetes
		}
		require.Contains(t, values, key, "values.yaml lacks %s.%s", path, key)
		if is {
			compare(t, definitions, schema.Properties[key], inner, path+"."+key)
		}
	}
}
