{{/* Settings of the programs: environment variables, where the file of settings would have keys. */}}

{{/* A map of settings as environment variables: (dict "prefix" "STEPWELL" "settings" map). Numbers come as floating
point from YAML; whole ones are written as such. */}}
{{- define "stepwell.flatten" -}}
{{- range $key, $value := .settings }}
{{- $name := printf "%s_%s" $.prefix (upper $key) }}
{{- if kindIs "map" $value }}
{{- include "stepwell.flatten" (dict "prefix" $name "settings" $value) }}
{{- else if kindIs "slice" $value }}
{{ $name }}: {{ join "," $value | quote }}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{ $name }}: {{ $value | int64 | toString | quote }}
{{- else if not (kindIs "invalid" $value) }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every program is told. Each reads what it needs of network. */}}
{{- define "stepwell.settings.every" -}}
{{- $name := include "stepwell.fullname" . -}}
STEPWELL_LOG_LEVEL: {{ .Values.logLevel | quote }}
STEPWELL_LOG_FORMAT: {{ .Values.logFormat | quote }}
STEPWELL_PROBE_ADDRESS: ":8090"
STEPWELL_DRAIN_DELAY: {{ printf "%ds" (int .Values.drainDelaySeconds) | quote }}
STEPWELL_NETWORK_LISTEN: ":9000"
STEPWELL_NETWORK_STATE: {{ printf "%s-state:9000" $name | quote }}
STEPWELL_NETWORK_RUNNER: {{ printf "%s-runner:9000" $name | quote }}
STEPWELL_NETWORK_EXECUTOR: {{ printf "%s-executor:9000" $name | quote }}
{{- if ne .Values.mtls.kind "none" }}
STEPWELL_NETWORK_TLS_CERTIFICATE: /etc/stepwell/mtls/tls.crt
STEPWELL_NETWORK_TLS_KEY: /etc/stepwell/mtls/tls.key
STEPWELL_NETWORK_TLS_CA: /etc/stepwell/mtls/ca.crt
{{- end }}
{{- if .Values.admin.enabled }}
STEPWELL_ADMIN_ADDRESS: ":9090"
STEPWELL_ADMIN_TOKEN_FILE: /etc/stepwell/admin/token
{{- end }}
{{- with .Values.telemetry }}
{{- if .otlpEndpoint }}
STEPWELL_TELEMETRY_OTLP_ENDPOINT: {{ .otlpEndpoint | quote }}
{{- end }}
{{- if ne (toString .traceRatio) "" }}
STEPWELL_TELEMETRY_TRACE_RATIO: {{ .traceRatio | toString | quote }}
{{- end }}
{{- if .otlpMetrics }}
STEPWELL_TELEMETRY_OTLP_METRICS: "true"
{{- end }}
{{- end }}
{{- end -}}

{{/* Redis, for runner and executor. */}}
{{- define "stepwell.settings.redis" -}}
STEPWELL_REDIS_PREFIX: {{ .Values.redis.prefix | quote }}
{{- with .Values.redis.external }}
{{- if eq $.Values.redis.kind "bundled" }}
STEPWELL_REDIS_URL: "redis://:$(REDIS_PASSWORD)@{{ include "stepwell.fullname" $ }}-redis:6379"
{{- else if .existingSecret }}
STEPWELL_REDIS_URL_FILE: /etc/stepwell/redis/url
{{- else }}
{{- $login := ternary (printf "%s:$(REDIS_PASSWORD)@" .user) (ternary (printf "%s@" .user) "" (ne .user "")) (ne .passwordSecret.name "") }}
STEPWELL_REDIS_URL: {{ printf "%s://%s%s:%d/%d" (ternary "rediss" "redis" .tls) $login .host (int .port) (int .database) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Postgres, for state and the migration. The password is not in the URL: PGPASSWORD may have any characters. */}}
{{- define "stepwell.settings.postgres" -}}
{{- if eq .Values.postgres.kind "bundled" -}}
STEPWELL_DATABASE_URL: "postgres://stepwell@{{ include "stepwell.fullname" . }}-postgres:5432/stepwell?sslmode=disable"
{{- else }}
{{- with .Values.postgres.external -}}
{{- if .existingSecret -}}
STEPWELL_DATABASE_URL_FILE: /etc/stepwell/postgres/url
{{- if .readUrlKey }}
STEPWELL_DATABASE_READ_URL_FILE: /etc/stepwell/postgres/read-url
{{- end }}
{{- else -}}
{{- $rest := printf ":%d/%s?sslmode=%s" (int .port) (urlquery .database | replace "+" "%20") .sslMode }}
{{- if .caSecret.name }}{{ $rest = printf "%s&sslrootcert=/etc/stepwell/postgres-ca/%s" $rest .caSecret.key }}{{ end -}}
STEPWELL_DATABASE_URL: {{ printf "postgres://%s@%s%s" (urlquery .user | replace "+" "%20") .host $rest | quote }}
{{- if .readHost }}
STEPWELL_DATABASE_READ_URL: {{ printf "postgres://%s@%s%s" (urlquery .user | replace "+" "%20") .readHost $rest | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Passwords that are no settings of their own: list of environment variables. */}}
{{- define "stepwell.env.redis" -}}
{{- $secret := .Values.redis.external.passwordSecret -}}
{{- if eq .Values.redis.kind "bundled" }}
{{- $secret = dict "name" (include "stepwell.redisSecret" .) "key" .Values.redis.bundled.passwordKey }}
{{- end }}
{{- if and $secret.name (or (eq .Values.redis.kind "bundled") (not .Values.redis.external.existingSecret)) -}}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ $secret.key | quote }}}
{{ end }}
{{- if and (eq .Values.redis.kind "external") .Values.redis.external.caSecret.name -}}
# What is there is trusted beside the CAs of the image.
- name: SSL_CERT_DIR
  value: /etc/stepwell/redis-ca
{{ end }}
{{- end -}}

{{- define "stepwell.env.postgres" -}}
{{- $secret := .Values.postgres.external.passwordSecret -}}
{{- if eq .Values.postgres.kind "bundled" }}
{{- $secret = dict "name" (include "stepwell.postgresSecret" .) "key" .Values.postgres.bundled.passwordKey }}
{{- end }}
{{- if and $secret.name (or (eq .Values.postgres.kind "bundled") (not .Values.postgres.external.existingSecret)) -}}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ $secret.key | quote }}}
{{ end }}
{{- end -}}
