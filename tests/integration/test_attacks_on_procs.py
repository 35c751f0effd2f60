"""What somebody tries with procs, schedules and plugins: each refused in words."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chart.installation import plugin, proc, schedule
from harness.callers import MERGE, Person, refused
from harness.requesters import ALICE
from harness.siege import (
    AUTHOR,
    BASELINE,
    EDITOR,
    EVE,
    HER,
    PUBLISHER,
    Siege,
    path_to,
)
from localcluster.waiting import wait_until

Manifest = dict[str, Any]
REFUSED_PARAMETERS: Final = (
    *("LD_PRELOAD", "ld_preload", "PATH", "PYTHONPATH", "BASH_ENV", "NODE_OPTIONS"),
    *("HTTPS_PROXY", "no_proxy", "KUBERNETES_SERVICE_HOST", "PROCTOR_REQUESTER", "USER_EMAIL"),
)


def pod(**spec: Any) -> Manifest:
    return {"podTemplate": {"spec": spec}}


def container(**fields: Any) -> Manifest:
    return pod(containers=[{"name": "proc", **fields}])


ESCAPES: dict[str, tuple[Manifest, str]] = {
    "is privileged": (container(securityContext={"privileged": True}), "privileged"),
    "sees the node's files": (
        pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
        "hostPath",
    ),
    "is in the node's network": (pod(hostNetwork=True), "hostNetwork"),
    "sees the node's processes": (pod(hostPID=True), "hostPID"),
    "shares the node's memory": (pod(hostIPC=True), "hostIPC"),
    "may load modules": (
        container(securityContext={"capabilities": {"add": ["SYS_MODULE"]}}),
        "SYS_MODULE",
    ),
    "listens at the node's port": (
        container(ports=[{"containerPort": 80, "hostPort": 80}]),
        "hostPort",
    ),
    "has a privileged helper": (
        pod(initContainers=[{"name": "h", "image": "x", "securityContext": {"privileged": True}}]),
        "privileged",
    ),
}


@pytest.mark.parametrize("namespace", ["", BASELINE], ids=["restricted", "baseline"])
@pytest.mark.parametrize(("spec", "words"), ESCAPES.values(), ids=ESCAPES)
def test_no_pod(siege: Siege, namespace: str, spec: Manifest, words: str) -> None:
    answer = siege.create(PUBLISHER, proc("escape", **spec), namespace=namespace)

    refused(answer, words)
    assert "Pod Security level" in answer.message


def test_what_only_restricted_forbids_is_refused_there(siege: Siege) -> None:
    rootly = proc("rootly", **container(securityContext={"runAsUser": 0}))

    refused(siege.create(PUBLISHER, rootly), "runAsUser")
    assert siege.create(PUBLISHER, rootly, namespace=BASELINE, query="?dryRun=All").code == 201


def test_an_author_without_the_right_to_create_jobs_publishes_nothing(siege: Siege) -> None:
    refused(siege.create(AUTHOR, proc("new")), "the right to create jobs")
    image = {"spec": {"image": "registry.example.org/evil:1"}}
    refused(siege.change(AUTHOR, "open", image, how=MERGE, kind="Proc"), "the right to create jobs")
    refused(siege.create(AUTHOR, proc("new"), query="?dryRun=All"), "the right to create jobs")


def test_a_proc_may_use_any_service_account_of_its_namespace_if_its_author_may_create_jobs(
    siege: Siege,
) -> None:
    """By design: such an author could make a Job with it by hand. Nobody else can."""
    powerful = proc("powerful", serviceAccountName="powerful")

    assert siege.create(PUBLISHER, powerful, query="?dryRun=All").code == 201
    refused(siege.create(AUTHOR, powerful), "the right to create jobs")
    refused(siege.create(EDITOR, powerful), "cannot create resource")


@pytest.mark.parametrize("name", REFUSED_PARAMETERS)
@pytest.mark.parametrize("field", ["parameters", "secrets"])
def test_no_proc_hands_out(siege: Siege, field: str, name: str) -> None:
    one: Manifest = {"name": name}
    if field == "secrets":
        one["secretKeyRef"] = {"name": "s", "key": "k"}

    refused(siege.create(PUBLISHER, proc("steered", **{field: [one]})), name)


MISTAKES: dict[str, tuple[Manifest, str]] = {
    "a name with a blank": ({"parameters": [{"name": "A B"}]}, "spec.parameters"),
    "a name that assigns": ({"parameters": [{"name": "A=B"}]}, "spec.parameters"),
    "one name twice": ({"parameters": [{"name": "A"}, {"name": "A"}]}, "spec.parameters"),
    "the name of a secret": (
        {
            "parameters": [{"name": "A"}],
            "secrets": [{"name": "A", "secretKeyRef": {"name": "s", "key": "k"}}],
        },
        "A",
    ),
    "a pattern that looks back": (
        {"parameters": [{"name": "A", "schema": {"type": "string", "pattern": r"(a)\1"}}]},
        "pattern",
    ),
    "a pattern that explodes": (
        {
            "parameters": [
                {"name": "A", "schema": {"type": "string", "pattern": "((a{1000}){1000}){1000}"}}
            ]
        },
        "pattern",
    ),
    "a default for a secret": (
        {"parameters": [{"name": "A", "sensitive": True, "default": "hunter2"}]},
        "sensitive",
    ),
    "a default of another type": (
        {"parameters": [{"name": "A", "default": "x", "schema": {"type": "integer"}}]},
        "default",
    ),
    "a Secret of another namespace": (
        {
            "secrets": [
                {"name": "A", "secretKeyRef": {"name": "x/y", "key": "k"}},
            ]
        },
        "secretKeyRef",
    ),
}


@pytest.mark.parametrize(("spec", "words"), MISTAKES.values(), ids=MISTAKES)
def test_no_proc_has(siege: Siege, spec: Manifest, words: str) -> None:
    refused(siege.create(PUBLISHER, proc("mistaken", **spec)), words)


@pytest.mark.parametrize("who", [EVE, EDITOR, AUTHOR, PUBLISHER], ids=lambda one: one.username)
def test_nobody_below_the_cluster_s_admins_brings_a_plugin(siege: Siege, who: Person) -> None:
    refused(siege.create(who, plugin("mine")), "cannot create resource")
    refused(siege.create(who, plugin("mine"), query="?dryRun=All"), "cannot create resource")


PLANNED: dict[str, tuple[Manifest, str]] = {
    "of what only others may run": ({}, "not among those who may run"),
    "in her name": ({"requestedBy": {"username": ALICE}}, "spec.requestedBy"),
    "with an argument that there is not": (
        {"procRef": {"name": "open"}, "arguments": {"LD_PRELOAD": "x"}},
        "declares no such parameter",
    ),
    "with a Secret that they may not read": (
        {
            "procRef": {"name": "open"},
            "argumentsFrom": [{"name": "TOKEN", "secretKeyRef": {"name": "not-hers", "key": "k"}}],
        },
        "'not-hers'",
    ),
    "of a proc elsewhere": ({"procRef": {"name": "theirs"}}, "no proc 'theirs'"),
    "of a proc by a path": (
        {"procRef": {"name": "../../elsewhere/procs/theirs"}},
        "spec.procRef.name",
    ),
}


@pytest.mark.parametrize(("spec", "words"), PLANNED.values(), ids=PLANNED)
def test_no_schedule(siege: Siege, spec: Manifest, words: str) -> None:
    whole = {"procRef": {"name": "closed"}, "cron": "0 1 * * *"} | spec

    refused(siege.create(EVE, schedule("attack", **whole)), words)


TAKEN: dict[str, tuple[Manifest, str]] = {
    "has it run at once": ({"cron": "* * * * *"}, "not among those who may run"),
    "gives it an argument": ({"arguments": {"A": 1}}, "declares no such parameter"),
    "names bob": ({"requestedBy": {"username": "bob"}}, "spec.requestedBy"),
    "takes it over": (
        {"procRef": {"name": "other"}, "requestedBy": {"username": ALICE, "groups": ["dba"]}},
        "spec.requestedBy",
    ),
    "switches it off": ({"suspend": True}, "spec.suspend: only the schedule's author"),
    "has it run another proc of hers": ({"procRef": {"name": "other"}}, "not among those"),
}


@pytest.mark.parametrize(("spec", "words"), TAKEN.values(), ids=TAKEN)
def test_of_her_schedule_nobody(siege: Siege, spec: Manifest, words: str) -> None:
    before = siege.get("ProcSchedule", "hers")["spec"]
    changed = {"spec": spec}

    refused(siege.change(EVE, "hers", changed, how=MERGE, kind="ProcSchedule"), words)
    assert siege.get("ProcSchedule", "hers")["spec"] == before


def test_who_takes_a_schedule_over_answers_for_it(siege: Siege) -> None:
    """Without a forged name: what runs then runs with their rights, not with hers."""
    assert (
        siege.create(HER, schedule("handed", procRef={"name": "closed"}, cron="0 2 * * *")).code
        == 201
    )
    change = {"spec": {"procRef": {"name": "open"}}}
    done = siege.change(EVE, "handed", change, how=MERGE, kind="ProcSchedule")

    assert done.code == 200, done.text
    assert done.body["spec"]["requestedBy"]["username"] == "eve"


def test_after_all_of_that_nothing_new_is_there(siege: Siege) -> None:
    """The operator is at work: the one run that may be has its Job by now."""
    assert wait_until(lambda: len(siege.names("Job")) == 1, seconds=20, interval=0.2)
    assert siege.names("Proc") == {"open", "closed", "other"}
    assert siege.names("Proc", BASELINE) == set()
    assert siege.names("ProcSchedule") == {"hers", "of-other", "handed"}
    assert siege.names("ProcExecution") == {"hers"}
    assert siege.call(Person(), "GET", path_to("ProcPlugin", "")).body["items"] == []
