"""Cron expressions: what is read, and what their authors are told about mistakes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proctor_operator.domain.cron import SHORTHANDS, Cron, Mistake, read_cron
from proctor_operator.domain.occurrences import find_timing_problem
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.domain.zones import find_zone, suggest_zones, zone_names

SAME = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 jan *",
    "@annually": "0 0 1 1 *",
    "0 0 * * 7": "0 0 * * 0",
    "0 0 * * SUN-Tue": "0 0 * * 0,1,2",
    "0 0 * * fri-sun": "0 0 * * 0,5,6",
    "0 0 * * 5-7": "0 0 * * 0,5,6",
    "0 0 * * sat-sun": "0 0 * * 6,7",
    "0 0 1 jan-mar,DEC *": "0 0 1 1,2,3,12 *",
    "*/20 0 * * *": "0,20,40 0 * * *",
    "10-40/15 0 * * *": "10,25,40 0 * * *",
    "0 0 */10 * *": "0 0 */10 */1 *",
    "  0   0  1 1  *  ": "0 0 1 1 *",
    "00 05 01 * *": "0 5 1 * *",
}


@pytest.mark.parametrize(("text", "other"), SAME.items(), ids=SAME)
def test_these_two_mean_the_same(text: str, other: str) -> None:
    assert read_cron(text, "") == read_cron(other, "")


def test_a_star_with_a_step_of_the_week_is_sunday_once() -> None:
    assert read_cron("0 0 * * */7", "").weekdays == {0}
    assert read_cron("0 0 * * */2", "").weekdays == {0, 2, 4, 6}


MISTAKES: dict[str, tuple[str, ...]] = {
    "61 * * * *": ("minute '61'", "0 to 59"),
    "0 24 * * *": ("hour '24'", "0 to 23"),
    "0 0 0 * *": ("day of month '0'", "1 to 31"),
    "0 0 1 13 *": ("month '13'", "1 to 12 or jan to dec"),
    "0 0 * * 8": ("day of week '8'", "0 to 7 or sun to sat"),
    "0 0 * * mno": ("did you mean mon?",),
    "0 0 * jnu *": ("did you mean jun?",),
    "h * * * *": ("did you mean H?",),
    "h/15 * * * *": ("minute 'h/15'", "did you mean H?"),
    "H(0-61) * * * *": ("minute 'H(0-61)'", "0 to 59"),
    "H() * * * *": ("minute 'H()'",),
    "HELLO * * * *": ("minute 'HELLO'",),
    "*/0 * * * *": ("a step is 1 to 60",),
    "*/90 * * * *": ("a step is 1 to 60",),
    "H/61 * * * *": ("a step is 1 to 60",),
    "5/10 * * * *": ("such as 5-59/10 or */10",),
    "0 22-6 * * *": ("a range goes upwards", "22-23,0-6"),
    "0 0 ? * *": ("write * for any value",),
    "0 0 L * *": ("day of month 'L'",),
    "0 0 * * mon#1": ("day of week 'mon#1'",),
    "1,,2 * * * *": ("minute ''",),
    "-1 * * * *": ("minute '-1'",),
    "\u0661 * * * *": ("minute",),
    "99999999999 * * * *": ("minute '99999999999'",),
    "* * * *": ("it has 4 fields", "five"),
    "0 0 0 * * *": ("it has 6 fields",),
    "": ("it has 0 fields",),
    "0\t0\t*\t*\t*": ("it has 1 fields",),
    "@Dayly": ("did you mean @daily?",),
    "@reboot": ("it takes @hourly",),
    "0 0 30 2 *": ("it never fires", "no month of '2' has a day 30"),
    "0 0 31 apr,jun *": ("it never fires",),
    "0 0 31 2 */2": ("it never fires",),
    "0 0 H(29-31) 2 *": ("it never fires", "every value that H may be"),
    "0 0 31 H(1-4) *": ("it never fires",),
    "0," * 200: ("it has 400 characters, and may have 256",),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=lambda one: repr(one)[:30])
def test_a_mistake_is_told_with_what_would_be_right(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(Mistake) as told:
        read_cron(text, "")

    assert [word for word in words if word not in str(told.value)] == []


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 30 2 mon", "0 0 29 2 */7", "0 0 31 H(1-1) *"])
def test_what_fires_seldom_is_no_mistake(text: str) -> None:
    assert isinstance(read_cron(text, ""), Cron)


@given(
    text=st.one_of(
        st.text(max_size=300),
        st.text("0123456789*/-,H() @abjmnosu", max_size=260),
        st.lists(
            st.text("0123456789*/-,H()monfri", min_size=1, max_size=50), min_size=5, max_size=5
        ).map(" ".join),
    ),
    zone=st.one_of(st.sampled_from(["Europe/Berlin", "../../etc/passwd", ""]), st.text()),
    jitter=st.integers(),
)
@example(text="H(" * 128, zone="a" * 10_000, jitter=0)
@example(text=",".join(["*/1"] * 60) + " * * * *", zone="Etc/UTC", jitter=1)
def test_no_text_makes_it_fail_or_take_long(text: str, zone: str, jitter: int) -> None:
    spec = spec_with(cron=text, timeZone=zone, jitterSeconds=jitter)
    before = time.process_time()

    problem = find_timing_problem(spec)

    assert time.process_time() - before < 1
    assert problem is None or problem.startswith("spec.")
    assert len(problem or "") < 2000


def spec_with(**fields: Any) -> ProcScheduleSpec:
    return ProcScheduleSpec.model_validate({"procRef": {"name": "p"}, **fields})


TIMINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "the city alone": (
        {"cron": "@daily", "timeZone": "Berlin"},
        ("spec.timeZone 'Berlin'", "did you mean Europe/Berlin?"),
    ),
    "another case": ({"cron": "@daily", "timeZone": "europe/berlin"}, ("Europe/Berlin?",)),
    "a slip of the pen": ({"cron": "@daily", "timeZone": "Europe/Berln"}, ("Europe/Berlin",)),
    "a blank": ({"cron": "@daily", "timeZone": "America/New York"}, ("America/New_York?",)),
    "nowhere near": ({"cron": "@daily", "timeZone": "Mars/Base"}, ("look like Europe/Berlin",)),
    "both": ({"cron": "@daily", "at": "2027-01-01T00:00:00Z"}, ("both are given",)),
    "neither": ({}, ("neither is given",)),
    "no offset": ({"at": "2027-01-01T00:00:00"}, ("spec.at '2027-01-01T00:00:00'", "offset")),
    "too late": ({"at": "9999-12-31T23:59:59-12:00"}, ("spec.at", "2001 to 2499")),
    "too early": ({"at": "0001-01-01T00:00:00+12:00"}, ("spec.at", "2001 to 2499")),
    "less than no jitter": ({"cron": "@daily", "jitterSeconds": -1}, ("jitterSeconds -1",)),
    "a jitter of days": ({"cron": "@weekly", "jitterSeconds": 86_401}, ("0 to 86400",)),
    "a jitter into the next one": (
        {"cron": "0 1,2 * * *", "jitterSeconds": 3600},
        ("spec.jitterSeconds 3600", "less than the 3600 seconds"),
    ),
    "a jitter into the next day": ({"cron": "0 0,23 * * *", "jitterSeconds": 3600}, ("3600",)),
    "all at once": (
        {"cron": "61 * * * *", "timeZone": "Berlin", "jitterSeconds": -1},
        ("spec.cron '61 * * * *'", "spec.timeZone 'Berlin'", "spec.jitterSeconds -1"),
    ),
}


@pytest.mark.parametrize(("fields", "words"), TIMINGS.values(), ids=TIMINGS)
def test_a_timing_that_cannot_work_is_told_by_its_field(
    fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    problem = find_timing_problem(spec_with(**fields))

    assert problem is not None
    assert [word for word in words if word not in problem] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "@daily", "jitterSeconds": 86_399},
        {"cron": "0 1,2 * * *", "jitterSeconds": 3599},
        {"cron": "0 0,23 1 * *", "jitterSeconds": 7200},
        {"cron": "@monthly", "jitterSeconds": 86_400, "timeZone": "Australia/Lord_Howe"},
        {"at": "2027-01-01T00:00:00+05:45", "jitterSeconds": 60},
        *({"cron": one} for one in SHORTHANDS),
    ],
    ids=str,
)
def test_a_timing_that_works_has_nothing_wrong(fields: dict[str, Any]) -> None:
    assert find_timing_problem(spec_with(**fields)) is None


def test_every_name_of_a_zone_leads_to_one() -> None:
    zones = {name: find_zone(name) for name in zone_names()}

    assert len(zones) > 500
    assert [name for name, zone in zones.items() if zone is None or zone.key != name] == []


@given(name=st.text(max_size=80))
@example(name="../zones")
@example(name="Europe")
def test_no_other_text_is_a_zone(name: str) -> None:
    assert name in zone_names() or find_zone(name) is None
    assert set(suggest_zones(name)) <= zone_names()
