"""What goes into the record comes out of it, and nothing is refused for ever for its text."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localpostgres.samples import CREATED, JOB, log_summary, refusal, run_outcome, run_request
from proctor_operator.adapters.postgres.cleaning import from_json, to_json
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.identity import Requester, Via
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import Outcome, PinnedSpec, RunKey, RunRequest

BAD = "a\0b\ud800c\udfffd"
CLEAN = "a\ufffdb\ufffdc\ufffdd"

storable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
any_text = st.text(st.characters(), max_size=40) | st.sampled_from([BAD, "\0", "\ud800"])
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
instants = st.timedeltas(dt.timedelta(days=-700_000), dt.timedelta(days=2_900_000)).map(
    lambda distance: CREATED + distance
)


def json_values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )


def requests(text: st.SearchStrategy[str]) -> st.SearchStrategy[RunRequest]:
    objects = st.dictionaries(text, json_values(text), max_size=4)
    requesters = st.builds(
        Requester,
        username=text,
        uid=text,
        groups=st.lists(text, max_size=3).map(tuple),
        extra=st.dictionaries(text, st.lists(text, max_size=2).map(tuple), max_size=2),
        via=st.sampled_from(Via),
    )
    pins = st.builds(
        PinnedSpec,
        name=st.just("grow-disk"),
        uid=text.map(Uid),
        generation=st.integers(0, 2**63 - 1),
        spec=objects,
    )
    return st.builds(
        RunRequest,
        # Examples repeat and share the database: each run needs a UID of its own.
        key=st.builds(RunKey, created_at=instants, uid=st.builds(lambda: Uid(str(uuid.uuid4())))),
        namespace=text.map(Namespace),
        name=text,
        proc_name=st.just("grow-disk"),
        requester=st.none() | requesters,
        reason=text,
        arguments=objects,
        pinned=st.none() | pins,
        grant=text,
        fingerprint=text,
    )


def outcomes(text: st.SearchStrategy[str]) -> st.SearchStrategy[Outcome]:
    return st.builds(
        Outcome,
        phase=st.sampled_from([phase for phase in Phase if phase.is_terminal]),
        reason=text,
        message=text,
        completed_at=instants,
        started_at=st.none() | instants,
        exit_code=st.none() | st.integers(0, 2**31 - 1),
        attempts=st.none() | st.integers(0, 100),
        pod_name=st.none() | text,
        image_id=st.none() | text,
        result=st.none() | text,
        log=st.none() | summaries(text),
    )


def summaries(text: st.SearchStrategy[str]) -> st.SearchStrategy[LogSummary]:
    counts = st.integers(0, 2**63 - 1)
    return st.builds(
        LogSummary,
        is_complete=st.booleans(),
        reason=text,
        message=text,
        size=counts,
        lines=counts,
        dropped_lines=counts,
        tail=st.none() | text,
        is_tail_cut=st.booleans(),
    )


many = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(request=requests(storable), outcome=outcomes(storable))
async def test_a_run_and_its_outcome_come_back_as_they_were_given(
    records: PostgresRecords, request: RunRequest, outcome: Outcome
) -> None:
    recorded = await records.record_run(request)
    stored = await records.record_outcome(request.key, JOB, outcome)
    found = await records.find_run(recorded.number)

    assert recorded.request == request
    assert stored == outcome
    assert found == replace(recorded, job_uid=JOB, started_at=outcome.started_at, outcome=outcome)


@many
@given(request=requests(any_text), outcome=outcomes(any_text))
async def test_no_text_is_refused_and_what_is_stored_is_the_same_each_time(
    records: PostgresRecords, request: RunRequest, outcome: Outcome
) -> None:
    recorded = await records.record_refusal(request, outcome)

    assert await records.record_refusal(request, outcome) == recorded
    assert await records.record_outcome(request.key, JOB, outcome) == recorded.outcome
    assert await records.fetch_run(request.key) == recorded


async def test_nul_and_half_characters_are_replaced_everywhere(records: PostgresRecords) -> None:
    request = run_request(
        name=BAD,
        reason=BAD,
        grant=BAD,
        fingerprint=BAD,
        requester=Requester(username=BAD, uid=BAD, groups=(BAD,), extra={BAD: (BAD,)}),
        arguments={BAD: [BAD, {BAD: BAD}]},
    )
    outcome = run_outcome(
        message=BAD,
        result=BAD,
        pod_name=BAD,
        image_id=BAD,
        reason=BAD,
        log=log_summary(reason=BAD, message=BAD, tail=BAD),
    )

    recorded = await records.record_refusal(request, outcome)

    assert recorded.request == run_request(
        key=request.key,
        name=CLEAN,
        reason=CLEAN,
        grant=CLEAN,
        fingerprint=CLEAN,
        requester=Requester(username=CLEAN, uid=CLEAN, groups=(CLEAN,), extra={CLEAN: (CLEAN,)}),
        arguments={CLEAN: [CLEAN, {CLEAN: CLEAN}]},
    )
    assert recorded.outcome == run_outcome(
        message=CLEAN,
        result=CLEAN,
        pod_name=CLEAN,
        image_id=CLEAN,
        reason=CLEAN,
        log=log_summary(reason=CLEAN, message=CLEAN, tail=CLEAN),
    )


async def test_texts_of_any_length_are_stored_and_names_and_messages_cut(
    records: PostgresRecords,
) -> None:
    huge = "ä" * 1_000_000
    request = run_request(
        namespace=Namespace(huge),
        name=huge,
        proc_name=huge,
        reason=huge,
        arguments={"A": huge},
        pinned=None,
    )

    recorded = await records.record_refusal(
        request, refusal(message=huge, result=huge, log=log_summary(message=huge, tail=huge))
    )

    assert recorded.outcome is not None
    assert recorded.request.namespace == recorded.request.proc_name == huge[:253]
    assert (recorded.request.reason, recorded.request.arguments) == (huge, {"A": huge})
    assert len(recorded.outcome.message.encode()) == 1024
    assert len((recorded.outcome.result or "").encode()) == 4096
    assert recorded.outcome.log is not None
    assert len(recorded.outcome.log.message.encode()) == 1024
    assert len((recorded.outcome.log.tail or "").encode()) == 4096


async def test_a_key_with_bad_text_finds_its_own_row(records: PostgresRecords) -> None:
    key = RunKey(created_at=CREATED, uid=Uid(BAD + "x" * 5000))

    await records.record_run(run_request(key=key))
    await records.record_outcome(key, JOB, run_outcome())

    stored = await records.fetch_run(key)
    assert stored is not None
    assert stored.outcome == run_outcome()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**64, float(2**64)),
        (10**400, "(a number too large to be recorded)"),
        (1e300, 1e300),
        # Shortest digits end in zeros that the exact number does not have.
        (6.442745501009233e16, 64427455010092328),
        (5e-324, 5e-324),
        (-(2**63), -(2**63)),
        (True, True),
    ],
)
async def test_a_number_that_json_lacks_does_not_stop_a_run(
    records: PostgresRecords, value: object, read: object
) -> None:
    recorded = await records.record_run(run_request(arguments={"N": value}))

    assert recorded.request.arguments == {"N": read}


async def test_a_value_nested_without_end_is_cut_off(records: PostgresRecords) -> None:
    nested: list[Any] = []
    for _ in range(3000):
        nested = [nested]

    recorded = await records.record_run(run_request(arguments={"N": nested}))

    assert "nested too deep" in json.dumps(recorded.request.arguments)


async def test_a_count_beyond_its_column_is_refused_and_not_retried_as_an_outage(
    records: PostgresRecords,
) -> None:
    request = run_request()
    await records.record_run(request)

    with pytest.raises(RecordRejected, match="DataError") as caught:
        await records.record_outcome(request.key, JOB, run_outcome(exit_code=2**70))
    assert str(2**70) not in str(caught.value)


def test_json_keeps_the_difference_between_absent_null_false_and_zero() -> None:
    value: dict[str, Any] = {
        "none": None,
        "false": False,
        "zero": 0,
        "empty": "",
        "list": [],
        "map": {},
    }

    assert from_json(to_json(value)) == value
