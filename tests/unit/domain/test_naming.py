"""Derived names: valid, bounded, the same on every try, and different for different executions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.naming import (
    PREDECESSOR_ENVIRONMENT,
    RESERVED_ENVIRONMENT,
    Namespace,
    Uid,
    is_environment_name,
    is_refused_environment_name,
    job_name,
    label_value,
    occurrence_name,
    shard_of,
)
from unit.builders import EXECUTION_UID

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
OBJECT_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)


@given(name=st.one_of(OBJECT_NAMES, st.text(max_size=300)), uid=st.uuids().map(str))
def test_a_job_name_is_a_dns_label_whatever_the_execution_is_called(name: str, uid: str) -> None:
    derived = job_name(name, Uid(uid))

    assert DNS_LABEL.fullmatch(derived)
    assert len(derived) <= 63
    assert derived == job_name(name, Uid(uid))


@given(name=OBJECT_NAMES, uids=st.lists(st.uuids().map(str), min_size=2, max_size=2, unique=True))
def test_executions_of_one_name_and_different_uids_have_different_jobs(
    name: str, uids: list[str]
) -> None:
    assert job_name(name, Uid(uids[0])) != job_name(name, Uid(uids[1]))


JOB_NAMES = {
    "a short name stays": ("grow-disk-x7", "grow-disk-x7-"),
    "dots become dashes": ("grow.disk", "grow-disk-"),
    "a long name is cut": ("a" * 253, "a" * 52 + "-"),
    "a cut never leaves a dash at the end": ("a" * 51 + "-b" * 9, "a" * 51 + "-"),
    "only dots": ("...", "execution-"),
    "nothing": ("", "execution-"),
}


@pytest.mark.parametrize(("name", "beginning"), JOB_NAMES.values(), ids=JOB_NAMES)
def test_a_job_name_begins_with_the_execution_name_and_ends_with_a_hash(
    name: str, beginning: str
) -> None:
    derived = job_name(name, EXECUTION_UID)

    assert re.fullmatch(re.escape(beginning) + "[0-9a-f]{10}", derived)


def test_the_job_name_of_an_execution_never_changes_between_releases() -> None:
    # A Job that an older release made must be found again.
    assert job_name("grow-disk-x7", Uid("u-1")) == "grow-disk-x7-a24a7f55f2"


@given(text=st.one_of(OBJECT_NAMES, st.text(max_size=300)))
def test_a_label_value_is_always_valid(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))
    assert len(label_value(text)) <= 63


@given(text=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True))
def test_a_text_that_is_a_label_value_already_stays(text: str) -> None:
    assert label_value(text) == text


def test_two_long_names_with_the_same_beginning_get_different_label_values() -> None:
    assert label_value("a" * 100 + "b") != label_value("a" * 100 + "c")


@pytest.mark.parametrize("name", ["SIZE_GB", "a", "_", "_x1", "Ab9"])
def test_a_shell_can_read_it(name: str) -> None:
    assert is_environment_name(name)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A.B", "Ä", "A\n", "A=B", "A\0"])
def test_a_shell_cannot_read_it(name: str) -> None:
    assert not is_environment_name(name)


REFUSED = [
    "PATH",
    "path",
    "LD_PRELOAD",
    "ld_library_path",
    "LD_",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "BASH_ENV",
    "NODE_OPTIONS",
    "HTTP_PROXY",
    "https_proxy",
    "NO_PROXY",
    "KUBERNETES_SERVICE_HOST",
    "PROCTOR_ANYTHING",
    *RESERVED_ENVIRONMENT,
    *PREDECESSOR_ENVIRONMENT,
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_could_steer_the_loader_an_interpreter_or_us_is_refused(name: str) -> None:
    assert is_refused_environment_name(name)


@pytest.mark.parametrize(
    "name", ["SIZE_GB", "MY_PATH", "PATHS", "OLD_LD", "LDAP_URL", "PROXY", "PROCTOR", "PY"]
)
def test_a_name_that_only_resembles_a_refused_one_may_be_used(name: str) -> None:
    assert not is_refused_environment_name(name)


@pytest.mark.parametrize(
    ("namespace", "shard"), [("apps", "14"), ("default", "13"), ("team-a", "4")]
)
def test_a_namespace_keeps_its_shard_for_ever(namespace: str, shard: str) -> None:
    assert shard_of(Namespace(namespace)) == shard


@given(
    name=st.one_of(OBJECT_NAMES, st.text(max_size=300)),
    uid=st.uuids().map(str),
    instant=st.datetimes(timezones=st.just(UTC)),
)
def test_the_name_of_an_occurrence_is_a_dns_label_and_the_same_in_any_zone(
    name: str, uid: str, instant: datetime
) -> None:
    derived = occurrence_name(name, Uid(uid), instant)

    assert DNS_LABEL.fullmatch(derived)
    assert len(derived) <= 63
    if 1 < instant.year < 9999:
        elsewhere = instant.astimezone(timezone(timedelta(hours=9)))
        assert derived == occurrence_name(name, Uid(uid), elsewhere)


@given(name=OBJECT_NAMES, uids=st.lists(st.uuids().map(str), min_size=2, max_size=2, unique=True))
def test_no_two_occurrences_share_a_name(name: str, uids: list[str]) -> None:
    moments = [datetime(2027, 3, 28, 1, tzinfo=UTC) + timedelta(seconds=one) for one in (0, 1, 60)]
    names = {occurrence_name(name, Uid(uid), one) for uid in uids for one in moments}

    assert len(names) == 6


def test_the_name_of_an_occurrence_tells_schedule_and_time() -> None:
    name = occurrence_name("nightly", Uid("u"), datetime(2027, 3, 28, 1, 5, tzinfo=UTC))

    assert name.startswith("nightly-202703280105-")
