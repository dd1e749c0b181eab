{{/* A Deployment of one service:
(dict "root" $ "name" "state" "values" .Values.state "stops" SECONDS "settings" YAML "env" YAML "volumes" YAML
"ports" (dict NAME NUMBER …) "scaled" BOOL).

There is no preStop hook. The kubelet sends SIGTERM at once, readiness goes off at once, and the program works on for
drainDelaySeconds: that is what a sleeping preStop would give, but the program knows of it, and stops early or late as
its work does. The grace period is drainDelaySeconds, what the program may need after that (stops; docs/operations.md
has the sums), and 10 s for a Redis or Postgres that does not answer. */}}
{{- define "stepwell.deployment" -}}
{{- $root := .root -}}
{{- $volumes := printf "%s\n%s" (include "stepwell.volumes.every" .) (default "" .volumes) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "stepwell.metadata" (dict "root" $root "component" .name "suffix" .name "labels" .values.labels "annotations" .values.annotations) | nindent 2 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  # Longer than a start may take, which waits for Postgres and the schema.
  progressDeadlineSeconds: {{ add 120 (mul $root.Values.probes.startup.periodSeconds $root.Values.probes.startup.failureThreshold) }}
  selector:
    matchLabels:
      {{- include "stepwell.selector" (dict "root" $root "component" .name) | nindent 6 }}
  strategy:
    {{- toYaml .values.strategy | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "stepwell.podLabels" (dict "root" $root "component" .name "extra" (list .values.labels .values.podLabels)) | nindent 8 }}
      {{- with include "stepwell.annotations" (dict "root" $root "extra" (list $root.Values.podAnnotations .values.podAnnotations)) }}
      {{- . | nindent 6 }}
      {{- end }}
    spec:
      {{- include "stepwell.pod" (dict "root" $root "account" (include "stepwell.serviceAccount" .)) | nindent 6 }}
      terminationGracePeriodSeconds: {{ add $root.Values.drainDelaySeconds .stops 10 }}
      {{- include "stepwell.placement" . | nindent 6 }}
      {{- with .values.extraInitContainers }}
      initContainers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "stepwell.image" (dict "root" $root "image" .values.image) | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          env:
            {{- include "stepwell.env" . | trim | nindent 12 }}
          {{- with .values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- range $port, $number := .ports }}
            - {name: {{ $port }}, containerPort: {{ $number }}, protocol: TCP}
            {{- end }}
            - {name: probes, containerPort: 8090, protocol: TCP}
            {{- if $root.Values.admin.enabled }}
            - {name: admin, containerPort: 9090, protocol: TCP}
            {{- end }}
          {{- include "stepwell.probes" $root.Values.probes | trim | nindent 10 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            {{- toYaml $root.Values.securityContext | nindent 12 }}
          {{- with concat (include "stepwell.mounts" $volumes | fromYamlArray) .values.extraVolumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
        {{- with .values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with concat (fromYamlArray $volumes) .values.extraVolumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* What all pods have: (dict "root" $ "account" NAME "security" map). */}}
{{- define "stepwell.pod" -}}
{{- with .root.Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{ end -}}
serviceAccountName: {{ .account | quote }}
automountServiceAccountToken: false
# No variables of Services, which may look like settings.
enableServiceLinks: false
securityContext:
  {{- toYaml (default .root.Values.podSecurityContext .security) | nindent 2 }}
{{- end -}}

{{/* Which nodes pods go to. */}}
{{- define "stepwell.placement" -}}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "stepwell.selector" (dict "root" .root "component" .name) | nindent 8 }}
    # Each revision by itself, so that the old one's pods do not count while it is replaced.
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- if not .values.affinity }}
# Zones are not a constraint beside that of nodes: where nodes say no zone, the scheduler would not look at either.
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 50
        podAffinityTerm:
          topologyKey: topology.kubernetes.io/zone
          labelSelector:
            matchLabels:
              {{- include "stepwell.selector" (dict "root" .root "component" .name) | nindent 14 }}
{{- end }}
{{- range $key := list "affinity" "nodeSelector" "tolerations" }}
{{- with get $.values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The environment: passwords first, since other variables have them in theirs. */}}
{{- define "stepwell.env" -}}
{{- $ours := printf "%s\n%s" (include "stepwell.settings.every" .root) (default "" .settings) | fromYaml -}}
{{- $theirs := include "stepwell.flatten" (dict "prefix" "STEPWELL" "settings" .values.settings) | fromYaml -}}
{{- range $name, $_ := $theirs }}
{{- if hasKey $ours $name }}
{{- fail (printf "settings of %s: %s is made by the chart, from a value of its own" $.name $name) }}
{{- end }}
{{- end }}
{{- with .env }}{{ . | trim }}
{{ end }}
{{- if .root.Values.telemetry.otlpEndpoint -}}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "k8s.namespace.name=%s,k8s.deployment.name=%s-%s,k8s.pod.name=$(POD_NAME)" .root.Release.Namespace (include "stepwell.fullname" .root) .name | quote }}
{{ end }}
{{- with include "stepwell.gomemlimit" .values.resources -}}
# 90 % of the limit, so that the garbage collector works harder before the kernel ends the program.
- {name: GOMEMLIMIT, value: {{ . }}}
{{ end }}
{{- range $name, $value := merge $ours $theirs -}}
- name: {{ $name }}
  value: {{ $value | quote }}
{{ end }}
{{- with .values.extraEnv }}{{ toYaml . }}{{ end }}
{{- end -}}

{{/* 90 % of a limit such as 512Mi or 2Gi; nothing for others. */}}
{{- define "stepwell.gomemlimit" -}}
{{- $limit := toString (default dict .limits).memory -}}
{{- if regexMatch "^[0-9]+[MG]i$" $limit -}}
{{- $mebibytes := mul (regexFind "^[0-9]+" $limit | int64) (ternary 1024 1 (hasSuffix "Gi" $limit)) -}}
{{- printf "%dMiB" (div (mul $mebibytes 9) 10) -}}
{{- end -}}
{{- end -}}

{{/* /startupz: all that the program needs was there once. /readyz: it is there now, and the program was not told to
stop. /livez: the process answers; so a Postgres that is away restarts nothing. */}}
{{- define "stepwell.probes" -}}
{{- range $kind, $path := dict "startup" "/startupz" "readiness" "/readyz" "liveness" "/livez" }}
{{ $kind }}Probe:
  httpGet: {path: {{ $path }}, port: probes}
  {{- toYaml (get $ $kind) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A headless Service of one service: every ready pod is an address, among which gRPC clients balance by themselves.
(dict "root" $ "name" "state" "suffix" "state" "labels" map "ports" (dict NAME NUMBER …) "monitored" BOOL) */}}
{{- define "stepwell.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- $monitored := ternary (dict "stepwell.dev/scrape" "true") dict .root.Values.admin.enabled }}
  {{- include "stepwell.metadata" (dict "root" .root "component" .name "suffix" .suffix "labels" (merge $monitored .labels)) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  selector:
    {{- include "stepwell.selector" (dict "root" .root "component" .name) | nindent 4 }}
  ports:
    {{- range $port, $number := .ports }}
    - {name: {{ $port }}, port: {{ $number }}, targetPort: {{ $port }}, protocol: TCP, appProtocol: kubernetes.io/h2c}
    {{- end }}
    {{- if .root.Values.admin.enabled }}
    - {name: admin, port: 9090, targetPort: admin, protocol: TCP, appProtocol: http}
    {{- end }}
{{- end -}}

{{/* (dict "root" $ "name" "state" "values" .Values.state) */}}
{{- define "stepwell.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "stepwell.metadata" (dict "root" .root "component" .name "suffix" .name "labels" .values.labels) | nindent 2 }}
spec:
  maxUnavailable: {{ .values.pdb.maxUnavailable }}
  # A pod that is not ready keeps nobody from draining its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "stepwell.selector" (dict "root" .root "component" .name) | nindent 6 }}
{{- end -}}

{{- define "stepwell.serviceAccountOf" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "stepwell.metadata" (dict "root" .root "component" .name "suffix" .name "annotations" .root.Values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* (dict "root" $ "name" "state" "scaling" map "cpu" PERCENT "metrics" list "behavior" map) */}}
{{- define "stepwell.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "stepwell.metadata" (dict "root" .root "component" .name "suffix" .name) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "stepwell.fullname" .root }}-{{ .name }}
  minReplicas: {{ .scaling.minReplicas }}
  maxReplicas: {{ .scaling.maxReplicas }}
  metrics:
    {{- if .metrics }}
    {{- toYaml .metrics | nindent 4 }}
    {{- else }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .cpu }}}
    {{- end }}
  {{- with .behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* All that a service has beside its Deployment and Services: (dict "root" $ "name" "state" "values" map). */}}
{{- define "stepwell.around" -}}
{{- if .values.pdb.enabled }}
---
{{ include "stepwell.pdb" . }}
{{- end }}
{{- if and .root.Values.serviceAccount.create (not .root.Values.serviceAccount.name) }}
---
{{ include "stepwell.serviceAccountOf" . }}
{{- end }}
{{- end -}}
