{{/* What the bundled stores share. */}}

{{- define "stepwell.storeSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .runAsUser }}
runAsGroup: {{ .runAsUser }}
fsGroup: {{ .runAsUser }}
# A volume with much on it is not gone through at every start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "stepwell.claim" -}}
# What Kubernetes does by default, too: the volume outlives the release.
persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
volumeClaimTemplates:
  - metadata:
      name: data
      # Only what never changes, since this cannot.
      labels:
        {{- include "stepwell.selector" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .values.storageClassName }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources:
        requests: {storage: {{ .values.storageSize }}}
{{- end -}}
