"""Conditions: laid over one another, and messages cut to size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.conditions import (
    MESSAGE_LIMIT_BYTES,
    Condition,
    ConditionStatus,
    ConditionType,
    as_reason,
    condition,
    is_true,
    merge,
    shorten,
    without,
)
from unit.builders import NOW, ago, says

LONG_AGO = ago(3600)
STARTED = ConditionType.STARTED
RECORDED = ConditionType.RECORDED
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def test_the_transition_time_stays_when_only_the_words_change() -> None:
    before = says(STARTED, TRUE, "Old", now=LONG_AGO)

    (merged,) = merge((before,), (says(STARTED, TRUE, "New"),))

    assert merged.last_transition_time == LONG_AGO
    assert merged.reason == "New"


@pytest.mark.parametrize("status", [FALSE, UNKNOWN])
def test_the_transition_time_moves_when_the_status_changes(status: ConditionStatus) -> None:
    before = says(STARTED, TRUE, now=LONG_AGO)

    (merged,) = merge((before,), (says(STARTED, status),))

    assert merged.last_transition_time == NOW


def test_conditions_keep_their_places_and_new_ones_follow() -> None:
    before = (says(RECORDED), says(STARTED, FALSE))
    after = (says(ConditionType.COMPLETE), says(STARTED))

    merged = merge(before, after)

    assert [one.type for one in merged] == [RECORDED, STARTED, ConditionType.COMPLETE]
    assert merged[0] == before[0]


STATEMENTS = st.lists(
    st.builds(
        says,
        st.sampled_from(list(ConditionType)),
        st.sampled_from(list(ConditionStatus)),
        st.sampled_from(["One", "Two"]),
        now=st.sampled_from([NOW, LONG_AGO]),
    ),
    max_size=6,
)


@given(before=STATEMENTS, after=STATEMENTS)
def test_merging_the_same_statements_twice_changes_nothing_more(
    before: list[Condition], after: list[Condition]
) -> None:
    once = merge(before, after)

    assert merge(once, after) == once
    assert len({one.type for one in once}) == len(once)


def test_what_differs_in_time_only_says_the_same() -> None:
    assert says(STARTED, now=LONG_AGO).says_the_same_as(says(STARTED))
    assert not says(STARTED, FALSE).says_the_same_as(says(STARTED))
    assert not says(STARTED, reason="A").says_the_same_as(says(STARTED, reason="B"))


def test_a_condition_is_true_only_if_it_is_there_and_says_so() -> None:
    assert is_true((says(STARTED),), STARTED)
    assert not is_true((says(STARTED, FALSE),), STARTED)
    assert not is_true((says(STARTED, UNKNOWN),), STARTED)
    assert not is_true((says(RECORDED),), STARTED)


def test_conditions_of_a_type_are_left_out() -> None:
    left = without((says(STARTED), says(RECORDED), says(ConditionType.STALLED)), STARTED, RECORDED)

    assert [one.type for one in left] == [ConditionType.STALLED]


def test_a_message_of_any_length_fits_into_a_condition() -> None:
    built = condition(STARTED, TRUE, "Because", "ü" * 5000, generation=1, now=NOW)

    assert len(built.message.encode()) <= MESSAGE_LIMIT_BYTES
    assert built.message.endswith("…")


@given(text=st.text(max_size=60), limit=st.integers(3, 80))
def test_a_shortened_text_fits_and_is_a_beginning_of_whole_characters(
    text: str, limit: int
) -> None:
    short = shorten(text, limit)

    assert len(short.encode()) <= limit
    if len(text.encode()) <= limit:
        assert short == text
    else:
        assert short.endswith("…")
        assert text.startswith(short.removesuffix("…"))
        # No whole character more would have fitted.
        following = text[len(short) - 1]
        assert len((short + following).encode()) > limit


REASONS = {
    "one word stays": ("OOMKilled", "OOMKilled"),
    "digits may follow": ("OutOf2cpu", "OutOf2cpu"),
    "nothing": ("", "Otherwise"),
    "a sentence": ("Node is gone", "Otherwise"),
    "a digit first": ("2Many", "Otherwise"),
    "a line end": ("Word\n", "Otherwise"),
    "letters beyond ASCII": ("Größe", "Otherwise"),
    "too long": ("A" * 129, "Otherwise"),
    "just not too long": ("A" * 128, "A" * 128),
}


@pytest.mark.parametrize(("said", "reason"), REASONS.values(), ids=REASONS)
def test_a_foreign_reason_is_used_only_if_the_api_server_takes_it(said: str, reason: str) -> None:
    assert as_reason(said, otherwise="Otherwise") == reason
