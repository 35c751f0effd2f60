"""What somebody tries with procs, schedules, plugins, and the webhook's own port: each refused in words."""

from __future__ import annotations

import copy
import http.client
import json
import random
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from chart.installation import Installation, plugin, proc, schedule
from harness.callers import MERGE, Answer, Person
from harness.operator_process import OperatorProcess, write_config
from harness.requesters import ALICE
from harness.siege import (
    AUTHOR,
    BASELINE,
    EDITOR,
    EVE,
    HER,
    PUBLISHER,
    Siege,
    besieged,
    execution,
    path_to,
)
from localcluster.certificates import Authority, write_private
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase

Manifest = dict[str, Any]
REFUSED_PARAMETERS: Final = (
    *("LD_PRELOAD", "ld_preload", "PATH", "PYTHONPATH", "BASH_ENV", "NODE_OPTIONS"),
    *("HTTPS_PROXY", "no_proxy", "KUBERNETES_SERVICE_HOST", "PROCTOR_REQUESTER", "USER_EMAIL"),
)


@pytest.fixture(scope="module")
def siege(
    admitting: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Siege]:
    with besieged(
        admitting, module_database, tmp_path_factory.mktemp("siege"), team="procs-attacked"
    ) as stage:
        yield stage


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


def of_eve(step: str, **request: Any) -> Manifest:
    """What the API server would send of her attempt at a proc of others."""
    manifest = execution("direct", of="closed")
    if step == "validate":
        manifest["spec"]["requestedBy"] = {"username": "eve", "groups": ["dev"]}
    where = {"group": "proctor.dev", "version": "v1alpha1"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "review-1",
            "kind": {**where, "kind": "ProcExecution"},
            "resource": {**where, "resource": "procexecutions"},
            "name": "direct",
            "namespace": "procs-attacked",
            "operation": "CREATE",
            "userInfo": {"username": "eve", "groups": ["dev"]},
            "object": manifest,
            "dryRun": True,
        }
        | request,
    }


JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "x",
    "\0",
    "CREATE",
    "DELETE",
    [],
    [[]],
    {},
    {"a": 1},
)


def broken(body: Any, chance: random.Random) -> Any:
    """The same with something in it gone, or turned into something else."""
    found = copy.deepcopy(body)
    for _ in range(chance.randint(1, 4)):
        part = found
        while isinstance(part, dict) and part:
            key = chance.choice(sorted(part))
            if not isinstance(part[key], dict) or chance.random() < 0.3:
                if chance.random() < 0.4:
                    del part[key]
                else:
                    part[key] = copy.deepcopy(chance.choice(JUNK))
                break
            part = part[key]
    return found


def test_no_review_that_anybody_makes_up_is_allowed_by_accident(siege: Siege) -> None:
    """From one that must be denied, by steps at random; the seed is in the message."""
    chance = random.Random(seed := random.randrange(2**32))
    with closing(to_webhook(siege.webhook)) as connection:
        for path in ("/validate/procexecutions", "/validate/procschedules", "/validate/procs"):
            assert denied(connection, path, of_eve("validate"))
            for _ in range(150):
                body = broken(of_eve("validate"), chance)
                assert denied(connection, path, body), f"{seed=} {path} {body}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"allowed"',
        b"\xff\xfe",
        b'{"kind":"AdmissionReview"}',
        b"[" * 5000,
    ],
)
def test_no_body_that_is_no_review_gets_an_answer(siege: Siege, body: bytes) -> None:
    with closing(to_webhook(siege.webhook)) as connection:
        assert ask(connection, "/validate/procexecutions", body)[0] == 400


def test_with_client_certificates_only_the_api_server_is_served(
    siege: Siege, tmp_path: Path
) -> None:
    authority, other = Authority.create("for-the-api-server"), Authority.create("somebody-else")
    (tmp_path / "ca.crt").write_bytes(authority.pair.certificate)
    settings = json.loads(siege.webhook_config.read_text())
    settings["webhook"] |= {"client_ca_file": str(tmp_path / "ca.crt"), "port": 0}
    config = write_config(tmp_path / "webhook.yaml", settings)
    closed = OperatorProcess.start("webhook", config=config, log=tmp_path / "webhook.log")
    try:
        assert served(closed, authority, tmp_path)
        assert not served(closed, other, tmp_path)
        assert not served(closed, None, tmp_path)
    finally:
        closed.kill()


def served(webhook: OperatorProcess, authority: Authority | None, folder: Path) -> bool:
    with closing(to_webhook(webhook, authority, folder)) as connection:
        try:
            body = json.dumps(of_eve("validate")).encode()
            return ask(connection, "/validate/procexecutions", body)[0] == 200
        except OSError:
            # TLS 1.3 tells of it with the first answer.
            return False


def to_webhook(
    webhook: OperatorProcess, authority: Authority | None = None, folder: Path | None = None
) -> http.client.HTTPSConnection:
    (port,) = (one["port"] for one in webhook.log_events() if one["event"] == "Webhook serves")
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if authority is not None and folder is not None:
        pair = authority.client("kube-apiserver")
        (folder / "client.crt").write_bytes(pair.certificate)
        (folder / "client.key").unlink(missing_ok=True)
        write_private(folder / "client.key", pair.key)
        tls.load_cert_chain(folder / "client.crt", folder / "client.key")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=tls)


def denied(connection: http.client.HTTPSConnection, path: str, body: Manifest) -> bool:
    code, text = ask(connection, path, json.dumps(body).encode())
    if code != 200:
        return 400 <= code < 500
    found: Manifest = json.loads(text)
    return found["response"]["allowed"] is False


def ask(connection: http.client.HTTPSConnection, path: str, body: bytes) -> tuple[int, str]:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_after_all_of_that_nothing_new_is_there(siege: Siege) -> None:
    """The operator is at work: the one run that may be has its Job by now."""
    assert wait_until(lambda: len(siege.names("Job")) == 1, seconds=20, interval=0.2)
    assert siege.names("Proc") == {"open", "closed", "other"}
    assert siege.names("Proc", BASELINE) == set()
    assert siege.names("ProcSchedule") == {"hers", "of-other", "handed"}
    assert siege.names("ProcExecution") == {"hers"}
    assert siege.call(Person(), "GET", path_to("ProcPlugin", "")).body["items"] == []


def refused(answer: Answer, words: str) -> None:
    assert answer.is_refusal, (answer.code, answer.text)
    assert words in answer.message, answer.message
