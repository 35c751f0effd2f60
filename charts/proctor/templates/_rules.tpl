{{/*
What the operator may do in the namespaces that it serves. tests/chart/golden.py holds the same list:
whatever is added here must be added there, with a reason. Never: secrets, configmaps, namespaces, roles, webhook
configurations, pods/exec, impersonate, a wildcard.
*/}}
{{- define "proctor.namespacedRules" -}}
- apiGroups: [proctor.dev]
  resources: [procs, procschedules]
  verbs: [get, list, watch]
# create is for the runs of schedules, patch takes the finalizer off, delete is retention.
- apiGroups: [proctor.dev]
  resources: [procexecutions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [proctor.dev]
  resources: [procs/status, procexecutions/status, procschedules/status]
  verbs: [patch]
# A Job may block the deletion of its owner only where its creator holds this (OwnerReferencesPermissionEnforcement).
- apiGroups: [proctor.dev]
  resources: [procexecutions/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# delete: a cancelled run ends within its grace period.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* A question about a requester's rights; the API server offers it for the whole cluster only. */}}
{{- define "proctor.clusterRules" -}}
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
# Which plugins there are; they belong to the cluster.
- apiGroups: [proctor.dev]
  resources: [procplugins]
  verbs: [get, list, watch]
- apiGroups: [proctor.dev]
  resources: [procplugins/status]
  verbs: [patch]
{{- end -}}

{{/* In the release's namespace: the Lease that keeps a second replica idle. */}}
{{- define "proctor.ownRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end -}}

{{/*
What the webhook may do in the namespaces that are served. create on jobs is for the strict dry run of a Proc's pod
template, which stores nothing; RBAC knows no smaller right. Nothing on secrets: whether a requester may read one is
asked of the API server, and its certificate is mounted.
*/}}
{{- define "proctor.webhookNamespacedRules" -}}
- apiGroups: [proctor.dev]
  resources: [procs]
  verbs: [get, list, watch]
- apiGroups: [proctor.dev]
  resources: [procexecutions, procschedules]
  verbs: [get]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create]
{{- end -}}

{{- define "proctor.webhookClusterRules" -}}
- apiGroups: [proctor.dev]
  resources: [procplugins]
  verbs: [get, list, watch]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end -}}

{{/*
The role certs: one Secret and two configurations, each by its name. It has no right to create Secrets, which cannot be
limited to a name: whoever has it can make one that holds another account's token. So the chart makes the Secret, empty.
*/}}
{{- define "proctor.certsOwnRules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [proctor-webhook-tls]
  verbs: [get, update]
{{- end -}}

{{- define "proctor.certsClusterRules" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations, validatingwebhookconfigurations]
  resourceNames: [proctor.dev]
  verbs: [get, patch]
{{- end -}}

{{/*
Roles for people. status belongs to the operator alone; execute, cancel and give-up are in no role that is aggregated
into the cluster's own ones.
*/}}
{{- define "proctor.viewerRules" -}}
- apiGroups: [proctor.dev]
  resources: [procs, procexecutions, procschedules]
  verbs: [get, list, watch]
{{- end -}}

{{- define "proctor.runnerRules" -}}
- apiGroups: [proctor.dev]
  resources: [procexecutions, procschedules]
  verbs: [create, update, patch, delete]
{{- end -}}

{{- define "proctor.authorRules" -}}
- apiGroups: [proctor.dev]
  resources: [procs]
  verbs: [create, update, patch, delete]
{{- end -}}

{{- define "proctor.adminRules" -}}
- apiGroups: [proctor.dev]
  resources: [procs]
  verbs: [execute]
- apiGroups: [proctor.dev]
  resources: [procexecutions]
  verbs: [cancel, give-up, deletecollection]
- apiGroups: [proctor.dev]
  resources: [procplugins]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end -}}
