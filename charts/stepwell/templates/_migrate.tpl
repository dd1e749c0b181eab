{{/* The pod of the migration, as a template in the Job: (dict "root" $ "account" NAME). */}}
{{- define "stepwell.migratePod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "stepwell.podLabels" (dict "root" $root "component" "migrate") | nindent 4 }}
  {{- with include "stepwell.annotations" (dict "root" $root "extra" (list $root.Values.podAnnotations)) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  {{- include "stepwell.pod" . | nindent 2 }}
  # A pod for each attempt, so that the log of each is left.
  restartPolicy: Never
  {{- range $key := list "nodeSelector" "tolerations" }}
  {{- with get $root.Values.state $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- if eq $root.Values.postgres.kind "bundled" }}
  initContainers:
    # Only so that the first attempt succeeds: the Job tries again, but ever more seldom.
    - name: wait-for-postgres
      image: {{ $root.Values.postgres.bundled.image | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [sh, -c, 'until pg_isready -q -h {{ include "stepwell.fullname" $root }}-postgres -U stepwell -d stepwell; do sleep 1; done']
      resources:
        {{- toYaml $root.Values.migration.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
  {{- end }}
  containers:
    - name: migrate
      image: {{ include "stepwell.image" (dict "root" $root "image" $root.Values.state.image) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [migrate]
      env:
        {{- include "stepwell.env.postgres" $root | trim | nindent 8 }}
        {{- range $name, $value := include "stepwell.settings.postgres" $root | fromYaml }}
        {{- if not (contains "_READ_" $name) }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- end }}
        {{- with $root.Values.state.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $root.Values.state.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $root.Values.migration.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      {{- $volumes := include "stepwell.volumes.postgres" $root }}
      {{- with concat (include "stepwell.mounts" $volumes | fromYamlArray) $root.Values.state.extraVolumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with concat (fromYamlArray $volumes) $root.Values.state.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
