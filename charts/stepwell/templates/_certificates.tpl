{{/* The names by which a Service is called: (dict "root" $ "service" NAME). */}}
{{- define "stepwell.dnsNames" -}}
- {{ .service }}
- {{ .service }}.{{ .root.Release.Namespace }}
- {{ .service }}.{{ .root.Release.Namespace }}.svc
{{- end -}}
