"""Whom to wake when a slot is free: the first in line, and nobody who is far behind."""

from __future__ import annotations

from proctor_operator.domain.concurrency import SlotClaim, Waits
from proctor_operator.domain.naming import Uid
from proctor_operator.runtime.lines import Lines
from unit.builders import occupant, run_key, slot_claim

CLAIM, OTHER = slot_claim(), slot_claim(group="schedule/schedule-uid-1")


class Line:
    """A line of waiting runs, by number."""

    def __init__(self, *numbers: int, claims: tuple[SlotClaim, ...] = (CLAIM,)) -> None:
        self.woken: list[Uid] = []
        self.gone: set[Uid] = set()
        self.lines = Lines(self.woken.append, lambda uid: uid not in self.gone)
        self.claims = claims
        for number in numbers:
            self.stand(number, claims)

    def stand(self, number: int, claims: tuple[SlotClaim, ...]) -> None:
        self.lines.stand(run_key(number), claims, Waits(claims[0], (occupant(),)))

    def asks(self, number: int, claims: tuple[SlotClaim, ...] | None = None) -> bool:
        return self.lines.remembered(uid(number), claims or self.claims) is None


def uid(number: int) -> Uid:
    return run_key(number).uid


def test_a_free_slot_wakes_the_oldest_whoever_came_first() -> None:
    line = Line(3, 1, 2)

    line.lines.freed([CLAIM.group])

    assert line.woken == [uid(1)]


def test_where_nobody_knows_whose_slot_is_free_the_first_of_every_line_looks() -> None:
    line = Line(2, 1)
    line.stand(3, (OTHER,))

    line.lines.freed_somewhere()

    assert sorted(line.woken) == [uid(1), uid(3)]


def test_who_leaves_wakes_the_next() -> None:
    line = Line(1, 2, 3)

    line.lines.leave(uid(1))

    assert line.woken == [uid(2)]


def test_who_does_not_wait_leaves_without_a_word() -> None:
    line = Line(1)

    line.lines.leave(uid(9))

    assert line.woken == []


def test_who_was_torn_away_is_not_waited_for() -> None:
    line = Line(1, 2)
    line.gone.add(uid(1))

    line.lines.freed([CLAIM.group])

    assert line.woken == [uid(2)]
    assert line.asks(2)


def test_only_those_in_front_ask() -> None:
    line = Line(1, 2, 3, claims=(slot_claim(limit=2),))

    assert [line.asks(number) for number in (1, 2, 3, 4)] == [True, True, False, True]


def test_the_first_of_one_line_does_not_ask_while_it_is_behind_in_another() -> None:
    line = Line(2)
    line.stand(1, (OTHER,))
    line.stand(2, (CLAIM, OTHER))

    assert not line.asks(2, (CLAIM, OTHER))


def test_where_nobody_queues_everybody_asks() -> None:
    line = Line(1, 2, claims=(slot_claim("Replace"),))

    assert line.asks(2)


def test_other_rules_are_a_new_question() -> None:
    line = Line(1, 2)

    assert line.asks(2, (slot_claim(limit=5),))


def test_a_proc_that_was_edited_wakes_all_that_wait_for_it_once() -> None:
    line = Line(1, 2)
    line.stand(3, (OTHER,))

    line.lines.rules_changed(Uid("proc-uid-1"), 4)
    line.lines.rules_changed(Uid("proc-uid-1"), 4)
    line.lines.rules_changed(Uid("another"), 4)

    assert line.woken == [uid(1), uid(2)]
