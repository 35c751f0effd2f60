"""The rights of every account, and of the roles for people, written out: the chart must grant exactly these.

An addition here is a decision about security: it needs a reason in the chart's README, and must not be
a right to read Secrets or ConfigMaps, to change roles, webhooks or namespaces, to act as somebody else,
or a wildcard.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Right(NamedTuple):
    """One verb on one resource of one API group, or on one object of that name."""

    group: str
    resource: str
    verb: str
    name: str = ""


def rights(group: str, resource: str, verbs: str, name: str = "") -> set[Right]:
    return {Right(group, resource, verb, name) for verb in verbs.split()}


IN_WATCHED_NAMESPACES = (
    rights("proctor.dev", "procs", "get list watch")
    | rights("proctor.dev", "procs/status", "patch")
    # create: the runs of schedules, which admission lets in as those and nothing else.
    | rights("proctor.dev", "procexecutions", "get list watch create patch delete")
    | rights("proctor.dev", "procexecutions/status", "patch")
    | rights("proctor.dev", "procexecutions/finalizers", "update")
    | rights("proctor.dev", "procschedules", "get list watch")
    | rights("proctor.dev", "procschedules/status", "patch")
    | rights("batch", "jobs", "get list watch create patch delete")
    | rights("", "pods", "get list watch delete")
    | rights("", "pods/log", "get")
    | rights("", "events", "create patch")
)
IN_THE_CLUSTER = (
    rights("authorization.k8s.io", "subjectaccessreviews", "create")
    # Plugins belong to the cluster. Never write on them: who may do that decides who may run what.
    | rights("proctor.dev", "procplugins", "get list watch")
    | rights("proctor.dev", "procplugins/status", "patch")
)
IN_ITS_OWN_NAMESPACE = rights("coordination.k8s.io", "leases", "get create update")

WEBHOOK_IN_WATCHED_NAMESPACES = (
    rights("proctor.dev", "procs", "get list watch")
    | rights("proctor.dev", "procexecutions", "get")
    | rights("proctor.dev", "procschedules", "get")
    # For the strict dry run of a pod template, which stores nothing; RBAC knows no smaller right.
    | rights("batch", "jobs", "create")
)
WEBHOOK_IN_THE_CLUSTER = rights("proctor.dev", "procplugins", "get list watch") | rights(
    "authorization.k8s.io", "subjectaccessreviews", "create"
)

CERTS_IN_ITS_OWN_NAMESPACE = rights("", "secrets", "get update", "proctor-webhook-tls")
CERTS_IN_THE_CLUSTER = rights(
    "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get patch", "proctor.dev"
) | rights(
    "admissionregistration.k8s.io", "validatingwebhookconfigurations", "get patch", "proctor.dev"
)

VIEWER = (
    rights("proctor.dev", "procs", "get list watch")
    | rights("proctor.dev", "procexecutions", "get list watch")
    | rights("proctor.dev", "procschedules", "get list watch")
)
RUNNER = rights("proctor.dev", "procexecutions", "create update patch delete") | rights(
    "proctor.dev", "procschedules", "create update patch delete"
)
AUTHOR = rights("proctor.dev", "procs", "create update patch delete")
ADMIN = (
    rights("proctor.dev", "procs", "execute")
    | rights("proctor.dev", "procexecutions", "cancel give-up deletecollection")
    | rights("proctor.dev", "procplugins", "get list watch create update patch delete")
)


def rights_of(rules: list[dict[str, Any]]) -> set[Right]:
    """Take RBAC rules apart; a kind of rule that this does not know is an error."""
    found = set()
    for rule in rules:
        unknown = rule.keys() - {"apiGroups", "resources", "resourceNames", "verbs"}
        assert not unknown, f"a rule may not have {unknown}: {rule}"
        found |= {
            Right(group, resource, verb, name)
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames", [""])
        }
    return found
