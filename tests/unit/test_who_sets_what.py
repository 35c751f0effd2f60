"""Every leaf of every kind of ours stands in a table that says who may set it, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CRDS = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))
}

# A prefix stands for all below it; the longest that fits counts. `user`: whoever may write the object,
# within the rules of admission. `admission`: stamped, and denied from anybody else than the operator.
# `operator`: the status, which has a resource of its own. `server`: the API server's.
WHO_SETS = {
    "procexecutions.apiVersion": "server",
    "procexecutions.kind": "server",
    "procexecutions.metadata": "server",
    "procexecutions.spec.procRef.name": "user",
    "procexecutions.spec.arguments": "user",
    "procexecutions.spec.argumentsFrom": "user",
    "procexecutions.spec.reason": "user",
    "procexecutions.spec.cancel": "user",
    "procexecutions.spec.requestedBy": "admission",
    "procexecutions.spec.cancelledBy": "admission",
    "procexecutions.spec.procUID": "admission",
    "procexecutions.spec.procGeneration": "admission",
    "procexecutions.spec.scheduleRef.name": "user",
    "procexecutions.spec.scheduleRef.uid": "admission",
    "procexecutions.spec.scheduleRef.scheduledTime": "admission",
    "procexecutions.spec.rerunOf.name": "user",
    "procexecutions.spec.rerunOf.uid": "admission",
    "procexecutions.status": "operator",
    "procschedules.apiVersion": "server",
    "procschedules.kind": "server",
    "procschedules.metadata": "server",
    "procschedules.spec.procRef.name": "user",
    "procschedules.spec.arguments": "user",
    "procschedules.spec.argumentsFrom": "user",
    "procschedules.spec.cron": "user",
    "procschedules.spec.at": "user",
    "procschedules.spec.timeZone": "user",
    "procschedules.spec.suspend": "user",
    "procschedules.spec.concurrency": "user",
    "procschedules.spec.startingDeadlineSeconds": "user",
    "procschedules.spec.catchUp": "user",
    "procschedules.spec.jitterSeconds": "user",
    "procschedules.spec.history": "user",
    "procschedules.spec.tags": "user",
    "procschedules.spec.group": "user",
    "procschedules.spec.requestedBy": "admission",
    "procschedules.status": "operator",
    "procs.apiVersion": "server",
    "procs.kind": "server",
    "procs.metadata": "server",
    "procs.status": "operator",
    # An author, who must be able to create Jobs there, decides all of a Proc.
    **{
        f"procs.spec.{name}": "user"
        for name in (
            *("description", "author", "contributors", "organization", "image", "command", "args"),
            *("parameters", "secrets", "authorization", "timeoutSeconds", "pendingTimeoutSeconds"),
            *("retries", "podFailurePolicy", "concurrency", "history", "logs", "resources"),
            *("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations"),
            *("queueName", "podTemplate", "suspend"),
        )
    },
    # A cluster admin decides all of a plugin.
    **{
        f"procplugins.spec.{name}": "user"
        for name in (
            *("transport", "hooks", "namespaceSelector", "procSelector", "mandatory", "config"),
            *("credentialsFile", "capabilities", "namespaceOverride"),
        )
    },
    "procplugins.apiVersion": "server",
    "procplugins.kind": "server",
    "procplugins.metadata": "server",
    "procplugins.status": "operator",
}


def leaves(path: str, schema: dict[str, Any]) -> Iterator[str]:
    properties = schema.get("properties")
    if not properties:
        yield path
        return
    for name, child in properties.items():
        yield from leaves(f"{path}.{name}", child)


LEAVES = [
    leaf
    for plural, crd in CRDS.items()
    for version in crd["spec"]["versions"]
    for leaf in leaves(plural, version["schema"]["openAPIV3Schema"])
]


def entry_of(leaf: str) -> str | None:
    fitting = [entry for entry in WHO_SETS if leaf == entry or leaf.startswith(f"{entry}.")]
    return max(fitting, key=len, default=None)


@pytest.mark.parametrize("leaf", LEAVES)
def test_it_is_said_who_sets(leaf: str) -> None:
    assert entry_of(leaf) is not None


def test_the_table_names_nothing_that_is_not_there() -> None:
    here = {entry for entry in WHO_SETS if entry.split(".")[0] in CRDS}

    assert here - {entry_of(leaf) for leaf in LEAVES} == set()


@pytest.mark.parametrize("plural", CRDS)
def test_every_status_is_apart(plural: str) -> None:
    for version in CRDS[plural]["spec"]["versions"]:
        assert version["subresources"] == {"status": {}}
