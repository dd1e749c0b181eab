{{/* A NetworkPolicy that allows something: (dict "root" $ "suffix" "to-state" "components" list "annotations" map
"ingress" or "egress" (list RULE …)). No components: all pods. A rule is (dict "from" or "to" PEERS "ports" NUMBERS "udp"
BOOL); no peers: everybody, no ports: all. A peer that is a text is a component of this release. */}}
{{- define "stepwell.allow" -}}
{{- $direction := ternary "ingress" "egress" (hasKey . "ingress") -}}
{{- $side := ternary "from" "to" (hasKey . "ingress") -}}
{{- $rules := list -}}
{{- range get . $direction -}}
{{- $rule := dict -}}
{{- range get . $side -}}
{{- $peer := . -}}
{{- if kindIs "string" . -}}
{{- $peer = dict "podSelector" (dict "matchLabels" (include "stepwell.selector" (dict "root" $.root "component" .) | fromYaml)) -}}
{{- end -}}
{{- $rule = set $rule $side (append (default list (get $rule $side)) $peer) -}}
{{- end -}}
{{- $protocols := ternary (list "TCP" "UDP") (list "TCP") (default false .udp) -}}
{{- range .ports -}}
{{- $port := . -}}
{{- range $protocols -}}
{{- $rule = set $rule "ports" (append (default list $rule.ports) (dict "port" $port "protocol" .)) -}}
{{- end -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "stepwell.metadata" (dict "root" .root "suffix" (printf "allow-%s" .suffix) "annotations" .annotations) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "stepwell.selector" (dict "root" .root) | nindent 6 }}
    {{- with .components }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " . }}]}
    {{- end }}
  policyTypes: [{{ title $direction }}]
  {{ $direction }}:
    {{- toYaml $rules | nindent 4 }}
{{- end -}}
