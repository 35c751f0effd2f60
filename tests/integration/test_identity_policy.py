"""Who asked, vouched for by the API server alone: no webhook runs here, and nobody can claim to be another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chart.installation import Installation, Manifest, execution, schedule

ADA = {"username": "ada", "uid": "7", "groups": ["dba", "sre"], "via": "API"}
AS_ADA = (
    "--as=ada",
    "--as-uid=7",
    "--as-group=dba",
    "--as-group=sre",
    "--as-group=system:masters",
)
AS_OPERATOR_ADMIN = ("--as-group=system:masters",)

FORGED: dict[str, dict[str, Any]] = {
    "another's name": {"requestedBy": ADA | {"username": "bob"}},
    "another's UID": {"requestedBy": ADA | {"uid": "8"}},
    "no UID": {"requestedBy": {key: ADA[key] for key in ("username", "groups")}},
    "a group more": {"requestedBy": ADA | {"groups": ["dba", "root"]}},
    "extra that nobody said": {"requestedBy": ADA | {"extra": {"scopes": ["all"]}}},
    "a way that is not theirs": {"requestedBy": ADA | {"via": "Schedule"}},
}
FORGED_IN_EXECUTIONS: dict[str, dict[str, Any]] = {
    **FORGED,
    "a canceller": {"cancelledBy": {"username": "ada", "uid": "7"}},
    "a planned time": {"scheduleRef": {"name": "nightly", "scheduledTime": "2026-11-20T09:00:00Z"}},
}
ALLOWED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "just who they are": {"requestedBy": ADA},
    "some of their groups": {"requestedBy": ADA | {"groups": ["sre"]}},
    "a schedule's name": {"scheduleRef": {"name": "nightly"}},
}


@pytest.mark.parametrize("spec", FORGED_IN_EXECUTIONS.values(), ids=FORGED_IN_EXECUTIONS)
def test_nobody_creates_an_execution_with(installed: Installation, spec: dict[str, Any]) -> None:
    refusal = create(installed, execution("forged", **spec), *AS_ADA)

    assert "identity.proctor.dev" in refusal


@pytest.mark.parametrize("spec", FORGED.values(), ids=FORGED)
def test_nobody_creates_a_schedule_with(installed: Installation, spec: dict[str, Any]) -> None:
    manifest = schedule("forged", cron="0 1 * * *", **spec)

    assert "identity.proctor.dev" in create(installed, manifest, *AS_ADA)


@pytest.mark.parametrize("spec", ALLOWED.values(), ids=ALLOWED)
def test_somebody_creates_an_execution_with(installed: Installation, spec: dict[str, Any]) -> None:
    assert create(installed, execution("honest", **spec), *AS_ADA) == ""


def test_the_operator_names_whom_it_runs_for(installed: Installation) -> None:
    stamps = {
        "requestedBy": ADA | {"via": "Schedule"},
        "scheduleRef": {"name": "nightly", "scheduledTime": "2026-11-20T09:00:00Z"},
    }
    as_operator = (f"--as={installed.user}", *AS_OPERATOR_ADMIN)

    assert create(installed, execution("planned", **stamps), *as_operator) == ""


def test_nobody_takes_a_schedule_over_in_anothers_name(installed: Installation) -> None:
    manifest = schedule("taken", cron="0 1 * * *", requestedBy=ADA)
    assert create(installed, manifest, *AS_ADA, dry_run=False) == ""
    eve = ("--as=eve", "--as-group=system:masters")

    timing = change(installed, "psched", "taken", {"cron": "0 2 * * *"}, *eve)
    forged = change(installed, "psched", "taken", {"requestedBy": {"username": "bob"}}, *eve)

    assert timing == ""
    assert "identity.proctor.dev" in forged


def test_nobody_cancels_in_anothers_name(installed: Installation) -> None:
    manifest = execution("stopped", requestedBy=ADA)
    assert create(installed, manifest, *AS_ADA, dry_run=False) == ""

    def cancel(username: str, uid: str) -> str:
        spec = {"cancel": True, "cancelledBy": {"username": username, "uid": uid}}
        return change(installed, "pexec", "stopped", spec, *AS_ADA)

    assert "identity.proctor.dev" in cancel("bob", "7")
    assert "identity.proctor.dev" in cancel("ada", "8")
    assert cancel("ada", "7") == ""


def test_a_status_that_comes_with_a_new_execution_is_dropped(installed: Installation) -> None:
    manifest = execution("finished") | {"status": {"phase": "Succeeded", "number": 7}}
    assert create(installed, manifest, *AS_ADA, dry_run=False) == ""

    found = installed.cluster.kubectl(
        "get", f"--namespace={installed.team}", "pexec", "finished", "--output=json"
    )

    assert json.loads(found.stdout)["status"] == {"phase": "Pending", "observedGeneration": 0}


def create(installed: Installation, manifest: Manifest, *who: str, dry_run: bool = True) -> str:
    """Why the API server would not take it; empty when it would."""
    mode = ["--dry-run=server"] if dry_run else []
    return installed.cluster.kubectl(
        *("create", "--filename=-", *mode, *who),
        stdin=json.dumps(installed.placed(manifest)),
        check=False,
    ).stderr


def change(installed: Installation, kind: str, name: str, spec: dict[str, Any], *who: str) -> str:
    """Why the API server would not take a change; empty when it would."""
    return installed.cluster.kubectl(
        *("patch", f"--namespace={installed.team}", kind, name, "--type=merge"),
        *("--dry-run=server", f"--patch={json.dumps({'spec': spec})}", *who),
        check=False,
    ).stderr
