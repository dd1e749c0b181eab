{{/* Names and labels. */}}

{{- define "stepwell.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of all resources begin with. Short, since what follows must fit into the 63 characters of a label. */}}
{{- define "stepwell.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "stepwell.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "stepwell.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The services by name, each with its values. A new service is one line here, its values, and its template file. */}}
{{- define "stepwell.services" -}}
event-api: eventApi
runner: runner
executor: executor
state: state
{{- end -}}

{{/* Labels that never change: (dict "root" $ "component" "state"). */}}
{{- define "stepwell.selector" -}}
app.kubernetes.io/name: {{ include "stepwell.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of a resource: (dict "root" $ "component" "state" "extra" (list map …)). What comes later wins, but never
over the selector. */}}
{{- define "stepwell.labels" -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml (merge (include "stepwell.plainLabels" . | fromYaml) $labels) -}}
{{- end -}}

{{/* Labels of a pod, likewise. The chart's version is not among them: a new one alone replaces no pods. */}}
{{- define "stepwell.podLabels" -}}
{{- include "stepwell.plainLabels" (dict "root" .root "component" .component
  "extra" (prepend (default list .extra) .root.Values.podLabels)) -}}
{{- end -}}

{{/* Labels of the pods of a store: without the version of Stepwell, with which the store would be restarted. */}}
{{- define "stepwell.storePodLabels" -}}
{{- $labels := dict "app.kubernetes.io/part-of" "stepwell" -}}
{{- range list .root.Values.commonLabels .root.Values.podLabels -}}
{{- $labels = mergeOverwrite $labels (deepCopy (default dict .)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $labels (include "stepwell.selector" . | fromYaml)) -}}
{{- end -}}

{{- define "stepwell.plainLabels" -}}
{{- $labels := dict
  "app.kubernetes.io/version" (include "stepwell.tag" .root | trunc 63 | trimAll "-_.")
  "app.kubernetes.io/part-of" "stepwell" -}}
{{- range prepend (default list .extra) .root.Values.commonLabels -}}
{{- $labels = mergeOverwrite $labels (deepCopy (default dict .)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $labels (include "stepwell.selector" . | fromYaml)) -}}
{{- end -}}

{{/* Annotations of a resource, with their key, or nothing: (dict "root" $ "extra" (list map …)). */}}
{{- define "stepwell.annotations" -}}
{{- $annotations := deepCopy .root.Values.commonAnnotations -}}
{{- range .extra -}}
{{- $annotations = mergeOverwrite $annotations (deepCopy (default dict .)) -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The metadata of a resource: (dict "root" $ "component" "state" "suffix" "state" "labels" map "annotations" map). */}}
{{- define "stepwell.metadata" -}}
name: {{ include "stepwell.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "stepwell.labels" (dict "root" .root "component" .component "extra" (list .labels)) | nindent 2 }}
{{- with include "stepwell.annotations" (dict "root" .root "extra" (list .annotations)) }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "stepwell.tag" -}}
{{- default .Chart.AppVersion .Values.image.tag -}}
{{- end -}}

{{/* The reference of an image: (dict "root" $ "image" values). */}}
{{- define "stepwell.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ include "stepwell.tag" .root }}{{ end -}}
{{- end -}}

{{/* The service account of a service: (dict "root" $ "name" "state"). */}}
{{- define "stepwell.serviceAccount" -}}
{{- with .root.Values.serviceAccount -}}
{{- if .name -}}
{{- .name -}}
{{- else if .create -}}
{{- include "stepwell.fullname" $.root }}-{{ $.name -}}
{{- else -}}
default
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Service with the admin port of a service: its headless one. */}}
{{- define "stepwell.adminService" -}}
{{- include "stepwell.fullname" .root }}-{{ .name }}{{ if eq .name "event-api" }}-headless{{ end }}
{{- end -}}
