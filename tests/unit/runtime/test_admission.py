"""Whole reviews: stamped, judged, denied with words, counted and told to the record."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.admission import Admitted, Operation, ReviewUid, TurnedAway
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.conditions import ConditionStatus, ConditionType, condition
from proctor_operator.domain.errors import ClusterUnavailable, RecordUnavailable
from proctor_operator.domain.execution import ProcRef
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import PROC_SCHEDULES, PROCS, RECORD_FINALIZER, SHARD_LABEL
from proctor_operator.domain.objects import Kind
from proctor_operator.domain.plugin import Defer, Deny, Hook, Opinion, Vote
from proctor_operator.domain.proc import Proc
from proctor_operator.runtime.cache import key_of
from proctor_operator.runtime.denials import WAITING_AT_MOST
from proctor_operator.runtime.proc_readings import KEPT_SECONDS
from unit.builders import (
    EXECUTION_NAME,
    NOW,
    argument_from,
    execution,
    parameter,
    proc,
    proc_spec,
    schedule,
    unreadable,
)
from unit.reviews import (
    ALICE,
    AS_OPERATOR,
    EVE,
    Gatehouse,
    execution_manifest,
    merged,
    review,
)

STAMP = {"username": "alice", "uid": "7", "groups": ["dba", "system:authenticated"], "via": "API"}
SHARD = {SHARD_LABEL: "14"}
GARBAGE_COLLECTOR = Requester(
    username="system:serviceaccount:kube-system:generic-garbage-collector"
)


async def test_a_new_execution_is_stamped_with_all_that_admission_vouches_for() -> None:
    stored = await Gatehouse(proc()).stored(review(execution_manifest()))

    assert stored["metadata"]["labels"] == SHARD
    assert stored["metadata"]["finalizers"] == [RECORD_FINALIZER]
    assert stored["spec"] == {
        "procRef": {"name": "grow-disk"},
        "requestedBy": STAMP,
        "procUID": "proc-uid-1",
        "procGeneration": 3,
    }


async def test_what_somebody_wrote_stays_beside_the_stamps() -> None:
    manifest = execution_manifest(reason="INC-1")
    manifest["metadata"] |= {"labels": {"team": "dba"}, "finalizers": ["example.org/wait"]}

    stored = await Gatehouse(proc()).stored(review(manifest))

    assert stored["metadata"]["labels"] == {"team": "dba", **SHARD}
    assert stored["metadata"]["finalizers"] == ["example.org/wait", RECORD_FINALIZER]
    assert stored["spec"]["reason"] == "INC-1"


async def test_an_object_that_is_stamped_already_is_not_touched_again() -> None:
    house = Gatehouse(proc(), schedule(), execution())
    manifest = execution_manifest(scheduleRef={"name": "nightly"}, rerunOf={"name": EXECUTION_NAME})
    stored = await house.stored(review(manifest))

    assert await house.admission.mutate(review(stored)) == Admitted()
    assert stored["spec"]["scheduleRef"]["uid"] == "schedule-uid-1"
    assert stored["spec"]["rerunOf"]["uid"] == execution().uid


async def test_of_many_groups_those_that_the_proc_names_are_kept() -> None:
    crowd = tuple(f"g{number}" for number in range(100))
    user = replace_groups((*crowd, "dba"))

    stored = await Gatehouse(proc()).stored(review(execution_manifest(), user=user))

    assert stored["spec"]["requestedBy"]["groups"] == ["dba", *crowd[:63]]


FORGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another's name": ({}, {"requestedBy": {"username": "bob"}}, "spec.requestedBy"),
    "one group more": (
        {},
        {"requestedBy": {**STAMP, "groups": [*STAMP["groups"], "root"]}},
        "spec.requestedBy",
    ),
    "another way": ({}, {"requestedBy": {**STAMP, "via": "Schedule"}}, "spec.requestedBy"),
    "another UID": ({}, {"requestedBy": {**STAMP, "uid": "8"}}, "spec.requestedBy"),
    "extra": ({}, {"requestedBy": {**STAMP, "extra": {"scopes": ["all"]}}}, "spec.requestedBy"),
    "no sense at all": ({}, {"requestedBy": ["alice"]}, "spec.requestedBy"),
    "another proc's UID": ({}, {"procUID": "other"}, "spec.procUID"),
    "a later generation": ({}, {"procGeneration": 4}, "spec.procGeneration"),
    "a canceller": ({}, {"cancelledBy": {"username": "alice"}}, "spec.cancelledBy"),
    "a planned time": (
        {},
        {"scheduleRef": {"name": "nightly", "scheduledTime": "2026-11-20T09:00:00Z"}},
        "spec.scheduleRef.scheduledTime",
    ),
    "a schedule's UID": ({}, {"scheduleRef": {"name": "nightly", "uid": "x"}}, "scheduleRef.uid"),
    "a schedule that is not there": ({}, {"scheduleRef": {"name": "none"}}, "no schedule 'none'"),
    "a schedule of another proc": (
        {},
        {"scheduleRef": {"name": "other"}},
        "runs another proc, 'drop-disk'",
    ),
    "an earlier run's UID": ({}, {"rerunOf": {"name": EXECUTION_NAME, "uid": "x"}}, "rerunOf.uid"),
    "an earlier run that is not there": ({}, {"rerunOf": {"name": "none"}}, "no execution 'none'"),
    "another shard": ({"labels": {SHARD_LABEL: "3"}}, {}, SHARD_LABEL),
    "the operator's label": (
        {"labels": {"proctor.dev/managed": "true"}},
        {},
        "proctor.dev/managed",
    ),
    "a schedule as owner": (
        {"ownerReferences": [{"apiVersion": "proctor.dev/v1alpha1", "kind": "ProcSchedule"}]},
        {},
        "metadata.ownerReferences",
    ),
}
OTHER_SCHEDULE = schedule(
    name="other",
    spec=schedule().spec.model_copy(update={"proc_ref": ProcRef(name="drop-disk")}),
)


@pytest.mark.parametrize(("metadata", "spec", "words"), FORGED.values(), ids=FORGED)
async def test_nobody_brings(metadata: dict[str, Any], spec: dict[str, Any], words: str) -> None:
    house = Gatehouse(proc(), schedule(), OTHER_SCHEDULE, execution())
    manifest = execution_manifest(**spec)
    manifest["metadata"] |= metadata

    denial = await house.denial(review(manifest))
    unseen = await house.admission.validate(review(manifest))

    assert denial.reason == "StampGiven"
    assert words in denial.message
    # The validating webhook alone turns it away as well.
    assert isinstance(unseen, TurnedAway)


@pytest.mark.parametrize(
    "name", ["../../elsewhere/procs/theirs", "?watch=1", "..", "a/status", "A"]
)
async def test_what_is_no_name_is_never_looked_up(name: str) -> None:
    """The kind's schema refuses it, but only after the mutating webhook was asked."""
    house = Gatehouse(proc(name=name))
    asked = review(execution_manifest(procRef={"name": name}))

    assert await house.admission.mutate(asked) == Admitted()
    assert isinstance(await house.admission.validate(asked), TurnedAway)


async def test_the_operator_brings_stamps_and_the_rights_are_those_of_whom_it_names() -> None:
    house = Gatehouse(proc(), schedule())
    stamps = {
        "requestedBy": {"username": "bob", "groups": ["dba"], "via": "Schedule"},
        "scheduleRef": {"name": "nightly", "uid": "u", "scheduledTime": "2026-11-20T09:00:00Z"},
    }
    stored = await house.stored(review(execution_manifest(**stamps), user=AS_OPERATOR))
    stamps["requestedBy"] = {"username": "eve", "via": "Schedule"}
    denial = await house.denial(review(execution_manifest(**stamps), user=AS_OPERATOR))

    assert stored["spec"]["requestedBy"]["username"] == "bob"
    assert stored["spec"]["scheduleRef"]["uid"] == "u"
    assert denial.reason == "NotPermitted"
    assert denial.message.startswith("eve ")


PLANNED: dict[str, Any] = {
    "requestedBy": {"username": "bob", "groups": ["dba"], "via": "Schedule"},
    "scheduleRef": {"name": "nightly", "uid": "u", "scheduledTime": "2026-11-20T09:00:00Z"},
}
NOT_PLANNED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing but another's name": ({"scheduleRef": None}, "spec.requestedBy"),
    "no planned time": ({"scheduleRef": {"scheduledTime": None}}, "spec.requestedBy"),
    "no UID": ({"scheduleRef": {"uid": None}}, "spec.scheduleRef.scheduledTime"),
    "another way": ({"requestedBy": {"via": "API"}}, "spec.requestedBy"),
    "nobody": ({"requestedBy": None}, "spec.scheduleRef.scheduledTime"),
}


@pytest.mark.parametrize(("spec", "words"), NOT_PLANNED.values(), ids=NOT_PLANNED)
async def test_the_operator_asks_in_anothers_name_for_planned_runs_only_and_not_with(
    spec: dict[str, Any], words: str
) -> None:
    house = Gatehouse(proc(), schedule())
    manifest = execution_manifest(**merged(PLANNED, spec))

    denial = await house.denial(review(manifest, user=AS_OPERATOR))

    assert denial.reason == "StampGiven"
    assert words in denial.message


async def test_nobody_else_brings_the_stamps_of_a_planned_run() -> None:
    house = Gatehouse(proc(), schedule())
    bobs = merged(PLANNED, {"requestedBy": {"username": "alice", "uid": "7"}})

    denial = await house.denial(review(execution_manifest(**bobs)))

    for field in ("spec.requestedBy", "scheduleRef.uid", "scheduleRef.scheduledTime"):
        assert field in denial.message


PLAN = schedule(
    spec=schedule().spec.model_copy(
        update={
            "arguments": {"SIZE_GB": 200},
            "arguments_from": (argument_from("TOKEN"),),
        }
    )
)
TAKES = (parameter("SIZE_GB"), parameter("TOKEN", sensitive=True, required=False))
TOKEN = {"name": "TOKEN", "secretKeyRef": {"name": "my-token", "key": "t"}}
BY_HAND: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing else": ({}, {"arguments": {"SIZE_GB": 200}, "argumentsFrom": [TOKEN]}),
    "its proc": (
        {"procRef": {"name": "grow-disk"}},
        {"arguments": {"SIZE_GB": 200}, "argumentsFrom": [TOKEN]},
    ),
    "arguments of their own": ({"arguments": {"SIZE_GB": 1}}, {"arguments": {"SIZE_GB": 1}}),
}


@pytest.mark.parametrize(("given", "wanted"), BY_HAND.values(), ids=BY_HAND)
async def test_a_schedule_is_run_now_with(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    house = Gatehouse(with_proc(parameters=TAKES), PLAN)
    house.access.readers.add(("alice", "my-token"))
    manifest = execution_manifest(scheduleRef={"name": "nightly"})
    manifest["spec"] = {"scheduleRef": {"name": "nightly"}, **given}

    stored = (await house.stored(review(manifest)))["spec"]

    assert stored["procRef"] == {"name": "grow-disk"}
    assert stored["scheduleRef"] == {"name": "nightly", "uid": "schedule-uid-1"}
    assert stored["requestedBy"] == STAMP
    assert (stored["procUID"], stored["procGeneration"]) == ("proc-uid-1", 3)
    asked = {name: stored[name] for name in ("arguments", "argumentsFrom") if name in stored}
    assert asked == wanted


async def test_a_schedules_secret_is_not_lent_to_whoever_runs_it_now() -> None:
    manifest = execution_manifest()
    manifest["spec"] = {"scheduleRef": {"name": "nightly"}}

    denial = await Gatehouse(with_proc(parameters=TAKES), PLAN).denial(review(manifest))

    assert "may not read the secret 'my-token'" in denial.message


async def test_a_schedule_that_is_not_there_cannot_be_run_now() -> None:
    manifest = execution_manifest()
    manifest["spec"] = {"scheduleRef": {"name": "none"}}

    denial = await Gatehouse(proc()).denial(review(manifest))

    assert "no schedule 'none'" in denial.message


async def test_what_the_mutating_webhook_did_not_see_is_not_stored() -> None:
    answer = await Gatehouse(proc()).admission.validate(review(execution_manifest()))

    assert isinstance(answer, TurnedAway)
    assert answer.reason == "NotStamped"
    assert "spec.requestedBy" in answer.message


async def test_a_proc_is_read_once_for_the_two_reviews_of_a_request() -> None:
    house = Gatehouse(proc())
    stored = await house.stored(review(execution_manifest()))
    house.cluster.own.clear()

    assert isinstance(await house.admission.validate(review(stored)), Admitted)

    house.clock.seconds += KEPT_SECONDS
    late = await house.admission.validate(review(stored))
    assert isinstance(late, TurnedAway)
    assert "grow-disk" in late.message


async def test_who_asks_after_a_proc_was_closed_is_judged_by_its_new_rules_at_once() -> None:
    house = Gatehouse(proc())
    await house.stored(review(execution_manifest()))
    closed = proc(generation=4, spec=proc_spec(authorization={"groups": ["sre"]}))
    house.cluster.own[key_of(closed)] = closed

    assert (await house.denial(review(execution_manifest()))).reason == "NotPermitted"
    old = await house.denial(review(execution_manifest(procGeneration=3)))
    assert "spec.procGeneration" in old.message


async def test_of_a_proc_that_was_made_anew_nothing_old_is_believed() -> None:
    house = Gatehouse(proc())
    await house.stored(review(execution_manifest()))
    anew = proc(uid="proc-uid-2", spec=proc_spec(authorization={"groups": ["sre"]}))
    house.cluster.own[key_of(anew)] = anew

    assert (await house.denial(review(execution_manifest()))).reason == "NotPermitted"


async def test_for_whoever_brings_stamps_a_proc_is_always_read() -> None:
    house = Gatehouse(proc())
    stored = await house.stored(review(execution_manifest()))
    house.cluster.own.clear()

    answer = await house.admission.validate(review(stored, user=AS_OPERATOR))

    assert isinstance(answer, TurnedAway)


def with_proc(**fields: Any) -> Proc:
    return proc(proc_spec(**fields))


NOT_READY = condition(
    ConditionType.READY, ConditionStatus.FALSE, "ImageGone", "no image", generation=3, now=NOW
)
SIZE = parameter("SIZE_GB", schema={"type": "integer", "minimum": 10})
TOKENS = (parameter("TOKEN", sensitive=True), parameter("KEY", sensitive=True))
FROM_SECRETS = [
    {"name": name, "secretKeyRef": {"name": f"my-{name.lower()}", "key": "k"}}
    for name in ("TOKEN", "KEY")
]
DENIED: dict[str, tuple[tuple[Any, ...], dict[str, Any], str, tuple[str, ...]]] = {
    "there is no such proc": ((), {}, "ProcNotFound", ("no proc 'grow-disk'", "kubectl get procs")),
    "the proc does not parse": (
        (unreadable(Kind.PROC, name="grow-disk", problem="spec.image: Field required"),),
        {},
        "ProcNotReady",
        ("spec.image",),
    ),
    "the proc is suspended": ((with_proc(suspend=True),), {}, "ProcSuspended", ("'grow-disk'",)),
    "the proc is suspended and mistaken": (
        (with_proc(suspend=True, parameters=(parameter("PATH"),)),),
        {},
        "ProcNotReady",
        ("PATH", "suspended"),
    ),
    "the proc is not ready as it is now": (
        (proc(conditions=(NOT_READY,)),),
        {},
        "ProcNotReady",
        ("ImageGone", "no image"),
    ),
    "every argument is wrong in its own way": (
        (with_proc(parameters=(SIZE, parameter("NOTE"), TOKENS[0])),),
        {"arguments": {"SIZE_GB": 5, "SIZE": 1, "TOKEN": "hunter2"}},
        "InvalidArguments",
        ("SIZE_GB: the value is less than", "(given: 5)", "SIZE:", "NOTE: required", "TOKEN: sens"),
    ),
    "nobody allows it, and two secrets are out of reach": (
        (with_proc(authorization={"rbac": "Ignored"}, parameters=TOKENS),),
        {"argumentsFrom": FROM_SECRETS},
        "NotPermitted",
        ("alice is not among those", "'my-token'", "'my-key'"),
    ),
}


@pytest.mark.parametrize(("own", "spec", "reason", "words"), DENIED.values(), ids=DENIED)
async def test_it_is_turned_away_with_all_that_is_wrong_when(
    own: tuple[Any, ...], spec: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    denial = await Gatehouse(*own).denial(review(execution_manifest(**spec)))

    assert denial.reason == reason
    assert [word for word in words if word not in denial.message] == []
    assert "hunter2" not in denial.message


async def test_a_condition_of_an_older_generation_stands_against_nothing() -> None:
    old = replace(NOT_READY, observed_generation=2)

    await Gatehouse(proc(conditions=(old,))).stored(review(execution_manifest()))


async def test_the_verb_and_readable_secrets_let_it_in() -> None:
    house = Gatehouse(with_proc(authorization={}, parameters=TOKENS))
    house.access.executors.add("alice")
    house.access.readers |= {("alice", "my-token"), ("alice", "my-key")}

    await house.stored(review(execution_manifest(argumentsFrom=FROM_SECRETS)))


async def test_plugins_vote_on_what_may_be_shown_and_know_of_a_dry_run() -> None:
    house = Gatehouse(with_proc(parameters=(parameter("NOTE"),)))
    house.plugins.votes = (Vote("gate", Opinion.DENY, "alice is on leave"),)
    request = review(execution_manifest(arguments={"NOTE": "x"}), is_dry_run=True)

    denial = await house.denial(request)

    assert denial.message == "the plugin gate denies: alice is on leave"
    (hook, question), *_ = house.plugins.asked
    assert (hook, question.invocation, question.is_dry_run) == (Hook.AUTHORIZE, "review-1", True)
    assert question.arguments == {"NOTE": "x"}


async def test_a_gate_denies_for_good_or_for_now() -> None:
    house = Gatehouse(proc())
    house.plugins.gates[Hook.PRE_SUBMIT] = Deny("freeze", "Frozen", "no changes today")
    denial = await house.denial(review(execution_manifest()))
    house.plugins.gates[Hook.PRE_SUBMIT] = Defer("freeze", "Busy", "a backup runs", 30)
    later = await house.denial(review(execution_manifest()))

    assert (denial.reason, denial.code) == ("Frozen", 403)
    assert "no changes today" in denial.message
    assert later.code == 429
    assert "try again in 30 seconds" in later.message


async def test_a_value_in_a_shells_program_draws_a_warning() -> None:
    careless = with_proc(parameters=(SIZE,), command=("sh", "-c", "grow $(SIZE_GB)"))
    request = review(execution_manifest(arguments={"SIZE_GB": 20}))

    answer, _ = await Gatehouse(careless).submit(request)

    assert isinstance(answer, Admitted)
    assert "$(SIZE_GB)" in answer.warnings[0]


# Changes


async def placed(house: Gatehouse, **spec: Any) -> dict[str, Any]:
    """An execution of alice's as it is stored."""
    stored = await house.stored(review(execution_manifest(**spec)))
    named: dict[str, Any] = merged(
        stored, {"metadata": {"name": EXECUTION_NAME, "generateName": None}}
    )
    return named


def change(old: dict[str, Any], patch: dict[str, Any], **fields: Any) -> Any:
    return review(
        merged(old, patch),
        **{
            "operation": Operation.UPDATE,
            "old_object": old,
            "name": EXECUTION_NAME,
            **fields,
        },
    )


async def test_whoever_asked_may_cancel_and_it_is_stamped() -> None:
    house = Gatehouse(proc())
    old = await placed(house)

    stored = await house.stored(change(old, {"spec": {"cancel": True}}))

    assert stored["spec"]["cancelledBy"] == {"username": "alice", "uid": "7"}
    assert await house.admission.mutate(change(old, {"spec": stored["spec"]})) == Admitted()


async def test_somebody_else_needs_the_verb_to_cancel() -> None:
    house = Gatehouse(proc())
    old = await placed(house)
    namesake = Requester(username="alice", uid="8", groups=("dba",))

    for who in (EVE, namesake):
        denial = await house.denial(change(old, {"spec": {"cancel": True}}, user=who))
        assert denial.reason == "NotPermitted"
        assert "the verb cancel" in denial.message
    house.access.cancellers.add(("eve", EXECUTION_NAME))
    stored = await house.stored(change(old, {"spec": {"cancel": True}}, user=EVE))

    assert stored["spec"]["cancelledBy"] == {"username": "eve", "uid": "9"}


async def test_a_gate_may_stop_a_cancellation_unless_its_proc_is_gone() -> None:
    house = Gatehouse(proc())
    old = await placed(house)
    house.plugins.gates[Hook.PRE_CANCEL] = Deny("safe", "TooLate", "the disk is half grown")
    request = change(old, {"spec": {"cancel": True}})

    assert (await house.denial(request)).reason == "TooLate"
    house.cluster.own.clear()
    await house.stored(request)


PUT_BACK: dict[str, dict[str, Any]] = {
    "the requester": {"spec": {"requestedBy": None}},
    "the proc's UID": {"spec": {"procUID": None}},
    "the generation": {"spec": {"procGeneration": None}},
    "all labels": {"metadata": {"labels": None}},
    "the finalizer": {"metadata": {"finalizers": None}},
    "the schedule's UID": {"spec": {"scheduleRef": {"uid": None}}},
}


@pytest.mark.parametrize("missing", PUT_BACK.values(), ids=PUT_BACK)
async def test_a_whole_replacement_gets_back(missing: dict[str, Any]) -> None:
    house = Gatehouse(proc(), schedule())
    old = await placed(house, scheduleRef={"name": "nightly"})

    assert await house.stored(change(old, missing)) == old


UNCHANGEABLE: dict[str, tuple[dict[str, Any], str]] = {
    "another requester": ({"spec": {"requestedBy": {"username": "bob"}}}, "StampGiven"),
    "another proc's UID": ({"spec": {"procUID": "x"}}, "StampGiven"),
    "another generation": ({"spec": {"procGeneration": 9}}, "StampGiven"),
    "another schedule's UID": ({"spec": {"scheduleRef": {"uid": "x"}}}, "StampGiven"),
    "a planned time": ({"spec": {"scheduleRef": {"scheduledTime": "2026"}}}, "StampGiven"),
    "a canceller without cancel": ({"spec": {"cancelledBy": {"username": "a"}}}, "StampGiven"),
    "another's name as canceller": (
        {"spec": {"cancel": True, "cancelledBy": {"username": "bob"}}},
        "StampGiven",
    ),
    "another shard": ({"metadata": {"labels": {SHARD_LABEL: "1"}}}, "StampGiven"),
    "another proc": ({"spec": {"procRef": {"name": "drop"}}}, "ImmutableSpec"),
    "another argument": ({"spec": {"arguments": {"NOTE": "y"}}}, "ImmutableSpec"),
    "a renamed argument": ({"spec": {"arguments": {"NOTE": None, "N": "x"}}}, "ImmutableSpec"),
    "true for one": ({"spec": {"arguments": {"LIST": [True]}}}, "ImmutableSpec"),
    "no schedule": ({"spec": {"scheduleRef": None}}, "ImmutableSpec"),
    "a reason": ({"spec": {"reason": "x"}}, "ImmutableSpec"),
    "cancel and a reason": ({"spec": {"cancel": True, "reason": "x"}}, "ImmutableSpec"),
}


@pytest.mark.parametrize(("patch", "reason"), UNCHANGEABLE.values(), ids=UNCHANGEABLE)
async def test_an_execution_never_gets(patch: dict[str, Any], reason: str) -> None:
    parameters = (parameter("NOTE"), parameter("LIST", required=False))
    house = Gatehouse(with_proc(parameters=parameters), schedule())
    old = await placed(house, scheduleRef={"name": "nightly"}, arguments={"NOTE": "x", "LIST": [1]})

    assert (await house.denial(change(old, patch))).reason == reason


async def test_a_cancelled_execution_stays_cancelled() -> None:
    house = Gatehouse(proc())
    old = await house.stored(change(await placed(house), {"spec": {"cancel": True}}))

    for patch in ({"cancel": False}, {"cancel": None}, {"cancelledBy": {"username": "bob"}}):
        await house.denial(change(old, {"spec": patch}))


@pytest.mark.parametrize("user", [AS_OPERATOR, GARBAGE_COLLECTOR])
async def test_clean_up_is_let_through_as_it_is(user: Requester) -> None:
    house = Gatehouse()
    old = await placed(Gatehouse(proc()))
    bare = {"metadata": {"finalizers": None, "labels": None}}

    stored = await house.stored(change(old, bare, user=user))

    assert "finalizers" not in stored["metadata"]
    assert (await house.denial(change(old, {"spec": {"reason": "x"}}, user=user))).reason


# Schedules


def schedule_manifest(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "nightly"},
        "spec": {"procRef": {"name": "grow-disk"}, "cron": "0 1 * * *", **spec},
    }


def scheduled(manifest: dict[str, Any], **fields: Any) -> Any:
    return review(manifest, resource=PROC_SCHEDULES, name="nightly", **fields)


async def test_a_schedule_is_stamped_with_whoever_decides_what_runs() -> None:
    house = Gatehouse(with_proc(parameters=(parameter("NOTE", required=False),)))
    old = await house.stored(scheduled(schedule_manifest()))
    bob = Requester(username="bob", groups=("dba",))

    def edit(**spec: Any) -> Any:
        return scheduled(
            merged(old, {"spec": spec}), operation=Operation.UPDATE, old_object=old, user=bob
        )

    timing = await house.stored(edit(cron="0 2 * * *"))
    replaced = await house.stored(edit(cron="0 2 * * *", requestedBy=None))
    other = await house.stored(edit(arguments={"NOTE": "x"}))

    assert old["spec"]["requestedBy"] == STAMP
    assert timing["spec"]["requestedBy"] == STAMP
    assert replaced["spec"]["requestedBy"] == STAMP
    # Nothing of the one before is left in it.
    assert other["spec"]["requestedBy"] == {"username": "bob", "groups": ["dba"], "via": "API"}
    assert (await house.denial(edit(requestedBy={"username": "bob"}))).reason == "StampGiven"


async def test_a_schedule_is_written_only_by_who_may_run_it() -> None:
    house = Gatehouse(proc())
    old = await house.stored(scheduled(schedule_manifest()))

    new = await house.denial(scheduled(schedule_manifest(), user=EVE))
    later = merged(old, {"spec": {"cron": "* * * * *"}})
    timing = await house.denial(
        scheduled(later, operation=Operation.UPDATE, old_object=old, user=EVE)
    )
    unknown = await house.denial(scheduled(schedule_manifest(arguments={"X": 1})))
    house.cluster.own.clear()
    orphaned = await house.denial(scheduled(schedule_manifest()))

    assert [one.reason for one in (new, timing, unknown, orphaned)] == [
        "NotPermitted",
        "NotPermitted",
        "InvalidArguments",
        "ProcNotFound",
    ]


BAD_TIMINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no such minute": ({"cron": "61 * * * *"}, "spec.cron '61 * * * *': minute '61'"),
    "a day that never comes": ({"cron": "0 0 30 2 *"}, "it never fires"),
    "no such time zone": ({"timeZone": "Berlin"}, "did you mean Europe/Berlin?"),
    "two kinds of time": ({"at": "2027-01-01T00:00:00Z"}, "both are given"),
    "a time in no year": ({"cron": None, "at": "0001-01-01T00:00:00Z"}, "spec.at '0001-01-01"),
    "too long a jitter": ({"cron": "* * * * *", "jitterSeconds": 60}, "spec.jitterSeconds 60"),
}


@pytest.mark.parametrize(("spec", "words"), BAD_TIMINGS.values(), ids=BAD_TIMINGS)
async def test_a_schedule_is_turned_away_for_its_timing(spec: dict[str, Any], words: str) -> None:
    house = Gatehouse(proc())
    old = await house.stored(scheduled(schedule_manifest()))

    denials = [
        await house.denial(scheduled(schedule_manifest(**spec))),
        await house.denial(
            scheduled(merged(old, {"spec": spec}), operation=Operation.UPDATE, old_object=old)
        ),
    ]

    assert [(one.reason, one.code) for one in denials] == [("InvalidSchedule", 422)] * 2
    assert [words in one.message for one in denials] == [True, True]


async def test_a_schedule_of_an_older_release_with_a_bad_timing_can_still_be_switched_off() -> None:
    old = await Gatehouse(proc()).stored(scheduled(schedule_manifest()))
    bad = merged(old, {"spec": {"cron": "0 0 30 2 *"}})
    off = merged(bad, {"spec": {"suspend": True}})

    await Gatehouse(proc()).stored(scheduled(off, operation=Operation.UPDATE, old_object=bad))


async def test_a_schedule_is_switched_off_though_its_proc_is_gone() -> None:
    old = await Gatehouse(proc()).stored(scheduled(schedule_manifest()))
    off = merged(old, {"spec": {"suspend": True}})

    await Gatehouse().stored(scheduled(off, operation=Operation.UPDATE, old_object=old))


# What nobody expects


UNEXPECTED: dict[str, dict[str, Any]] = {
    "a deletion": {"operation": Operation.DELETE},
    "a connection": {"operation": Operation.CONNECT},
    "a subresource": {"subresource": "status"},
    "no object": {"object": None},
    "an update of nothing": {"operation": Operation.UPDATE},
    "a kind of somebody else's": {"resource": "pods"},
}


@pytest.mark.parametrize("fields", UNEXPECTED.values(), ids=UNEXPECTED)
async def test_it_is_never_let_in_by_accident(fields: dict[str, Any]) -> None:
    house = Gatehouse(proc())
    stored = await house.stored(review(execution_manifest()))
    request = replace(review(stored), **fields)

    for answer in (
        await house.admission.mutate(request),
        await house.admission.validate(request),
    ):
        assert isinstance(answer, TurnedAway)
        assert answer.reason == "UnexpectedRequest"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "procRef", "name", "arguments", "requestedBy", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(manifest=st.dictionaries(st.sampled_from(["metadata", "spec", "x"]), JSON, max_size=3))
def test_no_random_object_is_let_in(manifest: dict[str, Any]) -> None:
    house = Gatehouse(proc())

    async def judged() -> bool:
        answer: Any = None
        # What cannot be judged is an error of the server's, which answers no.
        with suppress(TypeError, AttributeError, ValueError):
            answer = await house.admission.validate(review(manifest, user=EVE))
        return isinstance(answer, Admitted)

    assert not asyncio.run(judged())


async def test_nobody_is_let_in_because_the_api_server_does_not_answer() -> None:
    house = Gatehouse(proc())
    house.cluster.refuses["fetch Proc"] = ClusterUnavailable("10.0.0.1:6443 timed out")

    denial = await house.denial(review(execution_manifest()))

    assert (denial.reason, denial.code) == ("AdmissionUnavailable", 503)
    assert "10.0.0.1" not in denial.message


# Procs


async def test_a_proc_gets_its_label() -> None:
    answer = await Gatehouse().admission.mutate(review({"metadata": {}}, resource=PROCS))

    assert answer == Admitted(patch={"metadata": {"labels": SHARD}})


# Denials


async def test_a_denial_is_counted_and_told_to_the_record_once() -> None:
    house = Gatehouse(proc())
    await house.denial(review(execution_manifest(), user=EVE))
    await house.denial(review(execution_manifest(), user=EVE, is_dry_run=True))
    running = asyncio.create_task(house.denials.run())
    await house.denials.drain(within_seconds=5)
    running.cancel()

    (told,) = house.store.kept.values()
    assert (told.review, told.requester, told.proc) == ("review-1", EVE, "grow-disk")
    assert (told.name, told.reason) == ("grow-", "NotPermitted")
    assert house.metrics.denied == [("procexecutions", Cause.REQUEST)] * 2
    assert house.metrics.denials == ["stored"]


async def test_what_waits_for_the_record_is_bounded_and_holds_no_verdict_up() -> None:
    house = Gatehouse(proc())
    house.store.refuses = RecordUnavailable("away")
    running = asyncio.create_task(house.denials.run())
    for number in range(WAITING_AT_MOST + 10):
        request = review(execution_manifest(), user=EVE, uid=ReviewUid(f"r{number}"))
        await house.denial(request)
    running.cancel()

    assert house.metrics.denials.count("dropped") in (9, 10)
    assert house.store.kept == {}


def replace_groups(groups: tuple[str, ...]) -> Requester:
    return ALICE.model_copy(update={"groups": groups})
