{{/* Volumes: one for each Secret that programs read as files. A mount has the name of its volume. */}}

{{/* (dict "name" "keys" "secret" "stepwell-keys" "items" (dict KEY PATH …)) */}}
{{- define "stepwell.volume.secret" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret | quote }}
    # Readable for the group, which is fsGroup.
    defaultMode: 0440
    items:
      {{- range $key, $path := .items }}
      - {key: {{ $key | quote }}, path: {{ $path | quote }}}
      {{- end }}
{{ end -}}

{{/* What every program reads: (dict "root" $ "name" "state"). */}}
{{- define "stepwell.volumes.every" -}}
{{- if .root.Values.admin.enabled -}}
{{ include "stepwell.volume.secret" (dict "name" "admin" "secret" (include "stepwell.adminSecret" .root)
  "items" (dict .root.Values.admin.tokenKey "token")) }}
{{- end }}
{{- with .root.Values.mtls }}
{{- if ne .kind "none" -}}
{{ include "stepwell.volume.secret" (dict "name" "mtls"
  "secret" (ternary .existingSecret (printf "%s-%s-mtls" (include "stepwell.fullname" $.root) $.name) (eq .kind "existingSecret"))
  "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key" "ca.crt" "ca.crt")) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "stepwell.volumes.redis" -}}
{{- with .Values.redis }}
{{- if and (eq .kind "external") .external.existingSecret -}}
{{ include "stepwell.volume.secret" (dict "name" "redis" "secret" .external.existingSecret
  "items" (dict .external.urlKey "url")) }}
{{- end }}
{{- if and (eq .kind "external") .external.caSecret.name -}}
{{ include "stepwell.volume.secret" (dict "name" "redis-ca" "secret" .external.caSecret.name
  "items" (dict .external.caSecret.key .external.caSecret.key)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "stepwell.volumes.postgres" -}}
{{- with .Values.postgres }}
{{- if and (eq .kind "external") .external.existingSecret -}}
{{- $items := dict .external.urlKey "url" }}
{{- if .external.readUrlKey }}{{ $items = set $items .external.readUrlKey "read-url" }}{{ end -}}
{{ include "stepwell.volume.secret" (dict "name" "postgres" "secret" .external.existingSecret "items" $items) }}
{{- end }}
{{- if and (eq .kind "external") .external.caSecret.name -}}
{{ include "stepwell.volume.secret" (dict "name" "postgres-ca" "secret" .external.caSecret.name
  "items" (dict .external.caSecret.key .external.caSecret.key)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Mounts of all volumes that are given as YAML. */}}
{{- define "stepwell.mounts" -}}
{{- range fromYamlArray . }}
- {name: {{ .name }}, mountPath: /etc/stepwell/{{ .name }}, readOnly: true}
{{- end }}
{{- end -}}
