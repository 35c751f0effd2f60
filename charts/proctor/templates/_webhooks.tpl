{{/* One webhook of a configuration: dict "root" $ "verb" "mutate|validate" "resource" .. "level" .. "operations" [..] */}}
{{- define "proctor.webhook" -}}
{{- $level := default "" .level -}}
{{- $path := printf "/%s/%s" .verb .resource -}}
- name: {{ if $level }}{{ $level }}.{{ end }}{{ .verb }}.{{ .resource }}.proctor.dev
  admissionReviewVersions: [v1]
  clientConfig:
    service:
      namespace: {{ .root.Release.Namespace }}
      name: proctor-webhook
      port: 443
      path: {{ if $level }}{{ printf "%s/%s" $path $level }}{{ else }}{{ $path }}{{ end }}
    {{- with .root.Values.webhook.clientConfig.caBundle }}
    caBundle: {{ . }}
    {{- end }}
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: 10
  rules:
    - apiGroups: [proctor.dev]
      apiVersions: [v1alpha1]
      resources: [{{ .resource }}]
      operations: [CREATE, UPDATE]
      scope: {{ eq .resource "procplugins" | ternary "Cluster" "Namespaced" }}
  {{- $selected := list }}
  {{- if .root.Values.watchNamespaces }}
  {{- $selected = append $selected (dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" .root.Values.watchNamespaces) }}
  {{- end }}
  {{- if .isByLevel }}
  {{- $key := "pod-security.kubernetes.io/enforce" }}
  {{- if $level }}
  {{- $selected = append $selected (dict "key" $key "operator" "In" "values" (list $level)) }}
  {{- else }}
  {{- $selected = append $selected (dict "key" $key "operator" "NotIn" "values" (list "baseline" "restricted")) }}
  {{- end }}
  {{- end }}
  {{- if and $selected (ne .resource "procplugins") }}
  namespaceSelector:
    matchExpressions:
      {{- toYaml $selected | nindent 6 }}
  {{- end }}
  matchConditions:
    {{- include "proctor.matchConditions" .root | nindent 4 }}
{{- end -}}

{{/*
Who is not asked about. The webhook may be down, and clean-up must go on: what the operator, the garbage collector and
the namespace controller change without touching the spec never waits for it. Nor does an update by anybody else that
changes nothing which admission looks at: spec, owners, and the finalizers and labels of proctor.dev.
*/}}
{{- define "proctor.matchConditions" -}}
- name: not-clean-up
  expression: >-
    request.operation != 'UPDATE' || object.spec != oldObject.spec || !(request.userInfo.username in
    [{{ include "proctor.cleaners" . }}])
- name: something-that-matters
  expression: >-
    request.operation != 'UPDATE' || object.spec != oldObject.spec ||
    (has(object.metadata.ownerReferences) ? object.metadata.ownerReferences : []) !=
    (has(oldObject.metadata.ownerReferences) ? oldObject.metadata.ownerReferences : []) ||
    (has(object.metadata.finalizers) ? object.metadata.finalizers : []).filter(f, f.startsWith('proctor.dev/')) !=
    (has(oldObject.metadata.finalizers) ? oldObject.metadata.finalizers : []).filter(f, f.startsWith('proctor.dev/')) ||
    (has(object.metadata.labels) ? object.metadata.labels : {}).exists(k, k.startsWith('proctor.dev/') &&
    !(has(oldObject.metadata.labels) && k in oldObject.metadata.labels &&
    oldObject.metadata.labels[k] == object.metadata.labels[k])) ||
    (has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}).exists(k, k.startsWith('proctor.dev/') &&
    !(has(object.metadata.labels) && k in object.metadata.labels))
{{- end -}}

{{- define "proctor.cleaners" -}}
{{- $operator := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "proctor.serviceAccountName" .) -}}
{{- $kubernetes := list "system:serviceaccount:kube-system:generic-garbage-collector" "system:serviceaccount:kube-system:namespace-controller" "system:kube-controller-manager" -}}
'{{ prepend $kubernetes $operator | join "', '" }}'
{{- end -}}
