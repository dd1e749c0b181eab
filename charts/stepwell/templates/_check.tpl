{{/* What a schema cannot say of values. Each problem says which value to set. */}}
{{- define "stepwell.check" -}}
{{- $problems := list -}}
{{- with .Values.postgres.external }}
{{- if and (eq $.Values.postgres.kind "external") (not .existingSecret) (not .host) }}
{{- $problems = append $problems "postgres.kind is external: set postgres.external.existingSecret (a Secret with the URL) or postgres.external.host" }}
{{- end }}
{{- end }}
{{- with .Values.redis.external }}
{{- if and (eq $.Values.redis.kind "external") (not .existingSecret) (not .host) }}
{{- $problems = append $problems "redis.kind is external: set redis.external.existingSecret (a Secret with the URL) or redis.external.host" }}
{{- end }}
{{- end }}
{{- with .Values.mtls }}
{{- if and (eq .kind "existingSecret") (not .existingSecret) }}
{{- $problems = append $problems "mtls.kind is existingSecret: set mtls.existingSecret" }}
{{- end }}
{{- if and (eq .kind "certManager") (not .certManager.issuerRef.name) }}
{{- $problems = append $problems "mtls.kind is certManager: set mtls.certManager.issuerRef.name" }}
{{- end }}
{{- end }}
{{- with .Values.eventApi.tls.certManager }}
{{- if and .enabled (not .issuerRef.name) }}
{{- $problems = append $problems "eventApi.tls.certManager is enabled: set its issuerRef.name" }}
{{- end }}
{{- if and .enabled (not .serviceNames) (not .dnsNames) }}
{{- $problems = append $problems "eventApi.tls.certManager has no serviceNames: set its dnsNames" }}
{{- end }}
{{- if and .enabled $.Values.eventApi.tls.existingSecret }}
{{- $problems = append $problems "eventApi.tls has an existingSecret and certManager: use one" }}
{{- end }}
{{- end }}
{{- if and (eq .Values.executor.autoscaling.kind "hpa") (lt (int .Values.executor.autoscaling.minReplicas) 1) }}
{{- $problems = append $problems "executor.autoscaling.minReplicas is 0, which only kind keda can do" }}
{{- end }}
{{- if and .Values.monitoring.serviceMonitor.enabled (not .Values.admin.enabled) }}
{{- $problems = append $problems "monitoring.serviceMonitor is enabled, but metrics are not: set admin.enabled" }}
{{- end }}
{{- range $kind := list "ingress" "gateway" }}
{{- if and (get $.Values $kind).admin.enabled (not $.Values.admin.enabled) }}
{{- $problems = append $problems (printf "%s.admin is enabled, but its listener is not: set admin.enabled" $kind) }}
{{- end }}
{{- end }}
{{- range $name, $key := include "stepwell.services" . | fromYaml }}
{{- with (get $.Values $key).autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- $problems = append $problems (printf "%s.autoscaling: minReplicas is more than maxReplicas" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $problems }}
{{- fail (printf "values cannot be:\n  - %s" (join "\n  - " .)) }}
{{- end }}
{{- end -}}

{{/* Whether there is a `helm test`: it calls event-api by the name of its Service, which a certificate must have. */}}
{{- define "stepwell.tested" -}}
{{- with .Values.eventApi.tls.certManager -}}
{{- if and $.Values.test.enabled (or (not .enabled) .serviceNames) }}yes{{ end -}}
{{- end -}}
{{- end -}}
