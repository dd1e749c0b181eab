{{/* Secrets: which ones, and how those are made that nobody gives. */}}

{{- define "stepwell.keysSecret" -}}
{{- default (printf "%s-keys" (include "stepwell.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}

{{- define "stepwell.adminSecret" -}}
{{- default (printf "%s-admin" (include "stepwell.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{- define "stepwell.postgresSecret" -}}
{{- default (printf "%s-postgres" (include "stepwell.fullname" .)) .Values.postgres.bundled.existingSecret -}}
{{- end -}}

{{- define "stepwell.redisSecret" -}}
{{- default (printf "%s-redis" (include "stepwell.fullname" .)) .Values.redis.bundled.existingSecret -}}
{{- end -}}

{{/* The data of a generated Secret: what the cluster has, and 256 random bits where it has nothing:
(dict "root" $ "name" "stepwell-keys" "keys" (list "event-keys" …)). Digits are hexadecimal, so that a password may
stand in a URL and a signing key is one. */}}
{{- define "stepwell.generated" -}}
{{- $there := default dict (lookup "v1" "Secret" .root.Release.Namespace .name).data -}}
{{- range .keys }}
{{ . }}: {{ default (randBytes 32 | b64dec | printf "%x" | b64enc) (get $there .) | quote }}
{{- end }}
{{- end -}}

{{/* The Secret with the certificate of the public ports; empty without TLS there. */}}
{{- define "stepwell.publicTLSSecret" -}}
{{- with .Values.eventApi.tls -}}
{{- if .certManager.enabled -}}
{{- include "stepwell.fullname" $ }}-event-api-tls
{{- else -}}
{{- .existingSecret -}}
{{- end -}}
{{- end -}}
{{- end -}}
