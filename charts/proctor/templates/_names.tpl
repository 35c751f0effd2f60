{{- define "proctor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "proctor.fullname" -}}
{{- $name := include "proctor.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "proctor.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "proctor.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace in their names, so that two releases of one name do not collide. */}}
{{- define "proctor.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "proctor.fullname" .) -}}
{{- end -}}

{{- define "proctor.labels" -}}
app.kubernetes.io/name: {{ include "proctor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: proctor
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "proctor.subject" -}}
- kind: ServiceAccount
  name: {{ include "proctor.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "proctor.webhookAccountName" -}}
{{- if .Values.webhook.serviceAccount.create -}}
{{- default "proctor-webhook" .Values.webhook.serviceAccount.name -}}
{{- else -}}
{{- required "webhook.serviceAccount.name is needed when webhook.serviceAccount.create is false" .Values.webhook.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "proctor.certsAccountName" -}}
{{- if .Values.certs.serviceAccount.create -}}
{{- default "proctor-certs" .Values.certs.serviceAccount.name -}}
{{- else -}}
{{- required "certs.serviceAccount.name is needed when certs.serviceAccount.create is false" .Values.certs.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Not empty when the role certs makes the certificate: neither cert-manager nor somebody else does. */}}
{{- define "proctor.makesCertificate" -}}
{{- if and .Values.webhook.install (not .Values.webhook.certManager.enabled) (not .Values.webhook.clientConfig.caBundle) -}}
yes
{{- end -}}
{{- end -}}

{{- define "proctor.webhookSelector" -}}
app.kubernetes.io/name: {{ include "proctor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end -}}
