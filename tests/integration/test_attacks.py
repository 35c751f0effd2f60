"""What somebody who may create executions tries with them: each row another idea, each refused in words.

Through the real API server, webhook and policies, as an ordinary user, with an operator at work that would run
whatever got past them. The last test looks at what ran.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from harness.callers import ADMIN, APPLY, JSON, JSON_PATCH, MERGE, refused
from harness.requesters import ALICE
from harness.siege import API, EDITOR, ELSEWHERE, EVE, HER, Siege, execution
from localcluster.waiting import wait_until

Manifest = dict[str, Any]

SHE: Final = {"username": ALICE, "groups": ["dba"]}
ME: Final = {"username": "eve", "uid": "9", "groups": ["dev", "system:authenticated"], "via": "API"}
IDENTITY: Final = "spec.requestedBy"
OPERATOR: Final = "system:serviceaccount:proctor-system:proctor"
UNDECLARED: Final = "declares no such parameter"
MINE: Final = "of proctor.dev"
STAMPED: Final = "was stamped when the execution was made and never changes"
DEADLINE_SECONDS: Final = 10.0


FORGED: dict[str, tuple[Manifest, str]] = {
    "asks in her name": ({"requestedBy": SHE}, IDENTITY),
    "asks in her name for a proc of hers": (
        {"procRef": {"name": "closed"}, "requestedBy": SHE},
        IDENTITY,
    ),
    "asks in the operator's name": ({"requestedBy": {"username": OPERATOR}}, IDENTITY),
    "adds a group": ({"requestedBy": {**ME, "groups": [*ME["groups"], "dba"]}}, IDENTITY),
    "adds the admins' group": ({"requestedBy": {**ME, "groups": ["system:masters"]}}, IDENTITY),
    "leaves a group out": ({"requestedBy": {**ME, "groups": ["dev"]}}, IDENTITY),
    "has another UID": ({"requestedBy": {**ME, "uid": "1"}}, IDENTITY),
    "has no UID": ({"requestedBy": {**ME, "uid": ""}}, IDENTITY),
    "brings extra": ({"requestedBy": {**ME, "extra": {"scopes": ["all"]}}}, IDENTITY),
    "comes by a schedule": ({"requestedBy": {**ME, "via": "Schedule"}}, IDENTITY),
    "comes by a gateway": ({"requestedBy": {**ME, "via": "Gateway"}}, IDENTITY),
    "comes by a way that there is not": ({"requestedBy": {**ME, "via": "Root"}}, IDENTITY),
    "is nobody": ({"requestedBy": {}}, IDENTITY),
    "is a list": ({"requestedBy": [SHE]}, IDENTITY),
    "writes her name with another case": ({"requestedBy": {"username": ALICE.upper()}}, IDENTITY),
    "presets the UID of the proc": ({"procUID": "1"}, "spec.procUID"),
    "presets a generation to come": ({"procGeneration": 99}, "spec.procGeneration"),
    "presets a generation below one": ({"procGeneration": -1}, "spec.procGeneration"),
    "is cancelled by her from the start": (
        {"cancel": True, "cancelledBy": {"username": ALICE}},
        "spec.cancelledBy",
    ),
    "is cancelled by nobody and somebody": (
        {"cancelledBy": {"username": "eve", "uid": "9"}},
        "spec.cancelledBy",
    ),
    "is planned": (
        {"scheduleRef": {"name": "hers", "scheduledTime": "2026-11-20T09:00:00Z"}},
        "spec.scheduleRef.scheduledTime",
    ),
    "says of which schedule object": (
        {"procRef": {"name": "closed"}, "scheduleRef": {"name": "hers", "uid": "1"}},
        "spec.scheduleRef.uid",
    ),
    "belongs to no schedule": ({"scheduleRef": {"name": "none"}}, "no schedule 'none'"),
    "belongs to a schedule of another proc": (
        {"scheduleRef": {"name": "of-other"}},
        "runs another proc",
    ),
    "is a planned run of hers, from beginning to end": (
        {
            "procRef": {"name": "closed"},
            "requestedBy": SHE | {"via": "Schedule"},
            "scheduleRef": {"name": "hers", "uid": "1", "scheduledTime": "2026-11-20T09:00:00Z"},
        },
        IDENTITY,
    ),
    "is a planned run in their own name": (
        {
            "requestedBy": ME | {"via": "Schedule"},
            "scheduleRef": {"name": "hers", "uid": "1", "scheduledTime": "2026-11-20T09:00:00Z"},
        },
        IDENTITY,
    ),
    "leaves the proc to a schedule of hers": (
        {"procRef": None, "scheduleRef": {"name": "hers"}},
        "not among those who may run",
    ),
    "leaves the proc to a schedule that is not there": (
        {"procRef": None, "scheduleRef": {"name": "none"}},
        "no schedule 'none'",
    ),
    "leaves the proc to nobody": ({"procRef": None}, "spec.procRef"),
    "repeats what never was": ({"rerunOf": {"name": "none"}}, "no execution 'none'"),
    "repeats another object of that name": (
        {"rerunOf": {"name": "hers", "uid": "1"}},
        "spec.rerunOf.uid",
    ),
    "runs what only others may": ({"procRef": {"name": "closed"}}, "not among those who may run"),
    "runs her schedule now": (
        {"procRef": {"name": "closed"}, "scheduleRef": {"name": "hers"}},
        "not among those who may run",
    ),
    "repeats her run": (
        {"procRef": {"name": "closed"}, "rerunOf": {"name": "hers"}},
        "not among those who may run",
    ),
    "names a proc of another namespace": ({"procRef": {"name": "theirs"}}, "no proc 'theirs'"),
    "names the namespace as well": (
        {"procRef": {"name": "theirs", "namespace": ELSEWHERE}},
        "no proc 'theirs'",
    ),
    "names it by a path": ({"procRef": {"name": f"{ELSEWHERE}/theirs"}}, "spec.procRef.name"),
    "climbs by dots": (
        {"procRef": {"name": f"../../{ELSEWHERE}/procs/theirs"}},
        "spec.procRef.name",
    ),
    "climbs, to be told a UID": (
        {"procRef": {"name": f"../../{ELSEWHERE}/procs/theirs"}, "procUID": "1"},
        "spec.procRef.name",
    ),
    "asks for what never ends": ({"procRef": {"name": "?watch=1"}}, "spec.procRef.name"),
    "climbs by a schedule": (
        {"scheduleRef": {"name": f"../../{ELSEWHERE}/procschedules/x"}},
        "scheduleRef.name",
    ),
    "names nothing": ({"procRef": {"name": ""}}, "spec.procRef.name"),
    "names a proc by a list": ({"procRef": ["open"]}, "spec.procRef"),
}


@pytest.mark.parametrize(("spec", "words"), FORGED.values(), ids=FORGED)
def test_no_execution_that(siege: Siege, spec: Manifest, words: str) -> None:
    refused(siege.create(EVE, execution(**spec)), words)


MARKED: dict[str, tuple[Manifest | str, str]] = {
    "another shard": ({"labels": {"proctor.dev/shard": "99"}}, "proctor.dev/shard"),
    "the label of what the operator made": ({"labels": {"proctor.dev/managed": "true"}}, MINE),
    "the label of her execution": ({"labels": {"proctor.dev/execution": "hers"}}, MINE),
    "a label of ours that there is not": ({"labels": {"proctor.dev/admin": "yes"}}, MINE),
    "her schedule as its owner": ("ProcSchedule", MINE),
    "a proc as its owner": ("Proc", MINE),
    "her execution as its owner": ("ProcExecution", MINE),
    "a word to give its end up": (
        {"annotations": {"proctor.dev/give-up": "yes"}},
        "the verb give-up",
    ),
}


@pytest.mark.parametrize(("metadata", "words"), MARKED.values(), ids=MARKED)
def test_no_execution_comes_with(siege: Siege, metadata: Manifest | str, words: str) -> None:
    manifest = execution()
    manifest["metadata"] |= owned_by(metadata) if isinstance(metadata, str) else metadata

    refused(siege.create(EVE, manifest), words)


def owned_by(kind: str) -> Manifest:
    owner = {"apiVersion": "proctor.dev/v1alpha1", "kind": kind, "name": "hers", "uid": "1"}
    return {"ownerReferences": [owner | {"controller": True}]}


NAMES: Final = {
    "in lower case": "size_gb",
    "with a blank behind": "SIZE_GB ",
    "with a line break behind": "SIZE_GB\n",
    "with wide letters": "\uff33\uff29\uff3a\uff25_GB",
    "with a Cyrillic letter": "\u0405IZE_GB",
    "with an invisible letter": "SIZE\u200b_GB",
    "with a NUL": "SIZE_GB\0",
    "with a dot": "SIZE.GB",
    "with its value": "SIZE_GB=1",
    "as the prototype": "__proto__",
    "as the constructor": "constructor",
    "as nothing": "",
    "as the loader's": "LD_PRELOAD",
    "as the loader's in lower case": "ld_preload",
    "as the path": "PATH",
    "as the interpreter's": "PYTHONSTARTUP",
    "as the shell's": "BASH_ENV",
    "as the requester": "PROCTOR_REQUESTER",
    "as Kubernetes' own": "KUBERNETES_SERVICE_HOST",
    "as a proxy": "https_proxy",
    "as a secret of the proc's": "DB_PASSWORD",
    "as a template": "$(TOKEN)",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_argument_is_called(siege: Siege, name: str) -> None:
    refused(siege.create(EVE, execution(arguments={name: "1"})), UNDECLARED)


VALUES: dict[str, tuple[Manifest, str]] = {
    "null": ({"SIZE_GB": None}, "SIZE_GB: null is not a value"),
    "text for a number": ({"SIZE_GB": "10"}, "leave the quotes out"),
    "a truth for a number": ({"SIZE_GB": True}, "SIZE_GB"),
    "below its minimum": ({"SIZE_GB": 9}, "less than the minimum of 10"),
    "of another sign": ({"SIZE_GB": -(2**63)}, "less than the minimum of 10"),
    "a fraction": ({"SIZE_GB": 10.5}, "SIZE_GB"),
    "a list for a number": ({"SIZE_GB": [100]}, "SIZE_GB"),
    "a map for a number": ({"SIZE_GB": {"$gt": 0}}, "SIZE_GB"),
    "a NUL": ({"TEXT": "a\0b"}, "holds a NUL character"),
    "a mebibyte": ({"TEXT": "x" * 2**20}, "TEXT"),
    "a mebibyte within a map": ({"TEXT": {"x": "x" * 2**20}}, "longer than 32768 bytes"),
    "as much as three mebibytes": ({f"A{n}": "x" * 30_000 for n in range(63)}, "arguments"),
    "a secret for all to see": ({"TOKEN": "hunter2"}, "TOKEN: sensitive; give it by reference"),
    "no secret but a list": ({"TOKEN": ["hunter2"]}, "TOKEN: sensitive; give it by reference"),
    "against its pattern": ({"HARD": "a" * 30_000 + "!"}, "HARD"),
}


@pytest.mark.parametrize(("arguments", "words"), VALUES.values(), ids=VALUES)
def test_no_argument_is(siege: Siege, arguments: Manifest, words: str) -> None:
    began = time.monotonic()
    answer = siege.create(EVE, execution(arguments=arguments))

    refused(answer, words)
    assert time.monotonic() - began < DEADLINE_SECONDS
    assert "hunter2" not in answer.text


DEEP: Final = {120: 400, 900: 400, 3000: 500, 9000: 500, 20_000: 400}
"""Levels, and who says no: the rules; the server, which does not read it; the API server itself."""


@pytest.mark.parametrize(("levels", "code"), DEEP.items())
def test_no_argument_is_deep(siege: Siege, levels: int, code: int) -> None:
    answer = siege.call(
        EVE, "POST", f"{API}/namespaces/{siege.team}/procexecutions", nested(levels)
    )

    assert answer.code == code, answer.text[:500]
    assert "an error of its own" not in answer.text
    assert siege.create(EVE, execution(), query="?dryRun=All").code == 201


def nested(levels: int) -> bytes:
    body = json.dumps(execution(arguments={"TEXT": "DEEP"}))
    return body.replace('"DEEP"', "[" * levels + "]" * levels).encode()


def reference(name: str, secret: str, **more: Any) -> Manifest:
    found = {"name": secret, "key": "k"} | more
    return {"argumentsFrom": [{"name": name, "secretKeyRef": found}]}


REFERENCES: dict[str, tuple[Manifest, str]] = {
    "a Secret that they may not read": (reference("TOKEN", "not-hers"), "'not-hers'"),
    "a Secret that is not there": (reference("TOKEN", "none"), "'none'"),
    "a Secret of the operator's namespace": (
        reference("TOKEN", "proctor-webhook-tls", namespace="proctor-system"),
        "'proctor-webhook-tls'",
    ),
    "a Secret by a path": (reference("TOKEN", "proctor-system/x"), "secretKeyRef.name"),
    "a Secret for what everybody sees": (reference("TEXT", "not-hers"), "TEXT: a Secret reference"),
    "a Secret for no parameter": (reference("LD_PRELOAD", "not-hers"), UNDECLARED),
    "a key that is a path": (
        {"argumentsFrom": [{"name": "TOKEN", "secretKeyRef": {"name": "x", "key": "../k"}}]},
        "secretKeyRef.key",
    ),
}


@pytest.mark.parametrize(("spec", "words"), REFERENCES.values(), ids=REFERENCES)
def test_no_argument_comes_from(siege: Siege, spec: Manifest, words: str) -> None:
    refused(siege.create(EVE, execution(**spec)), words)


def patch(*edits: tuple[str, str, Any]) -> list[Manifest]:
    return [{"op": op, "path": path, "value": value} for op, path, value in edits]


OWNED_BY_IT: Final = {"metadata": owned_by("Proc")}
CHANGES: dict[str, tuple[str, Any, str, str]] = {
    "cancels it": (MERGE, {"spec": {"cancel": True}}, "", "with the verb cancel"),
    "cancels it in her name": (
        MERGE,
        {"spec": {"cancel": True, "cancelledBy": {"username": ALICE}}},
        "",
        "spec.cancelledBy",
    ),
    "cancels it piece by piece": (
        JSON_PATCH,
        patch(("replace", "/spec/cancel", True)),
        "",
        "with the verb cancel",
    ),
    "cancels it by an apply": (
        APPLY,
        execution("hers", of="closed", cancel=True),
        "?fieldManager=eve&force=true",
        "with the verb cancel",
    ),
    "takes it over": (MERGE, {"spec": {"requestedBy": ME}}, "", STAMPED),
    "takes it over by an apply": (
        APPLY,
        execution("hers", of="closed", requestedBy=ME),
        "?fieldManager=eve&force=true",
        STAMPED,
    ),
    "has it run another proc": (
        MERGE,
        {"spec": {"procRef": {"name": "open"}}},
        "",
        "cannot change",
    ),
    "adds an argument": (MERGE, {"spec": {"arguments": {"LD_PRELOAD": "x"}}}, "", "cannot change"),
    "replaces its spec": (
        JSON_PATCH,
        patch(("replace", "/spec", {"procRef": {"name": "open"}})),
        "",
        "cannot change",
    ),
    "has it look at another proc": (MERGE, {"spec": {"procUID": "1"}}, "", STAMPED),
    "gives a reason": (MERGE, {"spec": {"reason": "mine"}}, "", "cannot change"),
    "gives it another shard": (
        MERGE,
        {"metadata": {"labels": {"proctor.dev/shard": "99"}}},
        "",
        "proctor.dev/shard",
    ),
    "gives it a label of ours": (
        MERGE,
        {"metadata": {"labels": {"proctor.dev/managed": "x"}}},
        "",
        MINE,
    ),
    "gives it an owner of ours": (MERGE, OWNED_BY_IT, "", MINE),
    "gives up its end": (
        MERGE,
        {"metadata": {"annotations": {"proctor.dev/give-up": "x"}}},
        "",
        "the verb give-up",
    ),
    "ends it by its status": (MERGE, {"status": {"phase": "Succeeded"}}, "/status", "forbidden"),
    "ends it by an applied status": (
        APPLY,
        execution("hers") | {"status": {"phase": "Succeeded"}},
        "/status?fieldManager=eve&force=true",
        "forbidden",
    ),
    "changes its spec by its status": (MERGE, {"spec": {"cancel": True}}, "/status", "forbidden"),
    "scales it": (MERGE, {"spec": {"replicas": 0}}, "/scale", "forbidden"),
    "comes by its finalizers": (
        MERGE,
        {"metadata": {"finalizers": []}},
        "/finalizers",
        "forbidden",
    ),
}


@pytest.mark.parametrize(("how", "body", "tail", "words"), CHANGES.values(), ids=CHANGES)
def test_of_her_run_nobody(siege: Siege, how: str, body: Any, tail: str, words: str) -> None:
    before = siege.get("ProcExecution", "hers")["spec"]
    as_trial = f"{tail}{'&' if '?' in tail else '?'}dryRun=All"

    refused(siege.change(EVE, "hers", body, how=how, tail=as_trial), words)
    refused(siege.change(EVE, "hers", body, how=how, tail=tail), words)
    assert siege.get("ProcExecution", "hers")["spec"] == before


def test_of_her_run_nobody_replaces_all(siege: Siege) -> None:
    found = siege.get("ProcExecution", "hers")
    found["spec"] |= {"requestedBy": ME, "cancel": True}

    refused(siege.change(EVE, "hers", found, how=JSON), STAMPED)


PUT_BACK: dict[str, tuple[str, Any]] = {
    "the finalizer": (MERGE, {"metadata": {"finalizers": None}}),
    "the finalizer for another": (MERGE, {"metadata": {"finalizers": ["example.org/mine"]}}),
    "the shard": (MERGE, {"metadata": {"labels": {"proctor.dev/shard": None}}}),
    "all labels": (JSON_PATCH, [{"op": "remove", "path": "/metadata/labels"}]),
    "who asked": (MERGE, {"spec": {"requestedBy": None}}),
    "what was looked at": (MERGE, {"spec": {"procUID": None, "procGeneration": None}}),
}


@pytest.mark.parametrize(("how", "body"), PUT_BACK.values(), ids=PUT_BACK)
def test_who_takes_off_finds_it_put_back(siege: Siege, how: str, body: Any) -> None:
    def stamps() -> tuple[Any, ...]:
        found = siege.get("ProcExecution", "hers")
        metadata = found["metadata"]
        ours = [one for one in metadata["finalizers"] if one.startswith("proctor.dev/")]
        return ours, metadata["labels"]["proctor.dev/shard"], found["spec"]

    before = stamps()
    answer = siege.change(EVE, "hers", body, how=how)

    assert answer.code in (200, 403, 422), answer.text
    assert stamps() == before
    assert before[0] == ["proctor.dev/record"]


def test_nobody_sweeps_all_runs_away(siege: Siege) -> None:
    answer = siege.call(EVE, "DELETE", f"{API}/namespaces/{siege.team}/procexecutions")

    refused(answer, "deletecollection" if "deletecollection" in answer.text else "cannot delete")
    assert "hers" in siege.names("ProcExecution")


def test_a_copy_of_her_run_does_not_run_again(siege: Siege) -> None:
    """A backup that somebody restores, or an attacker: the stamp of then is not theirs."""
    found = siege.get("ProcExecution", "hers")
    copy = execution(of="closed") | {"spec": found["spec"]}
    kept = {key: found["metadata"][key] for key in ("labels", "finalizers")}
    copy["metadata"] |= kept

    refused(siege.create(EVE, copy), IDENTITY)
    refused(siege.create(ADMIN, copy), IDENTITY)


def test_a_status_from_the_start_is_no_status(siege: Siege) -> None:
    manifest = execution("with-a-status") | {"status": {"phase": "Succeeded", "number": 7}}
    made = siege.create(EVE, manifest, query="?dryRun=All")

    assert made.code == 201, made.text
    assert made.body["status"] == {"phase": "Pending", "observedGeneration": 0}


def test_fields_that_there_are_not_are_dropped_or_refused(siege: Siege) -> None:
    manifest = execution(namespace=ELSEWHERE, serviceAccountName="powerful", image="evil")
    dropped = siege.create(EVE, manifest, query="?dryRun=All")

    assert set(dropped.body["spec"]) == {
        *("procRef", "requestedBy", "procUID", "procGeneration", "cancel")
    }
    refused(siege.create(EVE, manifest, query="?fieldValidation=Strict"), "unknown field")


def test_half_a_character_becomes_a_whole_one(siege: Siege) -> None:
    """JSON can say half of a surrogate pair; no UTF-8 can. The API server puts U+FFFD in its place."""
    body = json.dumps(execution("half", arguments={"TEXT": "HALF"}))
    sent = body.replace("HALF", "\\ud800").encode()
    answer = siege.call(
        EVE, "POST", f"{API}/namespaces/{siege.team}/procexecutions?dryRun=All", sent
    )

    assert answer.code == 201, answer.text
    assert answer.body["spec"]["arguments"] == {"TEXT": "\ufffd"}


def test_a_pattern_that_others_hang_on_is_answered_in_time(siege: Siege) -> None:
    began = time.monotonic()
    answer = siege.create(EVE, execution(arguments={"HARD": "a" * 30_000}), query="?dryRun=All")

    assert answer.code == 201, answer.text
    assert time.monotonic() - began < DEADLINE_SECONDS


def test_who_may_create_jobs_may_still_not_run_a_proc(siege: Siege) -> None:
    refused(siege.create(EDITOR, execution(of="closed")), "not among those who may run")
    refused(siege.change(EDITOR, "hers", {"spec": {"cancel": True}}, how=MERGE), "verb cancel")


def test_a_user_by_certificate_is_who_the_certificate_says(siege: Siege, tmp_path: Path) -> None:
    """No impersonation here; the rest of this module speaks as others by it."""
    kubeconfig = siege.cluster.client_kubeconfig("eve", ["dev"], tmp_path / "eve.kubeconfig")

    def create(manifest: Manifest) -> subprocess.CompletedProcess[str]:
        return siege.cluster.kubectl(
            *("create", f"--namespace={siege.team}", "--filename=-", "--dry-run=server"),
            *("--output=jsonpath={.spec.requestedBy.username}",),
            stdin=json.dumps(manifest),
            kubeconfig=kubeconfig,
            check=False,
        )

    honest, forged = create(execution()), create(execution(requestedBy=SHE))

    assert (honest.stdout, honest.stderr) == ("eve", "")
    assert IDENTITY in forged.stderr


def test_a_trial_leaves_no_trace(siege: Siege) -> None:
    """Denials are stored in their order, so that what was denied before would be there."""
    database = siege.operator.database
    for name, query in (("only-tried", "?dryRun=All"), ("meant", "")):
        refused(siege.create(EVE, execution(name, of="closed"), query=query), "not among those")

    def denied() -> set[str]:
        return {row[0] for row in database.query("SELECT name FROM proctor.denials")}

    assert wait_until(lambda: "meant" in denied(), seconds=10, interval=0.1)
    assert "only-tried" not in denied()
    assert not {"only-tried", "meant"} & siege.names("ProcExecution")


def test_denials_name_the_real_user(siege: Siege) -> None:
    forged = execution("in-her-name", requestedBy=SHE)
    refused(siege.create(EVE, forged), IDENTITY)

    def told() -> list[tuple[str, str]]:
        return siege.operator.database.query(
            "SELECT requester_username, reason FROM proctor.denials WHERE name = $1",
            "in-her-name",
        )

    assert wait_until(lambda: bool(told()), seconds=10, interval=0.1)
    assert told() == [("eve", "StampGiven")]


def test_a_webhook_with_a_wrong_path_keeps_everything_out(siege: Siege) -> None:
    (hook,) = (
        one
        for one in json.loads(
            siege.cluster.kubectl(
                "get", "validatingwebhookconfiguration", "proctor.dev", "--output=json"
            ).stdout
        )["webhooks"]
        if one["name"] == "validate.procexecutions.proctor.dev"
    )
    hook["name"] = "typo.example.org"
    hook["clientConfig"]["service"]["path"] = "/validate/procexecution"
    here = {"matchLabels": {"kubernetes.io/metadata.name": ELSEWHERE}}
    typo = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "typo"},
        "webhooks": [hook | {"namespaceSelector": here}],
    }
    siege.cluster.kubectl("create", "--filename=-", stdin=json.dumps(typo))
    asked = execution("lost", of="theirs")

    def said() -> str:
        return siege.create(ADMIN, asked, namespace=ELSEWHERE, query="?dryRun=All").text

    try:
        assert wait_until(lambda: "typo.example.org" in said(), seconds=20, interval=0.2)
        assert "could not find the requested resource" in said()
    finally:
        siege.cluster.kubectl("delete", "validatingwebhookconfiguration", "typo")


def test_after_all_of_that_only_what_may_run_has_run(siege: Siege) -> None:
    """The operator is at work: hers, and two more now, have Jobs. Nothing else has ever been there.

    One has a NUL and many levels, which its container gets as JSON.
    """
    odd: Any = "a\0b"
    for _ in range(48):
        odd = [odd]
    assert siege.create(EVE, execution("odd", arguments={"TEXT": odd})).code == 201
    assert siege.create(HER, execution("last", of="closed")).code == 201
    assert wait_until(lambda: len(siege.names("Job")) >= 3, seconds=20, interval=0.2)

    recorded = siege.operator.database.query("SELECT name FROM proctor.executions")
    assert {name for (name,) in recorded} == {"hers", "odd", "last"}
    assert siege.names("ProcExecution") == {"hers", "odd", "last"}
    assert {name.rpartition("-")[0] for name in siege.names("Job")} == {"hers", "odd", "last"}
    assert siege.names("ProcExecution", ELSEWHERE) == set()
