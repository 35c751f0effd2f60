"""What was asked for never changes: every way to edit an execution, on a real API server.

The changes are dry runs: admission judges them, and the object stays as it is for the next row.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from chart.installation import Installation, execution
from proctor_operator.domain.naming import RECORD_FINALIZER

JsonPatch = list[dict[str, Any]]

AS_ADA = ("--as=ada",)
ADA = {"username": "ada", "uid": "7", "groups": ["dba", "sre"], "via": "API"}
ARGUMENTS = {
    "SIZE_GB": 200,
    "TEXT": "1",
    "FLAG": True,
    "REGIONS": ["eu", "us"],
    "PLAN": {"steps": [{"run": "check", "with": {"depth": 1}}, "grow"]},
}
CANNOT_CHANGE = "cannot change: the spec of a ProcExecution is what was asked for, recorded and run"
STAYS_CANCELLED = (
    "spec.cancel cannot go from true back to false: a cancelled execution stays cancelled"
)
SET_ONCE = "spec.cancelledBy cannot change: it is set once, by the same request that sets spec.canc"
GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"


def add(path: str, value: Any) -> JsonPatch:
    return [{"op": "add", "path": path, "value": value}]


def replace(path: str, value: Any) -> JsonPatch:
    return [{"op": "replace", "path": path, "value": value}]


def remove(path: str) -> JsonPatch:
    return [{"op": "remove", "path": path}]


def move(source: str, path: str) -> JsonPatch:
    return [{"op": "move", "from": source, "path": path}]


ARGUMENTS_DENIED: dict[str, JsonPatch] = {
    "a number": replace("/spec/arguments/SIZE_GB", 201),
    "a number to text": replace("/spec/arguments/SIZE_GB", "200"),
    "text to a number": replace("/spec/arguments/TEXT", 1),
    "a boolean to text": replace("/spec/arguments/FLAG", "true"),
    "a value to null": replace("/spec/arguments/TEXT", None),
    "the name of an argument": move("/spec/arguments/SIZE_GB", "/spec/arguments/SIZE"),
    "two arguments exchanged": [
        *move("/spec/arguments/TEXT", "/spec/arguments/OLD"),
        *move("/spec/arguments/SIZE_GB", "/spec/arguments/TEXT"),
        *move("/spec/arguments/OLD", "/spec/arguments/SIZE_GB"),
    ],
    "one argument more": add("/spec/arguments/FORCE", "yes"),
    "one argument less": remove("/spec/arguments/REGIONS"),
    "no arguments": remove("/spec/arguments"),
    "an item": replace("/spec/arguments/REGIONS/0", "ap"),
    "one item more": add("/spec/arguments/REGIONS/-", "ap"),
    "one item less": remove("/spec/arguments/REGIONS/1"),
    "the order of items": move("/spec/arguments/REGIONS/0", "/spec/arguments/REGIONS/1"),
    "a list to its JSON text": replace("/spec/arguments/REGIONS", '["eu","us"]'),
    "a deep value": replace("/spec/arguments/PLAN/steps/0/with/depth", 2),
    "the type of a deep value": replace("/spec/arguments/PLAN/steps/0/with/depth", "1"),
    "a deep value to null": replace("/spec/arguments/PLAN/steps/0/with/depth", None),
    "the name of a deep key": move(
        "/spec/arguments/PLAN/steps/0/with/depth", "/spec/arguments/PLAN/steps/0/with/DEPTH"
    ),
    "one deep key more": add("/spec/arguments/PLAN/steps/0/with/force", value=True),
    "one deep key less": remove("/spec/arguments/PLAN/steps/0/run"),
    "a deep value moved up": move(
        "/spec/arguments/PLAN/steps/0/with/depth", "/spec/arguments/PLAN/depth"
    ),
}

DENIED: dict[str, tuple[JsonPatch, str]] = {
    "another proc": (replace("/spec/procRef/name", "drop-disk"), f"spec.procRef {CANNOT_CHANGE}"),
    "another secret": (
        replace("/spec/argumentsFrom/0/secretKeyRef/name", "other"),
        f"spec.argumentsFrom {CANNOT_CHANGE}",
    ),
    "another reason": (replace("/spec/reason", "INC-2"), f"spec.reason {CANNOT_CHANGE}"),
    "no reason": (remove("/spec/reason"), f"spec.reason {CANNOT_CHANGE}"),
    "another requester": (
        replace("/spec/requestedBy/username", "eve"),
        f"spec.requestedBy {CANNOT_CHANGE}",
    ),
    "one group more": (
        add("/spec/requestedBy/groups/-", "root"),
        f"spec.requestedBy {CANNOT_CHANGE}",
    ),
    "no requester": (remove("/spec/requestedBy"), f"spec.requestedBy {CANNOT_CHANGE}"),
    "a stamp added": (add("/spec/procUID", "1"), f"spec.procUID {CANNOT_CHANGE}"),
    "another generation": (
        replace("/spec/procGeneration", 4),
        f"spec.procGeneration {CANNOT_CHANGE}",
    ),
    "a schedule": (add("/spec/scheduleRef", {"name": "s"}), f"spec.scheduleRef {CANNOT_CHANGE}"),
    "an earlier run": (add("/spec/rerunOf", {"name": "e"}), f"spec.rerunOf {CANNOT_CHANGE}"),
    "something else together with cancel": (
        [*replace("/spec/cancel", value=True), *replace("/spec/reason", "INC-2")],
        f"spec.reason {CANNOT_CHANGE}",
    ),
    "a canceller without cancel": (add("/spec/cancelledBy", {"username": "eve"}), SET_ONCE),
}

DENIED_AFTER_CANCEL: dict[str, tuple[JsonPatch, str]] = {
    "cancel taken back": (replace("/spec/cancel", value=False), STAYS_CANCELLED),
    "cancel removed": (remove("/spec/cancel"), STAYS_CANCELLED),
    "another canceller": (replace("/spec/cancelledBy/username", "eve"), SET_ONCE),
    "no canceller": (remove("/spec/cancelledBy"), SET_ONCE),
    "another reason": (replace("/spec/reason", "INC-2"), f"spec.reason {CANNOT_CHANGE}"),
}

ALLOWED: dict[str, JsonPatch] = {
    "cancel": replace("/spec/cancel", value=True),
    "cancel and who did it": [
        *replace("/spec/cancel", value=True),
        *add("/spec/cancelledBy", {"username": "ada"}),
    ],
    "the same values again": replace("/spec/arguments/PLAN", ARGUMENTS["PLAN"]),
    "labels and annotations": [
        *add("/metadata/labels", {"team": "dba"}),
        *add("/metadata/annotations", {"note": "x"}),
    ],
    "the finalizer away": remove("/metadata/finalizers"),
    "another finalizer": add("/metadata/finalizers/-", "example.org/wait"),
    "owners": add(
        "/metadata/ownerReferences",
        [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}],
    ),
}


@pytest.fixture(scope="module")
def running(installed: Installation) -> str:
    """An execution as it is after admission."""
    manifest = execution(
        "immutable",
        arguments=ARGUMENTS,
        argumentsFrom=[{"name": "TOKEN", "secretKeyRef": {"name": "my-token", "key": "t"}}],
        reason="INC-1",
        requestedBy=ADA,
        procGeneration=3,
    )
    manifest["metadata"]["finalizers"] = [RECORD_FINALIZER]
    installed.create(manifest)
    return "immutable"


@pytest.fixture(scope="module")
def cancelled(installed: Installation) -> str:
    """One that was cancelled, and says by whom."""
    installed.create(execution("cancelled", reason="INC-1", requestedBy=ADA))
    edit = [*replace("/spec/cancel", value=True), *add("/spec/cancelledBy", {"username": "ada"})]
    assert patch(installed, "cancelled", edit, *AS_ADA, dry_run=False) == ""
    return "cancelled"


@pytest.mark.parametrize("change", ARGUMENTS_DENIED)
def test_arguments_cannot_change_in(installed: Installation, running: str, change: str) -> None:
    refusal = patch(installed, running, ARGUMENTS_DENIED[change])

    assert f"spec.arguments {CANNOT_CHANGE}" in refusal


@pytest.mark.parametrize("change", DENIED)
def test_an_execution_cannot_get(installed: Installation, running: str, change: str) -> None:
    edit, words = DENIED[change]

    assert words in patch(installed, running, edit)


@pytest.mark.parametrize("change", DENIED_AFTER_CANCEL)
def test_a_cancelled_execution_cannot_get(
    installed: Installation, cancelled: str, change: str
) -> None:
    edit, words = DENIED_AFTER_CANCEL[change]

    assert words in patch(installed, cancelled, edit)


@pytest.mark.parametrize("change", ALLOWED)
def test_an_execution_can_get(installed: Installation, running: str, change: str) -> None:
    assert patch(installed, running, ALLOWED[change], *AS_ADA) == ""


def test_a_refusal_names_every_field_that_changed(installed: Installation, running: str) -> None:
    edit = [*replace("/spec/reason", "INC-2"), *remove("/spec/arguments/TEXT")]
    refusal = patch(installed, running, edit)

    assert "spec.reason" in refusal
    assert "spec.arguments" in refusal


def test_a_whole_replacement_is_judged_like_a_patch(installed: Installation, running: str) -> None:
    edited = installed.placed(execution(running, arguments=ARGUMENTS | {"SIZE_GB": 1}))
    replaced = installed.cluster.kubectl(
        "replace", "--dry-run=server", "--filename=-", stdin=json.dumps(edited), check=False
    )
    applied = installed.cluster.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"),
        stdin=json.dumps(edited),
        check=False,
    )

    assert CANNOT_CHANGE in replaced.stderr
    assert CANNOT_CHANGE in applied.stderr


def test_a_status_can_be_written_and_carries_no_change_of_the_spec(
    installed: Installation, running: str
) -> None:
    edit = [*replace("/status/phase", "Running"), *replace("/spec/reason", "INC-2")]
    written = patch(installed, running, edit, "--subresource=status", dry_run=False)

    assert written == ""
    assert field(installed, running, "{.status.phase} {.spec.reason}") == "Running INC-1"


def test_the_operator_and_the_garbage_collector_take_finalizers_off(
    installed: Installation, running: str
) -> None:
    for user in (installed.user, GARBAGE_COLLECTOR):
        edit = remove("/metadata/finalizers")
        assert patch(installed, running, edit, f"--as={user}") == ""


def test_the_largest_execution_is_still_released_and_still_protected(
    installed: Installation,
) -> None:
    """A policy that runs out of its cost budget denies: that would hold an object for ever."""
    items = list(range(4096))
    deep = {f"k{number}": [{"v": number}] for number in range(200)}
    arguments = {f"P{number}": items if number < 4 else deep for number in range(64)}
    manifest = execution("largest", arguments=arguments, requestedBy=ADA)
    manifest["metadata"]["finalizers"] = [RECORD_FINALIZER]
    installed.create(manifest)
    change = patch(installed, "largest", replace("/spec/arguments/P63/k199/0/v", 0))
    at = f"--namespace={installed.team}"
    installed.cluster.kubectl("delete", at, "pexec", "largest", "--wait=false")
    release = patch(installed, "largest", remove("/metadata/finalizers"), dry_run=False)

    assert f"spec.arguments {CANNOT_CHANGE}" in change
    assert release == ""
    installed.cluster.kubectl("wait", at, "pexec/largest", "--for=delete", "--timeout=30s")


def patch(
    installed: Installation, name: str, edit: JsonPatch, *arguments: str, dry_run: bool = True
) -> str:
    """Why the API server refused a change; empty when it took it."""
    mode = ["--dry-run=server"] if dry_run else []
    return installed.cluster.kubectl(
        *("patch", f"--namespace={installed.team}", "pexec", name, "--type=json", *mode),
        *arguments,
        f"--patch={json.dumps(edit)}",
        check=False,
    ).stderr


def field(installed: Installation, name: str, path: str) -> str:
    return installed.cluster.kubectl(
        "get", f"--namespace={installed.team}", "pexec", name, f"--output=jsonpath={path}"
    ).stdout
