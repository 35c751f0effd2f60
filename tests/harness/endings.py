"""Many executions at once, each brought to its end in its own way, by what really happens to its pods."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, Final

from harness.running import Manifest, RunningOperator, execution, proc
from localcluster.waiting import wait_until

_LOOKS_EVERY_SECONDS: Final = 0.3
_TERMINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled", "TimedOut", "Refused", "Lost"})

Pods = list[Manifest]
Act = Callable[[RunningOperator, str], None]


@dataclass(frozen=True)
class Deed:
    """What somebody does once the pods of a run look so: those of `of`, or its own."""

    when: Callable[[Pods], bool]
    act: Act
    of: str = ""


@dataclass(frozen=True)
class Case:
    """A run, what is done to it, and how it must end: written down by hand, computed by nobody.

    `exit_code` may be `...`: it depends on who is faster. `shows` is a reason that its status must have
    had before the end. With `comes_late` it is asked for by the deed.
    """

    phase: str
    reason: str
    exit_code: int | EllipsisType | None = None
    attempts: int = 1
    says: str = ""
    shows: str = ""
    script: str = "echo hello"
    spec: Mapping[str, Any] = field(default_factory=dict)
    deed: Deed | None = None
    comes_late: bool = False


@dataclass
class Ending:
    """What was seen of a run: all its reasons while it was not over, and its last state."""

    reasons: set[str] = field(default_factory=set)
    last: Manifest = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether its status is final."""
        return self.last.get("status", {}).get("phase") in _TERMINAL


def play(
    operator: RunningOperator, cases: Mapping[str, Case], *, seconds: float
) -> dict[str, Ending]:
    """Do every deed at its moment, and return what was seen until all runs were over.

    Those whose waiting is to be seen come first, so that the others do not keep the node from saying so.
    """
    operator.apply(
        *(proc(name, script=case.script, **case.spec) for name, case in cases.items()),
        *(execution(name, of=name) for name, case in cases.items() if case.shows),
    )
    seen = {name: Ending() for name in cases}
    crowd = [name for name, case in cases.items() if not case.shows and not case.comes_late]
    to_do = {name: case.deed for name, case in cases.items() if case.deed is not None}
    with ThreadPoolExecutor(max_workers=4) as hands:
        doing: list[Future[None]] = []

        def is_over() -> bool:
            _look(operator, seen)
            if crowd and _all_say_why(cases, seen):
                operator.apply(*(execution(name, of=name) for name in crowd))
                crowd.clear()
            pods = _pods_by_execution(operator)
            due = [name for name, deed in to_do.items() if deed.when(pods.get(deed.of or name, []))]
            doing.extend(hands.submit(to_do.pop(name).act, operator, name) for name in due)
            return all(one.is_over for one in seen.values())

        wait_until(is_over, seconds=seconds, interval=_LOOKS_EVERY_SECONDS)
        for done in doing:
            done.result()
    return seen


def _look(operator: RunningOperator, seen: Mapping[str, Ending]) -> None:
    for manifest in operator.list("procexecutions"):
        one = seen.get(manifest["metadata"]["name"])
        if one is not None:
            one.last = manifest
            if not one.is_over:
                one.reasons.add(manifest.get("status", {}).get("reason", ""))


def _all_say_why(cases: Mapping[str, Case], seen: Mapping[str, Ending]) -> bool:
    return all(
        case.shows in seen[name].reasons or seen[name].is_over
        for name, case in cases.items()
        if case.shows
    )


def _pods_by_execution(operator: RunningOperator) -> dict[str, Pods]:
    pods: dict[str, Pods] = {}
    for pod in operator.list("pods"):
        name = pod["metadata"].get("labels", {}).get("proctor.dev/execution", "")
        pods.setdefault(name, []).append(pod)
    return pods


def is_running(pods: Pods) -> bool:
    """The container of the proc runs in one of the pods."""
    return any("running" in _state(pod) for pod in pods)


def says_why_it_waits(pods: Pods) -> bool:
    """The kubelet has said why the container does not start."""
    return any(_state(pod).get("waiting", {}).get("message") for pod in pods)


def _state(pod: Manifest) -> Manifest:
    statuses = pod["status"].get("containerStatuses", [])
    return next((one["state"] for one in statuses if one["name"] == "proc"), {})


def ask_for(operator: RunningOperator, name: str) -> None:
    """Ask for the run."""
    operator.apply(execution(name, of=name))


def delete_pod(*flags: str) -> Act:
    """As a person with kubectl would."""

    def act(operator: RunningOperator, name: str) -> None:
        operator.kubectl(
            "delete", "pod", f"--selector=proctor.dev/execution={name}", "--wait=false", *flags
        )

    return act


def delete_job(cascade: str) -> Act:
    """As a person with kubectl would: `background`, `foreground` or `orphan`."""

    def act(operator: RunningOperator, name: str) -> None:
        selector = f"--selector=proctor.dev/execution={name}"
        operator.kubectl("delete", "job", selector, f"--cascade={cascade}", "--wait=false")

    return act


def evict(operator: RunningOperator, name: str) -> None:
    """Put its pod out as `kubectl drain` does."""
    (pod,) = operator.list("pods", f"proctor.dev/execution={name}")
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    operator.cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))


def wish(value: str) -> Act:
    """Put a word into the Secret of that run's name, which its next container gets."""

    def act(operator: RunningOperator, name: str) -> None:
        operator.apply(secret(name, value))

    return act


def unwish(operator: RunningOperator, name: str) -> None:
    """Take that Secret away."""
    operator.kubectl("delete", "secret", name)


def then_end_it(before: Act) -> Act:
    """Do something, and only then end the container: the next one finds it done, however slow all is."""

    def act(operator: RunningOperator, name: str) -> None:
        before(operator, name)
        (pod,) = operator.list("pods", f"proctor.dev/execution={name}")
        place = (f"--namespace={operator.namespace}", pod["metadata"]["name"])
        # The shell goes with its container, which kubectl calls a failure.
        operator.cluster.kubectl("exec", *place, "--", "/bin/sh", "-c", "kill 1", check=False)

    return act


def secret(name: str, value: str) -> Manifest:
    """A Secret whose key `wish` holds a word."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"wish": value},
    }
