"""Who asks: what a test writes for somebody is created as that somebody, by impersonation.

No webhook stamps anything in most tests, and the API server takes `spec.requestedBy` only from the
person it names. So a manifest tells who sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from multidict import CIMultiDict

Manifest = dict[str, Any]

ALICE: Final = "alice@example.org"
_OF_REQUESTERS: Final = ("ProcExecution", "ProcSchedule")
_STAMPS: Final = ("requestedBy", "procUID", "procGeneration")
_OURS: Final = "proctor.dev/"
ROLE: Final = "proctor-test-requesters"


def may_ask(*usernames: str) -> list[Manifest]:
    """Rights for requesters to write executions and schedules, and procs, everywhere.

    Not for `system:authenticated`: the operator's account is in it, and must not get them.
    """
    rules = [
        {
            "apiGroups": ["proctor.dev"],
            "resources": ["procexecutions", "procschedules"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        },
        {
            "apiGroups": ["proctor.dev"],
            "resources": ["procs"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    rbac = "rbac.authorization.k8s.io"
    subjects = [{"apiGroup": rbac, "kind": "User", "name": name} for name in usernames]
    metadata = {"name": ROLE}
    return [
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": rules,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": ROLE},
            "subjects": subjects,
        },
    ]


def flags_of(manifest: Manifest) -> tuple[str, ...]:
    """How kubectl is told to act as the one who asks; nothing where nobody does."""
    requester = _requester(manifest)
    if requester is None:
        return ()
    uid = (f"--as-uid={requester['uid']}",) if "uid" in requester else ()
    groups = (f"--as-group={group}" for group in requester.get("groups", ()))
    return (f"--as={requester['username']}", *uid, *groups)


def headers_of(manifest: Manifest) -> CIMultiDict[str]:
    """The same for a client that speaks HTTP."""
    headers: CIMultiDict[str] = CIMultiDict()
    requester = _requester(manifest)
    if requester is None:
        return headers
    headers.add("Impersonate-User", requester["username"])
    if "uid" in requester:
        headers.add("Impersonate-Uid", requester["uid"])
    for group in requester.get("groups", ()):
        headers.add("Impersonate-Group", group)
    return headers


def by_requester(
    manifests: Iterable[Manifest],
) -> Iterator[tuple[tuple[str, ...], list[Manifest]]]:
    """The manifests in their order, in runs that one person sends."""
    for flags, run in groupby(manifests, flags_of):
        yield flags, list(run)


def plain(manifest: Manifest) -> Manifest:
    """The manifest as its requester writes it where admission adds the rest: without a stamp."""
    if manifest.get("kind") not in _OF_REQUESTERS:
        return manifest
    spec = {key: value for key, value in manifest["spec"].items() if key not in _STAMPS}
    metadata = dict(manifest["metadata"])
    others = [one for one in metadata.pop("finalizers", ()) if not one.startswith(_OURS)]
    labels = metadata.pop("labels", {})
    metadata["labels"] = {key: labels[key] for key in labels if not key.startswith(_OURS)}
    return manifest | {"metadata": metadata | {"finalizers": others}, "spec": spec}


def _requester(manifest: Manifest) -> Manifest | None:
    if manifest.get("kind") not in _OF_REQUESTERS:
        return None
    requester: Manifest | None = manifest["spec"].get("requestedBy")
    return requester if requester and "username" in requester else None
