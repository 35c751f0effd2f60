"""Each right of the operator is taken away at run time, and given back (F25).

One operator serves many namespaces, and in each of them it lacks another right: so every right is tried in
one go, and it shows as well that a namespace without a right holds up no other. Left out are the Lease's
rights (the election's own tests) and `procexecutions/finalizers`, which only an admission plugin asks for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest

from chart import golden
from chart.golden import Right
from chart.installation import Installation, another_operator
from harness.pods import pod_of, report_ended, report_running
from harness.requesters import ALICE
from harness.running import Manifest, RunningOperator, condition, execution, operator_in, proc
from localcluster.errors import LocalClusterError
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import SystemClock

HOME: Final = "rights"
"""Where the account lives, and its Lease."""
ACCOUNT: Final = "limited"
RECOVERED_WITHIN_SECONDS: Final = 60
SHOWN_WITHIN_SECONDS: Final = 150
"""An Event is told again after a minute, and Kopf's tries become rare."""

MORE_THAN_KOPF_TRIES: Final = 10
"""By itself it gives up after as many tries as it has delays, and the process with it."""

pytestmark = pytest.mark.timeout(900)


def nothing(_: RunningOperator) -> None: ...


def begin(operator: RunningOperator) -> None:
    """A run whose Job and pod are there."""
    operator.apply(proc(), execution())
    pod_of(operator, "hello-1", seconds=60)


def begin_and_end(operator: RunningOperator) -> None:
    begin(operator)
    end(operator)
    operator.wait_for_phase("hello-1", "Succeeded")


def end(operator: RunningOperator) -> None:
    report_ended(operator, pod_of(operator, "hello-1"))


def request(operator: RunningOperator) -> None:
    operator.apply(execution())


def keep_none(operator: RunningOperator) -> None:
    operator.apply(proc(history={"succeeded": 0}))


def run_one(operator: RunningOperator) -> None:
    request(operator)
    end(operator)
    operator.wait_for_phase("hello-1", "Succeeded")


def request_another(operator: RunningOperator) -> None:
    operator.apply(execution("hello-2"))


def cancel(operator: RunningOperator) -> None:
    operator.kubectl(
        "patch", "procexecution", "hello-1", "--type=merge", '--patch={"spec": {"cancel": true}}'
    )


def delete_execution(operator: RunningOperator) -> None:
    operator.kubectl("delete", "procexecution", "hello-1", "--wait=false")


def delete_job(operator: RunningOperator) -> None:
    operator.kubectl("delete", "job", "--all", "--wait=false")


def publish(operator: RunningOperator) -> None:
    operator.apply(proc())


def plan(operator: RunningOperator) -> None:
    spec = {"procRef": {"name": "hello"}, "cron": "0 1 * * *", "timeZone": "Etc/UTC"}
    operator.apply(
        {
            "apiVersion": "proctor.dev/v1alpha1",
            "kind": "ProcSchedule",
            "metadata": {"name": "nightly"},
            "spec": spec,
        }
    )


def plan_for_now(operator: RunningOperator) -> None:
    """What comes late by more than a minute, for want of the right, comes all the same."""
    at = SystemClock().now() + timedelta(seconds=3)
    operator.apply(
        {
            "apiVersion": "proctor.dev/v1alpha1",
            "kind": "ProcSchedule",
            "metadata": {"name": "now"},
            "spec": {
                "procRef": {"name": "hello"},
                "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "catchUp": {"policy": "Last"},
                "requestedBy": {"username": ALICE, "groups": ["dba"]},
            },
        }
    )


def mistake(operator: RunningOperator) -> None:
    operator.apply(proc(logs={"mask": ["("]}))
    ready_is(operator, "InvalidSpec")


def mend_and_mistake(operator: RunningOperator) -> None:
    """The same Event is told a second time."""
    operator.kubectl("patch", "proc", "hello", "--type=merge", '--patch={"spec":{"logs":null}}')
    ready_is(operator, "Runnable")
    mistake(operator)


def ready_is(operator: RunningOperator, reason: str) -> None:
    path = '{.status.conditions[?(@.type=="Ready")].reason}'
    operator.wait_for("proc", "hello", path, reason)


def phase_is(*phases: str) -> Callable[[RunningOperator], bool]:
    return lambda operator: phase_of(operator) in phases


def phase_of(operator: RunningOperator) -> str:
    found = operator.list("procexecutions")
    return str(found[0]["status"].get("phase")) if found else "gone"


def has_conditions(kind: str) -> Callable[[RunningOperator], bool]:
    return lambda operator: all(
        one.get("status", {}).get("conditions") for one in operator.list(kind)
    )


def has_let_its_job_go(operator: RunningOperator) -> bool:
    return not any(
        "proctor.dev/record" in job["metadata"].get("finalizers", ())
        for job in operator.list("jobs")
    )


def has_told(operator: RunningOperator) -> bool:
    return any(one["reason"] == "ProcNotFound" for one in operator.list("events"))


def has_counted(operator: RunningOperator) -> bool:
    counts = [one["count"] for one in operator.list("events") if one["reason"] == "InvalidSpec"]
    return max(counts, default=0) > 1


def lists_are_complete(operator: RunningOperator) -> bool:
    return "lists: ok" in operator.ask("/readyz")[1]


@dataclass(frozen=True)
class Case:
    """How a right comes to be needed, and what there is when it is back. `call` is how metrics name its use."""

    right: Right
    need: Callable[[RunningOperator], None]
    is_well: Callable[[RunningOperator], bool]
    call: str
    before: Callable[[RunningOperator], None] = nothing
    again: Callable[[RunningOperator], None] = nothing
    """An Event that could not be told is given up; the next one must come through."""

    @property
    def namespace(self) -> str:
        return f"no-{self.right.verb}-{self.right.resource.replace('/', '-')}"


def case(
    verb: str,
    resource: str,
    need: Callable[[RunningOperator], None],
    is_well: Callable[[RunningOperator], bool],
    *,
    before: Callable[[RunningOperator], None] = nothing,
    again: Callable[[RunningOperator], None] = nothing,
) -> Case:
    methods = {"create": "POST", "patch": "PATCH", "delete": "DELETE", "watch": "WATCH"}
    (right,) = [
        one for one in golden.IN_WATCHED_NAMESPACES if (one.verb, one.resource) == (verb, resource)
    ]
    return Case(right, need, is_well, f"{methods.get(verb, 'GET')} {resource}", before, again)


KINDS: Final = ("procs", "procexecutions", "procschedules", "jobs", "pods")
CASES: Final = (
    case("patch", "procs/status", publish, has_conditions("procs")),
    case("patch", "procschedules/status", plan, has_conditions("procschedules")),
    case("patch", "procexecutions/status", end, phase_is("Succeeded"), before=begin),
    case("create", "jobs", request, phase_is("Running", "Succeeded"), before=publish),
    case("patch", "jobs", end, has_let_its_job_go, before=begin),
    case("delete", "jobs", cancel, phase_is("Cancelled"), before=begin),
    case("get", "jobs", cancel, phase_is("Cancelled"), before=begin),
    case("delete", "pods", cancel, phase_is("Cancelled"), before=begin),
    case("get", "procexecutions", delete_job, phase_is("Failed"), before=begin),
    case("patch", "procexecutions", delete_execution, phase_is("gone"), before=begin_and_end),
    case("create", "procexecutions", plan_for_now, phase_is("Pending", "Running"), before=publish),
    case("delete", "procexecutions", run_one, phase_is("gone"), before=keep_none),
    case("get", "procs", request, phase_is("Refused")),
    case("get", "pods/log", end, phase_is("Succeeded"), before=begin),
    case("create", "events", request, has_told, again=request_another),
    case("patch", "events", mend_and_mistake, has_counted, before=mistake, again=mend_and_mistake),
    *(case("list", kind, nothing, lists_are_complete) for kind in KINDS),
)
UNUSED: Final = {
    ("get", "pods"): "pods are listed, which tells of the gone ones too",
    (
        "get",
        "procschedules",
    ): "schedules are listed and watched, and their status comes back from a patch",
    (
        "update",
        "procexecutions/finalizers",
    ): "only OwnerReferencesPermissionEnforcement asks for it",
}
WATCHES: Final = {("watch", kind) for kind in KINDS}


class Rights:
    """The operator's roles, one in each namespace, so that one of them can lack something."""

    def __init__(self, operator: RunningOperator) -> None:
        self._cluster = operator.cluster

    def grant(self, namespace: str, rights: Iterable[Right]) -> None:
        self._apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            *role(namespace, rights),
        )

    def grant_all_but(self, missing: Case) -> None:
        self.grant(missing.namespace, golden.IN_WATCHED_NAMESPACES - {missing.right})

    def give_back(self, missing: Case) -> None:
        self.grant(missing.namespace, golden.IN_WATCHED_NAMESPACES)

    def _apply(self, *manifests: Manifest) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self._cluster.kubectl("apply", "--filename=-", stdin=text)


def role(namespace: str, rights: Iterable[Right], kind: str = "Role") -> list[Manifest]:
    metadata = {"name": ACCOUNT} | ({"namespace": namespace} if kind == "Role" else {})
    api = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{api}/v1",
            "kind": kind,
            "metadata": metadata,
            "rules": [
                {"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]}
                for one in sorted(rights)
            ],
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": kind, "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": HOME}],
        },
    ]


def refusals(operator: RunningOperator) -> Counter[str]:
    """Calls that were answered 403, by method and resource."""
    return answers(operator, "403")


def answers(operator: RunningOperator, code: str) -> Counter[str]:
    """Calls with that answer, by method and resource."""
    found: Counter[str] = Counter()
    for line in operator.ask("/metrics")[1].splitlines():
        if not line.startswith("proctor_cluster_request_duration_seconds_count{"):
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if labels["code"] == code:
            found[f"{labels['verb']} {labels['resource']}"] += int(float(line.split()[-1]))
    return found


@pytest.fixture(scope="module")
def operator(
    installed: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningOperator]:
    """An operator with all rights in every namespace of the cases, and no process yet."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": HOME},
    }
    home = replace(installed, namespace=HOME, account=ACCOUNT)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}
    manifests: list[Any] = [made, account]
    manifests += role(HOME, golden.IN_ITS_OWN_NAMESPACE)
    manifests += role("", golden.IN_THE_CLUSTER, kind="ClusterRole")
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    installed.cluster.kubectl("apply", "--filename=-", stdin=text)
    namespaces = [one.namespace for one in CASES]
    settings: dict[str, dict[str, Any]] = {
        # Rounds as often as settings allow: a list that is refused shows in the next one.
        "kubernetes": {"namespaces": namespaces, "list_every_seconds": 5},
        # The kubelet that is played here tells of ends long ago.
        "retention": {"keep_seconds": 0, "ttl_seconds": -1},
    }
    folder = tmp_path_factory.mktemp(HOME)
    with (
        another_operator(installed, home),
        operator_in(
            home, module_database, folder, namespace=HOME, settings=settings, start=False
        ) as running,
    ):
        yield running


def test_every_right_is_tried_here_or_has_a_reason() -> None:
    tried = {(one.right.verb, one.right.resource) for one in CASES}
    all_of_them = {(one.verb, one.resource) for one in golden.IN_WATCHED_NAMESPACES}

    assert all_of_them == tried | UNUSED.keys() | WATCHES
    assert not tried & (UNUSED.keys() | WATCHES)


def test_a_right_that_is_missing_shows_and_its_return_is_noticed_within_a_minute(
    operator: RunningOperator,
) -> None:
    rights = Rights(operator)
    for one in CASES:
        rights.give_back(one)
    operator.start()
    at = {one: replace(operator, namespace=one.namespace) for one in CASES}
    for one in CASES:
        one.before(at[one])

    for one in CASES:
        rights.grant_all_but(one)
    wait_for(lambda: not [one for one in CASES if may(operator, one)], "the rights are gone", 30)
    for one in CASES:
        one.need(at[one])

    calls = {one.call for one in CASES}
    wait_for(
        lambda: calls <= refusals(operator).keys(),
        calls_missing(operator, calls),
        SHOWN_WITHIN_SECONDS,
    )
    wait_for(lambda: has_said_why(at), "the Job's refusal in a status", 30)
    assert operator.ask("/livez") == (200, "alive: ok\n")
    assert "cannot list resource" in operator.ask("/readyz")[1]
    assert_that_it_lives(operator)
    wait_for(
        lambda: all(says_what_is_missing(at[one], one) for one in CASES),
        lambda: [one.namespace for one in CASES if not says_what_is_missing(at[one], one)],
        SHOWN_WITHIN_SECONDS,
    )

    for one in CASES:
        rights.give_back(one)
    for one in CASES:
        one.again(at[one])
    well: set[Case] = set()

    def are_well() -> bool:
        well.update(one for one in set(CASES) - well if one.is_well(at[one]))
        if one := next((one for one in CASES if one.call == "POST jobs"), None):
            start_what_waits(at[one])
        return well == set(CASES)

    wait_for(are_well, lambda: [c.namespace for c in set(CASES) - well], RECOVERED_WITHIN_SECONDS)
    assert_that_it_lives(operator)


def test_a_watch_that_is_refused_ends_no_process_and_opens_soon_after_its_right_is_back(
    operator: RunningOperator,
) -> None:
    rights = Rights(operator)
    places = {f"WATCH {kind}": f"no-list-{kind}" for kind in KINDS}
    for kind in KINDS:
        watching = {one for one in golden.IN_WATCHED_NAMESPACES if one[1:3] == (kind, "watch")}
        rights.grant(f"no-list-{kind}", golden.IN_WATCHED_NAMESPACES - watching)
    operator.stop()
    operator.start()

    def are_refused() -> bool:
        found = refusals(operator)
        return all(found[call] >= MORE_THAN_KOPF_TRIES for call in places)

    wait_for(are_refused, lambda: refusals(operator), SHOWN_WITHIN_SECONDS)
    assert_that_it_lives(operator)
    assert operator.ask("/livez") == (200, "alive: ok\n")
    opened = answers(operator, "200")

    for namespace in places.values():
        rights.grant(namespace, golden.IN_WATCHED_NAMESPACES)

    def are_open() -> bool:
        found = answers(operator, "200")
        return all(found[call] > opened[call] for call in places)

    wait_for(are_open, lambda: answers(operator, "200"), RECOVERED_WITHIN_SECONDS)
    assert_that_it_lives(operator)


def has_said_why(at: dict[Case, RunningOperator]) -> bool:
    (waiting,) = [where for one, where in at.items() if one.call == "POST jobs"]
    (found,) = waiting.list("procexecutions")
    return bool(found["status"].get("reason") == "JobForbidden")


def start_what_waits(operator: RunningOperator) -> None:
    if operator.list("jobs") and phase_of(operator) == "Pending":
        report_running(operator, pod_of(operator, "hello-1"))


def says_what_is_missing(operator: RunningOperator, one: Case) -> bool:
    """The API server's own words, in the log or in the status of whom it concerns.

    An output that may not be read is no trouble of the run: its condition says that there is none.
    """
    if one.right.resource == "pods/log":
        operator.wait_for_phase("hello-1", "Succeeded")
        captured = condition(operator.get("procexecution", "hello-1"), "LogsCaptured")
        return bool(captured["status"] == "False")
    said = f"cannot {one.right.verb} resource '{one.right.resource}'"
    log = operator.log.read_text().replace('\\"', "'")
    told = [*operator.list("procexecutions"), *operator.list("procschedules")]
    statuses = json.dumps([found.get("status") for found in told])
    return said in log or said in statuses.replace('\\"', "'")


def calls_missing(operator: RunningOperator, calls: set[str]) -> Callable[[], object]:
    return lambda: calls - refusals(operator).keys()


def may(operator: RunningOperator, one: Case) -> bool:
    group, resource, verb = one.right[:3]
    resource, _, sub = resource.partition("/")
    kind = f"{resource}.{group}" if group else resource
    asked = operator.cluster.kubectl(
        *("auth", "can-i", verb, kind, f"--namespace={one.namespace}"),
        *((f"--subresource={sub}",) if sub else ()),
        f"--as=system:serviceaccount:{HOME}:{ACCOUNT}",
        check=False,
    )
    return asked.stdout.strip() == "yes"


def assert_that_it_lives(operator: RunningOperator) -> None:
    assert operator.process is not None
    assert operator.process.process.poll() is None, "no crash, and so no crash loop"


def wait_for(check: Callable[[], bool], what: object, seconds: float) -> None:
    def looks() -> bool:
        try:
            return check()
        except LocalClusterError:
            return False

    if not wait_until(looks, seconds=seconds, interval=1):
        said = what() if callable(what) else what
        raise AssertionError(f"not within {seconds} s: {said}")
