"""The ladder of a schedule: what it goes on from, what it says, and what it is that it does next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.execution import ProcRef
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.occurrence import Claim, Progress
from proctor_operator.domain.schedule import (
    CatchUp,
    CatchUpPolicy,
    ProcSchedule,
    ProcScheduleSpec,
    ProcScheduleStatus,
    ScheduleConcurrency,
)
from proctor_operator.reconcile.decision import Rest
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.schedule import decide_schedule
from proctor_operator.reconcile.schedule_decision import (
    BeginSchedule,
    ClaimOccurrence,
    CreateExecution,
    FindRecorded,
    MarkMissed,
    PassOver,
    ReadHolder,
    ReadProgress,
    WriteScheduleStatus,
)
from proctor_operator.reconcile.schedule_policy import SchedulePolicy
from unit.builders import NOW, ago, requester, schedule

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def spec_of(**fields: Any) -> ProcScheduleSpec:
    defaults: dict[str, Any] = {
        "proc_ref": ProcRef(name="grow-disk"),
        "cron": "* * * * *",
        "requested_by": requester(),
    }
    return ProcScheduleSpec(**{**defaults, **fields})


def of(**fields: Any) -> ProcSchedule:
    """A schedule of every minute, created 30 seconds before NOW."""
    return schedule(spec=spec_of(**fields), creation_time=ago(30))


def seen(schedule_: ProcSchedule, progress: Progress | Unseen, **fields: Any) -> ObservedSchedule:
    return ObservedSchedule(schedule_, SchedulePolicy(), progress=progress, **fields)


def begun(schedule_: ProcSchedule, now: datetime = NOW) -> Progress:
    """What is noted of it at first sight."""
    action = decide_schedule(seen(schedule_, Unseen.ABSENT), now)
    assert isinstance(action, BeginSchedule)
    return action.progress


def edited(schedule_: ProcSchedule, **fields: Any) -> ProcSchedule:
    spec = schedule_.spec.model_copy(update=fields)
    return schedule_.model_copy(update={"spec": spec, "generation": schedule_.generation + 1})


def with_status(schedule_: ProcSchedule, **fields: Any) -> ProcSchedule:
    return schedule_.model_copy(update={"status": ProcScheduleStatus(**fields)})


def ready(action: object) -> Condition:
    assert isinstance(action, WriteScheduleStatus)
    return next(one for one in action.status.conditions if one.type == "Ready")


def test_the_record_is_asked_first() -> None:
    assert decide_schedule(seen(of(), Unseen.NOT_READ), NOW) == ReadProgress()


BASELINES: dict[str, tuple[ProcSchedule, datetime]] = {
    "new: from its creation": (of(), ago(30)),
    "edited before anybody saw it: from now": (edited(of()), NOW),
    "the record was lost: from the last that was dealt with": (
        with_status(of(), observed_generation=1, last_occurrence=ago(600)),
        ago(600),
    ),
    "the record was lost, and it was edited since: from now": (
        edited(with_status(of(), observed_generation=1, last_occurrence=ago(600))),
        NOW,
    ),
    "a release that started nothing has seen it: from now": (
        with_status(of(), observed_generation=1),
        NOW,
    ),
}


@pytest.mark.parametrize(("known", "baseline"), BASELINES.values(), ids=BASELINES)
def test_at_first_sight_it_counts(known: ProcSchedule, baseline: datetime) -> None:
    assert begun(known).handled_until == baseline


def test_a_lost_record_goes_on_counting_from_what_the_status_shows() -> None:
    known = with_status(of(), observed_generation=1, last_occurrence=ago(60), missed=7)

    assert (begun(known).missed, begun(known).last_occurrence) == (7, ago(60))


CHANGES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "another cron": ({"cron": "*/2 * * * *"}, True, False),
    "another zone": ({"time_zone": "Europe/Berlin"}, True, False),
    "jitter": ({"jitter_seconds": 5}, True, False),
    "other arguments": ({"arguments": {"A": 1}}, False, True),
    "another author": ({"requested_by": requester(username="bob")}, False, True),
    "another policy": ({"catch_up": CatchUp(policy="All")}, False, False),
    "a deadline": ({"starting_deadline_seconds": 300}, False, False),
}


@pytest.mark.parametrize(("fields", "timing", "asked"), CHANGES.values(), ids=CHANGES)
def test_an_edit_starts_nothing_that_is_past(
    fields: dict[str, Any], *, timing: bool, asked: bool
) -> None:
    known = of(catch_up=CatchUp(policy="All"))
    progress = replace(begun(known), handled_until=ago(3600), asked_since=ago(9999))

    action = decide_schedule(seen(edited(known, **fields), progress), NOW)

    if not (timing or asked):
        assert isinstance(action, PassOver | ClaimOccurrence), "the old times are due as they were"
        return
    assert isinstance(action, BeginSchedule)
    assert action.progress.handled_until == (NOW if timing else ago(3600))
    assert action.progress.asked_since == (NOW if asked else ago(9999))


def test_suspending_counts_what_was_not_started_until_then() -> None:
    known = of()
    progress = replace(begun(known), handled_until=ago(180))

    first = decide_schedule(seen(edited(known, suspend=True), progress), NOW)

    assert isinstance(first, PassOver)
    assert (first.missed.until, first.missed.count) == (NOW, 3)
    moved = replace(progress, handled_until=NOW)
    then = decide_schedule(seen(edited(known, suspend=True), moved), NOW)
    assert isinstance(then, BeginSchedule)
    assert then.progress.is_suspended


def test_of_several_edits_that_nobody_saw_one_may_have_switched_it_off() -> None:
    shown = ProcScheduleStatus(observed_generation=1)
    once, twice = (
        of(catch_up=CatchUp(policy=CatchUpPolicy.ALL)).model_copy(
            update={"status": shown, "generation": generation}
        )
        for generation in (2, 3)
    )
    progress = replace(begun(once), handled_until=ago(180))

    assert isinstance(decide_schedule(seen(once, progress), NOW), ClaimOccurrence)
    first = decide_schedule(seen(twice, progress), NOW)
    assert isinstance(first, PassOver)
    assert first.missed.count == 3
    moved = replace(progress, handled_until=NOW)
    then = decide_schedule(seen(twice, moved), NOW + SECOND)
    assert then == BeginSchedule(replace(moved, handled_until=NOW + SECOND))
    after = decide_schedule(seen(twice, then.progress, has_begun=True), NOW + SECOND)
    assert isinstance(after, WriteScheduleStatus)
    assert after.status.observed_generation == 3


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    known = of()
    progress = replace(begun(known), handled_until=NOW, last_occurrence=NOW)
    shown = decide_schedule(seen(known, progress), NOW - 5 * MINUTE)
    assert isinstance(shown, WriteScheduleStatus)

    rest = decide_schedule(
        seen(known.model_copy(update={"status": shown.status}), progress), NOW - 5 * MINUTE
    )

    assert shown.status.next_occurrence == NOW + MINUTE
    assert rest == Rest(after_seconds=360.0)


def test_a_clock_that_was_years_ahead_stops_nothing_for_years() -> None:
    known = of()
    progress = replace(begun(known), handled_until=NOW + timedelta(days=900))

    action = decide_schedule(seen(known, progress), NOW)

    assert action == BeginSchedule(replace(progress, handled_until=NOW))
    shown = with_status(known, last_occurrence=NOW + timedelta(days=900))
    then = decide_schedule(seen(shown, replace(progress, handled_until=NOW)), NOW)
    assert isinstance(then, WriteScheduleStatus), "the status of then is no reason to wait for it"


def test_a_record_from_a_backup_does_not_repeat_what_the_status_shows() -> None:
    known = with_status(
        of(catch_up=CatchUp(policy="All")),
        observed_generation=1,
        last_occurrence=ago(120),
        missed=3,
    )
    restored = replace(begun(of()), handled_until=ago(86400), missed=1)

    action = decide_schedule(seen(known, restored), NOW)

    assert action == BeginSchedule(
        replace(restored, handled_until=ago(120), last_occurrence=ago(120), missed=3)
    )
    assert isinstance(decide_schedule(seen(known, action.progress), NOW), ClaimOccurrence)


def test_what_is_being_deleted_starts_nothing() -> None:
    known = of().model_copy(update={"deletion_time": NOW})

    assert decide_schedule(seen(known, begun(of())), NOW) == Rest()


def test_a_mistake_is_said_and_plans_nothing() -> None:
    known = with_status(of(cron="61 * * * *"), next_occurrence=NOW)

    action = decide_schedule(seen(known, Unseen.NOT_READ), NOW)

    assert ready(action).reason == "InvalidSchedule"
    assert "minute '61': it takes 0 to 59" in ready(action).message
    assert isinstance(action, WriteScheduleStatus)
    assert action.status.next_occurrence is None
    assert action.status.observed_generation == 1


@pytest.mark.parametrize("policy", ["Forbid", "Queue", "Replace"])
def test_a_limit_of_its_own_runs_keeps_no_run_from_being_made(policy: str) -> None:
    """Whether it may start is decided when it is there, by the same rule as for everybody."""
    known = of(concurrency=ScheduleConcurrency(policy=policy))

    assert decide_schedule(seen(known, Unseen.NOT_READ), NOW) == ReadProgress()


BERLIN = "Europe/Berlin"
SAID: dict[str, tuple[dict[str, Any], datetime, str]] = {
    "in UTC": (
        {"cron": "0 1 * * *"},
        datetime.fromisoformat("2026-11-20T09:30:00Z"),
        "next run 2026-11-21T01:00:00Z",
    ),
    "on its author's clock": (
        {"cron": "30 2 * * *", "time_zone": BERLIN},
        datetime.fromisoformat("2026-11-20T09:30:00Z"),
        "next run 2026-11-21T01:30:00Z (02:30 Europe/Berlin)",
    ),
    "moved": (
        {"cron": "30 2 * * *", "time_zone": BERLIN},
        datetime.fromisoformat("2026-03-28T12:00:00Z"),
        "next run 2026-03-29T01:00:00Z (03:00 Europe/Berlin, moved from a time that the clock skips)",
    ),
    "once": (
        {"cron": None, "at": datetime.fromisoformat("2027-01-01T00:00:00Z")},
        datetime.fromisoformat("2026-11-20T09:30:00Z"),
        "next run 2027-01-01T00:00:00Z",
    ),
    "never again": (
        {"cron": None, "at": datetime.fromisoformat("2026-01-01T00:00:00Z")},
        datetime.fromisoformat("2026-11-20T09:30:00Z"),
        "spec.at 2026-01-01T00:00:00Z has passed: nothing is started any more",
    ),
}


@pytest.mark.parametrize(("fields", "now", "words"), SAID.values(), ids=SAID)
def test_why_the_next_run_is_when_it_is(fields: dict[str, Any], now: datetime, words: str) -> None:
    known = schedule(spec=spec_of(**fields), creation_time=now)

    action = decide_schedule(seen(known, begun(known, now)), now)

    assert (ready(action).status, ready(action).message) == ("True", words)


def test_a_delay_is_said_and_kept() -> None:
    known = schedule(spec=spec_of(cron="0 * * * *", jitter_seconds=1800), creation_time=NOW)
    progress = begun(known)
    shown = decide_schedule(seen(known, progress), NOW)
    assert isinstance(shown, WriteScheduleStatus)
    planned = datetime.fromisoformat("2026-11-20T10:00:00Z")
    assert shown.status.next_occurrence == planned
    delay = int(ready(shown).message.partition("delayed by ")[2].partition(" s")[0])
    assert 0 < delay <= 1800
    after = known.model_copy(update={"status": shown.status})

    early = decide_schedule(seen(after, progress), planned + timedelta(seconds=delay - 1))
    due = decide_schedule(seen(after, progress), planned + timedelta(seconds=delay))

    assert early == Rest(after_seconds=1.0)
    assert isinstance(due, ClaimOccurrence)
    assert due.claim.instant == planned


CLAIM = Claim(NOW, "nightly-1")


def claimed(known: ProcSchedule) -> Progress:
    return replace(begun(known), handled_until=NOW, open_claims=(CLAIM,))


def test_what_this_pass_has_claimed_is_made_at_once() -> None:
    known = of()

    action = decide_schedule(seen(known, claimed(known), own_claim=CLAIM), NOW + 300 * SECOND)

    assert isinstance(action, CreateExecution)
    assert action.manifest["metadata"]["name"] == "nightly-1"


FOUND: dict[str, tuple[dict[str, Any], dict[str, Any], float, type]] = {
    "nothing is known: who has its name": ({}, {}, 1, ReadHolder),
    "nobody has it: was it there": ({}, {"holder": Unseen.ABSENT}, 1, FindRecorded),
    "it never was: it is made": (
        {},
        {"holder": Unseen.ABSENT, "recorded": Unseen.ABSENT},
        60,
        CreateExecution,
    ),
    "it never was, and it is too late": (
        {},
        {"holder": Unseen.ABSENT, "recorded": Unseen.ABSENT},
        61,
        MarkMissed,
    ),
    "it never was, and may be caught up": (
        {"catch_up": CatchUp(policy="Last")},
        {"holder": Unseen.ABSENT, "recorded": Unseen.ABSENT},
        61,
        CreateExecution,
    ),
    "it never was, and somebody suspended the schedule": (
        {"suspend": True},
        {"holder": Unseen.ABSENT, "recorded": Unseen.ABSENT},
        1,
        MarkMissed,
    ),
}


@pytest.mark.parametrize(("fields", "known", "late", "wanted"), FOUND.values(), ids=FOUND)
def test_a_claim_of_an_earlier_pass(
    fields: dict[str, Any], known: dict[str, Any], late: float, wanted: type
) -> None:
    plan = of(**fields)

    action = decide_schedule(seen(plan, claimed(plan), **known), NOW + late * SECOND)

    assert isinstance(action, wanted)
