"""S1: every role, every verb, every kind, against a table; the API server's own authorizer answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from chart.installation import Installation
from harness.callers import ADMIN, Caller
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until

SEE: Final = "get list watch"
WRITE: Final = f"{SEE} create update patch delete"
VERBS: Final = f"{WRITE} deletecollection execute cancel give-up".split()
KINDS: Final = ("procs", "procexecutions", "procschedules", "procplugins")
SUBRESOURCES: Final = ("status", "finalizers", "scale")
RESOURCES: Final = (*KINDS, *(f"{kind}/{sub}" for kind in KINDS for sub in SUBRESOURCES))
IN_CLUSTER: Final = "cluster:proctor-admin"
"""The same role, bound in the whole cluster: only so does it reach plugins."""

MAY: Final[dict[str, dict[str, str]]] = {
    "nobody": {},
    "view": {"procs": SEE, "procexecutions": SEE, "procschedules": SEE},
    "proctor-viewer": {"procs": SEE, "procexecutions": SEE, "procschedules": SEE},
    "proctor-runner": {"procs": SEE, "procexecutions": WRITE, "procschedules": WRITE},
    "edit": {"procs": SEE, "procexecutions": WRITE, "procschedules": WRITE},
    "proctor-author": {"procs": WRITE, "procexecutions": WRITE, "procschedules": WRITE},
    "admin": {"procs": WRITE, "procexecutions": WRITE, "procschedules": WRITE},
    "proctor-admin": {
        "procs": f"{WRITE} execute",
        "procexecutions": f"{WRITE} deletecollection cancel give-up",
        "procschedules": WRITE,
    },
    IN_CLUSTER: {
        "procs": f"{WRITE} execute",
        "procexecutions": f"{WRITE} deletecollection cancel give-up",
        "procschedules": WRITE,
        "procplugins": WRITE,
    },
}
"""Whatever is not written here must be refused."""


@pytest.fixture(scope="module")
def call(api_cluster: LocalCluster) -> Iterator[Caller]:
    with closing(Caller(api_cluster)) as caller:
        yield caller


@pytest.mark.parametrize("role", MAY)
def test_a_role_gives_what_the_table_says_and_nothing_else(
    installed: Installation, call: Caller, role: str
) -> None:
    user = f"has-{role.replace(':', '-')}"
    _bind(installed, role, user)
    expected = {(verb, resource) for resource, verbs in MAY[role].items() for verb in verbs.split()}

    def has_come_through() -> bool:
        return all(_may(call, installed.team, user, *right) for right in expected)

    assert wait_until(has_come_through, seconds=20, interval=0.3)
    granted = {
        (verb, resource)
        for resource in RESOURCES
        for verb in VERBS
        if _may(call, installed.team, user, verb, resource)
    }
    assert granted == expected


def test_a_role_in_one_namespace_reaches_no_other(installed: Installation, call: Caller) -> None:
    _bind(installed, "proctor-admin", "has-one-namespace")
    right = ("has-one-namespace", "execute", "procs")

    assert wait_until(lambda: _may(call, installed.team, *right), seconds=20, interval=0.3)
    assert not _may(call, "default", *right)


def _bind(installed: Installation, role: str, user: str) -> None:
    if role == "nobody":
        return
    name = role.removeprefix("cluster:")
    in_cluster = role == IN_CLUSTER
    kind, where = (
        ("clusterrolebinding", ())
        if in_cluster
        else ("rolebinding", (f"--namespace={installed.team}",))
    )
    installed.cluster.kubectl(
        "create", kind, f"matrix-{user}", f"--clusterrole={name}", f"--user={user}", *where
    )


def _may(call: Caller, namespace: str, user: str, verb: str, resource: str) -> bool:
    kind, _, subresource = resource.partition("/")
    asked = {
        "group": "proctor.dev",
        "version": "v1alpha1",
        "resource": kind,
        "subresource": subresource,
        "verb": verb,
        "namespace": "" if kind == "procplugins" else namespace,
    }
    answer = call(
        ADMIN,
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": asked},
        },
    )
    allowed: bool = answer.body["status"]["allowed"]
    return allowed
