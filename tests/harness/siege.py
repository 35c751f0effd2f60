"""A namespace under attack: real admission, a real operator that would run what gets past it, and its people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from chart.installation import Installation, proc, schedule
from harness.callers import ADMIN, JSON, Answer, Caller, Person
from harness.operator_process import OperatorProcess
from harness.requesters import ALICE
from harness.running import RunningOperator, operator_in
from harness.webhooks import webhook_in
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase

Manifest = dict[str, Any]

BASELINE: Final = "with-baseline"
ELSEWHERE: Final = "elsewhere"
API: Final = "/apis/proctor.dev/v1alpha1"
PATTERN: Final = "^(a+)+$"

HER: Final = Person(ALICE, ("dba",))
"""Who may run everything here, and runs something."""
EVE: Final = Person("eve", ("dev",), uid="9")
"""A runner, the attacker."""
EDITOR: Final = Person("ed", ("dev",))
"""Has the cluster's own role `edit`: may create Jobs."""
AUTHOR: Final = Person("arthur")
"""May write procs, but no Jobs."""
PUBLISHER: Final = Person("paula")
"""May write procs and Jobs, as an admin of the namespace does."""
_ROLES: Final = {
    HER.username: "proctor-runner",
    EVE.username: "proctor-runner",
    EDITOR.username: "edit",
    AUTHOR.username: "proctor-author",
    PUBLISHER.username: "admin",
}
PROCS: Final = (
    proc(
        "open",
        authorization={"anyone": True},
        parameters=[
            {"name": "SIZE_GB", "schema": {"type": "integer", "minimum": 10}, "default": 100},
            {"name": "TEXT", "required": False},
            {"name": "HARD", "required": False, "schema": {"type": "string", "pattern": PATTERN}},
            {"name": "TOKEN", "sensitive": True, "required": False},
        ],
    ),
    proc("closed", authorization={"groups": ["dba"]}),
    proc("other", authorization={"groups": ["dba"]}),
)
SCHEDULES: Final = (
    schedule("hers", procRef={"name": "closed"}, cron="0 2 29 2 *"),
    schedule("of-other", procRef={"name": "other"}, cron="0 2 29 2 *"),
)


@dataclass(frozen=True)
class Siege:
    """What a test does as one of those people, and what it finds."""

    installed: Installation
    team: str
    call: Caller
    webhook: OperatorProcess
    operator: RunningOperator
    webhook_config: Path

    @property
    def cluster(self) -> LocalCluster:
        """Its cluster."""
        assert isinstance(self.installed.cluster, LocalCluster)
        return self.installed.cluster

    def create(
        self, who: Person, manifest: Manifest, *, namespace: str = "", query: str = ""
    ) -> Answer:
        """POST the object; nothing is checked or mended on the way."""
        return self.call(
            who, "POST", f"{path_to(manifest['kind'], namespace or self.team)}{query}", manifest
        )

    def change(
        self,
        who: Person,
        name: str,
        body: Manifest | list[Any] | bytes,
        *,
        how: str,
        kind: str = "ProcExecution",
        tail: str = "",
    ) -> Answer:
        """Replace it (`how` is JSON), or patch it with a patch of that type; `tail` comes behind its name."""
        method = "PUT" if how == JSON else "PATCH"
        return self.call(
            who, method, f"{path_to(kind, self.team)}/{name}{tail}", body, content_type=how
        )

    def get(self, kind: str, name: str) -> Manifest:
        """Read an object as the admin."""
        answer = self.call(ADMIN, "GET", f"{path_to(kind, self.team)}/{name}")
        assert answer.code == 200, answer.text
        return answer.body

    def names(self, kind: str, namespace: str = "") -> set[str]:
        """Names of all that is there."""
        found = self.call(ADMIN, "GET", path_to(kind, namespace or self.team)).body["items"]
        return {one["metadata"]["name"] for one in found}


def path_to(kind: str, namespace: str) -> str:
    """Where objects of that kind are."""
    if kind == "Job":
        return f"/apis/batch/v1/namespaces/{namespace}/jobs"
    if kind == "ProcPlugin":
        return f"{API}/procplugins"
    return f"{API}/namespaces/{namespace}/{kind.lower()}s"


@contextmanager
def besieged(
    installed: Installation, database: LocalDatabase, folder: Path, *, team: str
) -> Iterator[Siege]:
    """Admission and an operator at work, people with their roles, procs, and a run of hers."""
    cluster = installed.cluster
    assert isinstance(cluster, LocalCluster)
    with (
        closing(Caller(cluster)) as call,
        webhook_in(installed, database, folder) as webhook,
        operator_in(installed, database, folder, namespace=team, admission=True) as operator,
    ):
        cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(_stage(team)))
        siege = Siege(installed, team, call, webhook, operator, folder / "webhook.yaml")
        _wait_for_rights(siege)
        for written in SCHEDULES:
            assert siege.create(HER, written).code == 201
        hers = execution("hers", of="closed")
        assert siege.create(HER, hers).code == 201
        yield siege


def execution(name: str = "", *, of: str = "open", **spec: Any) -> Manifest:
    """As somebody writes it; without a name it is called `attack-` and something."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": name} if name else {"generateName": "attack-"},
        "spec": {"procRef": {"name": of}} | spec,
    }


def _stage(team: str) -> list[Manifest]:
    level = {"pod-security.kubernetes.io/enforce": "baseline"}
    things: list[Manifest] = [
        _object("Namespace", BASELINE, labels=level),
        _object("Namespace", ELSEWHERE),
        *(one | {"metadata": one["metadata"] | {"namespace": team}} for one in PROCS),
        _in(ELSEWHERE, proc("theirs", authorization={"anyone": True})),
        _in(team, _object("Secret", "not-hers", stringData={"k": "s3cret"})),
        _in(team, _object("ServiceAccount", "powerful")),
    ]
    for namespace in (team, BASELINE):
        things += [_binding(namespace, user, role) for user, role in _ROLES.items()]
    return things


def _object(kind: str, name: str, labels: Manifest | None = None, **fields: Any) -> Manifest:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata} | fields


def _in(namespace: str, manifest: Manifest) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}


def _binding(namespace: str, user: str, role: str) -> Manifest:
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{user.partition('@')[0]}-has-{role}", "namespace": namespace},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
    }


def _wait_for_rights(siege: Siege) -> None:
    """Bindings, and what is aggregated into the cluster's own roles, come into force a moment later."""

    def are_there() -> bool:
        sound = execution("not-stored")
        people = (HER, EVE, EDITOR, PUBLISHER)
        answers = [siege.create(one, sound, query="?dryRun=All") for one in people]
        return all(one.code == 201 for one in answers)

    assert wait_until(are_there, seconds=30, interval=0.3), json.dumps(_ROLES)
