"""The chart, installed in a cluster, as tests use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.requesters import ALICE, flags_of, may_ask
from localcluster.existing import NodeCluster
from localcluster.waiting import wait_until

Manifest = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "proctor"
KINDS = ("procs", "procexecutions", "procschedules", "procplugins")
REQUESTERS = (ALICE, "ada", "$(PROCTOR_NAMESPACE)@example.org")
"""Who asks for executions in tests."""
_SECONDS_TO_BE_READY = 60
_OPERATORS_ALONE = ("identity.proctor.dev", "jobs.proctor.dev")
"""Policies that let the operator's account through, and no other."""


class NotReady(Exception):
    """The API server does not honour what was installed."""


@dataclass(frozen=True)
class Installation:
    """A cluster with the chart in it; `namespace` is the operator's, `team` one for tests."""

    cluster: NodeCluster
    namespace: str
    account: str
    team: str

    @property
    def user(self) -> str:
        """The operator's account, as the API server names it."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def create(self, manifest: Manifest) -> Manifest:
        """Create an object as who asks for it, and return the API server's answer."""
        done = self.cluster.kubectl(
            *("create", "--output=json", "--filename=-", *flags_of(manifest)),
            stdin=json.dumps(self.placed(manifest)),
        )
        answer: Manifest = json.loads(done.stdout)
        return answer

    @property
    def as_operator(self) -> tuple[str, ...]:
        """Flags of somebody with every right and the operator's name, who alone may name other people."""
        return (f"--as={self.user}", "--as-group=system:masters")

    def refusal_of(self, manifest: Manifest, *sender: str) -> str:
        """Why the API server would not create the object; empty when it would. Nothing is stored.

        Whoever asks for it sends it, or the `sender` whom kubectl's flags name.
        """
        who = sender or flags_of(manifest)
        return self.cluster.kubectl(
            *("create", "--dry-run=server", "--output=name", "--filename=-", *who),
            stdin=json.dumps(self.placed(manifest)),
            check=False,
        ).stderr

    def placed(self, manifest: Manifest) -> Manifest:
        """The same object in the namespace for tests, if its kind lives in one."""
        if manifest["kind"] == "ProcPlugin":
            return manifest
        return manifest | {"metadata": {"namespace": self.team} | manifest["metadata"]}


def render(
    cluster: NodeCluster, *settings: str, namespace: str = "proctor-system"
) -> list[Manifest]:
    """Render the chart with real Helm; each setting is one `--set`, or `--set-json` for an empty object."""
    sets = [f"--set{'-json' if one.endswith('={}') else ''}={one}" for one in settings]
    done = cluster.helm("template", "proctor", str(CHART), f"--namespace={namespace}", *sets)
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def install(
    cluster: NodeCluster, *settings: str, namespace: str, team: str, admission: bool = False
) -> Installation:
    """Install the chart as GitOps does, by server-side apply, and wait until it is in force.

    With `admission` its webhook configurations are there, and closed until a webhook runs.
    """
    chosen = (*settings, *(() if admission else ("webhook.install=false",)))
    for name in (namespace, team):
        cluster.kubectl("create", "namespace", name)
    manifests = yaml.safe_dump_all(render(cluster, *chosen, namespace=namespace))
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=manifests)
    requesters = yaml.safe_dump_all(may_ask(*REQUESTERS))
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=requesters)
    crds = [f"customresourcedefinition/{kind}.proctor.dev" for kind in KINDS]
    cluster.kubectl(
        "wait", "--for=condition=Established", f"--timeout={_SECONDS_TO_BE_READY}s", *crds
    )
    installation = Installation(cluster, namespace, account="proctor", team=team)
    _wait("kubectl explain", _explains, installation)
    _wait("the admission policies", _policies_deny, installation)
    _wait("the operator's rights", _account_may, installation)
    return installation


@contextmanager
def another_operator(installed: Installation, another: Installation) -> Iterator[None]:
    """The policies take the account of `another` for the operator's too, as long as this lasts."""
    policies = installed.cluster.kubectl(
        "get", "validatingadmissionpolicies", *_OPERATORS_ALONE, "--output=json"
    ).stdout
    both = policies.replace(f"'{installed.user}'", f"'{installed.user}', '{another.user}'")
    installed.cluster.kubectl("replace", "--filename=-", stdin=both)
    _wait("the policies' new account", _may_name_others, another)
    try:
        yield
    finally:
        now = json.loads(policies)
        for policy in now["items"]:
            del policy["metadata"]["resourceVersion"]
        installed.cluster.kubectl("replace", "--filename=-", stdin=json.dumps(now))


def proc(name: str = "grow-disk", **spec: Any) -> Manifest:
    """A valid Proc, but for what the test writes into its spec."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "Proc",
        "metadata": {"name": name},
        "spec": {
            "description": "Grow the disk of a database replica",
            "image": "registry.example.org/dba/grow-disk:1.4",
        }
        | spec,
    }


def execution(name: str = "grow-1", **spec: Any) -> Manifest:
    """A valid ProcExecution, but for what the test writes into its spec."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": name},
        "spec": {"procRef": {"name": "grow-disk"}} | spec,
    }


def schedule(name: str = "grow-nightly", **spec: Any) -> Manifest:
    """A ProcSchedule that lacks only its time."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcSchedule",
        "metadata": {"name": name},
        "spec": {"procRef": {"name": "grow-disk"}} | spec,
    }


def plugin(name: str = "gate", **spec: Any) -> Manifest:
    """A valid ProcPlugin, but for what the test writes into its spec."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcPlugin",
        "metadata": {"name": name},
        "spec": {
            "transport": {"python": {"entryPoint": "gate"}},
            "hooks": [{"name": "Authorize"}],
        }
        | spec,
    }


def _wait(what: str, is_ready: Callable[[Installation], bool], installation: Installation) -> None:
    if not wait_until(lambda: is_ready(installation), seconds=_SECONDS_TO_BE_READY, interval=0.2):
        raise NotReady(what)


def _explains(installation: Installation) -> bool:
    asked = [installation.cluster.kubectl("explain", f"{kind}.spec", check=False) for kind in KINDS]
    return all(answer.returncode == 0 for answer in asked)


def _policies_deny(installation: Installation) -> bool:
    """Policies come into force a moment after they are stored; both at once.

    They are asked last: with a webhook that does not answer yet, that is what refuses.
    """
    refused = proc(parameters=[{"name": "TOKEN", "sensitive": True, "default": "x"}])
    said = installation.refusal_of(refused)
    return "ValidatingAdmissionPolicy" in said or "failed calling webhook" in said


def _may_name_others(installation: Installation) -> bool:
    """Policies that are changed together come into force together."""
    of_another = execution(requestedBy={"username": "somebody-else"})
    return not installation.refusal_of(of_another, *installation.as_operator)


def _account_may(installation: Installation) -> bool:
    return (
        installation.cluster.kubectl(
            "auth",
            "can-i",
            "list",
            "procs",
            "--all-namespaces",
            f"--as={installation.user}",
            check=False,
        ).stdout.strip()
        == "yes"
    )
