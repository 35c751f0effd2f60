"""Printing a kept log: which part, what is missing, what a terminal would obey, and how much memory."""

from __future__ import annotations

import io
from typing import Any

import pytest

from localpostgres.samples import log_chunk
from proctor_operator.app.log_printing import LogPrinter, LogWanted, what_became_of_the_log
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan, LogSummary
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RunKey
from unit.builders import CREATED, EXECUTION_UID, outcome, recorded_run

KEY = RunKey(CREATED, EXECUTION_UID)
FIRST, SECOND = LogSource(Uid("pod-1"), "proc"), LogSource(Uid("pod-2"), "proc")
INIT = LogSource(Uid("pod-1"), "prepare")
TIME = b"2026-11-20T09:30:18.123456789Z "


class Store:
    """Chunks as they were given; those in `lost` go between the list and the read."""

    def __init__(self, *chunks: LogChunk, lost: tuple[int, ...] = ()) -> None:
        self.chunks = chunks
        self.lost = lost
        self.out = io.BytesIO()
        self.printed_before_read: list[int] = []

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        raise NotImplementedError

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        raise NotImplementedError

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        raise NotImplementedError

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        assert key == KEY
        self.printed_before_read.append(len(self.out.getvalue()))
        for chunk in self.chunks:
            if (chunk.span.source, chunk.span.sequence) == (source, sequence):
                return None if sequence in self.lost else chunk.data
        return None

    async def printed(
        self,
        wanted: LogWanted | None = None,
        *,
        with_times: bool = False,
        is_terminal: bool = False,
    ) -> tuple[bytes, list[str]]:
        """What is written, and what is told; a gap also shows where in the output it is told."""
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(f"{len(self.out.getvalue())}: {text}")

        printer = LogPrinter(self.out, tell, with_times=with_times, is_terminal=is_terminal)
        sources = (wanted or LogWanted()).choose(chunk.span for chunk in self.chunks)
        await printer.print_log(self, KEY, sources)
        return self.out.getvalue(), told


def chunk_of(*texts: bytes, sequence: int = 0, first_line: int = 0, **changes: Any) -> LogChunk:
    data = b"".join(TIME + text + b"\n" for text in texts)
    size = sum(len(text) + 1 for text in texts)
    return log_chunk(data, sequence=sequence, first_line=first_line, **{"size": size, **changes})


async def test_lines_come_without_their_times_unless_these_are_asked_for() -> None:
    chunk = chunk_of(b"one", b"", b" two  words")

    assert await Store(chunk).printed() == (b"one\n\n two  words\n", [])
    assert await Store(chunk).printed(with_times=True) == (chunk.data, [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", b"\\x1b[31mred\\x1b[0m"),
        (b"a\0b\xff", "a\\x00b\ufffd".encode()),
        (b"50%\r100%", b"50%\\r100%"),
        ("grün\t1".encode(), "grün\t1".encode()),
    ],
)
async def test_bytes_stay_as_they_are_but_on_a_terminal(text: bytes, shown: bytes) -> None:
    assert (await Store(chunk_of(text)).printed())[0] == text + b"\n"
    assert (await Store(chunk_of(text)).printed(is_terminal=True))[0] == shown + b"\n"


async def test_missing_lines_are_told_where_they_are_missing() -> None:
    store = Store(
        chunk_of(b"c", sequence=2, first_line=5, first_byte=50),
        chunk_of(b"d", sequence=3, first_line=6, first_byte=52),
        chunk_of(b"z", sequence=9, first_line=1000, first_byte=9000),
    )

    assert await store.printed() == (
        b"c\nd\nz\n",
        [
            "0: ... 5 lines (50 bytes) are not kept ...",
            "4: ... 993 lines (8946 bytes) are not kept ...",
        ],
    )


async def test_a_chunk_that_is_dropped_meanwhile_is_a_gap_too() -> None:
    store = Store(
        chunk_of(b"a"),
        chunk_of(b"b", b"b", sequence=1, first_line=1, first_byte=2),
        chunk_of(b"c", sequence=2, first_line=3, first_byte=6),
        lost=(1,),
    )

    assert await store.printed() == (b"a\nc\n", ["2: ... 2 lines (4 bytes) are not kept ..."])


async def test_where_the_reader_lost_its_place_lines_may_be_missing() -> None:
    store = Store(
        chunk_of(b"a"),
        log_chunk(b"", sequence=1, first_line=1, first_byte=2),
        chunk_of(b"b", sequence=2, first_line=1, first_byte=2),
    )

    assert await store.printed() == (b"a\nb\n", ["2: ... lines may be missing here ..."])


async def test_each_chunk_is_printed_before_the_next_is_read() -> None:
    store = Store(*(chunk_of(b"x" * 99, sequence=n, first_line=n) for n in range(20)))

    await store.printed()

    assert store.printed_before_read == [100 * n for n in range(20)]


ATTEMPTS = (
    chunk_of(b"prepared", source=INIT),
    chunk_of(b"first", source=FIRST),
    chunk_of(b"second", source=SECOND),
)


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [
        (LogWanted(), b"prepared\nfirst\nsecond\n"),
        (LogWanted(attempt=1), b"prepared\nfirst\n"),
        (LogWanted(attempt=2), b"second\n"),
        (LogWanted(attempt=3), b""),
        (LogWanted(container="proc"), b"first\nsecond\n"),
        (LogWanted(attempt=1, container="proc"), b"first\n"),
        (LogWanted(pod_uid=Uid("pod-2")), b"second\n"),
    ],
)
async def test_a_part_is_chosen_by_attempt_pod_and_container(
    wanted: LogWanted, printed: bytes
) -> None:
    assert (await Store(*ATTEMPTS).printed(wanted))[0] == printed


async def test_several_sources_are_told_apart_and_a_single_one_needs_no_title() -> None:
    titles = (await Store(*ATTEMPTS).printed())[1]

    assert titles == [
        "0: ==> pod pod-1, container prepare <==",
        "9: ==> pod pod-1, container proc <==",
        "15: ==> pod pod-2, container proc <==",
    ]
    assert (await Store(*ATTEMPTS).printed(LogWanted(attempt=2)))[1] == []


COMPLETE = LogSummary(is_complete=True, reason="Captured", message="", size=20, lines=3)
CUT = LogSummary(
    is_complete=False, reason="Truncated", message="too long", size=99, lines=9, dropped_lines=4
)
GONE = LogSummary(is_complete=False, reason="PodGone", message="the pod was gone")


@pytest.mark.parametrize(
    ("log", "has_lines", "said"),
    [
        (COMPLETE, True, "the log of run 7 is complete: 3 lines, 20 bytes"),
        (
            COMPLETE,
            False,
            "the log of run 7 (3 lines, 20 bytes) is not kept, or not any more (retention.log_days)",
        ),
        (
            CUT,
            True,
            "the log of run 7 is not complete (Truncated): too long (9 lines, 99 bytes, 4 lines dropped)",
        ),
        (
            GONE,
            False,
            "the log of run 7 is not complete (PodGone): the pod was gone (0 lines, 0 bytes)",
        ),
        (None, True, "the log of run 7: nothing is known of it"),
        (None, False, "the log of run 7: nothing is known of it, and nothing is kept"),
    ],
)
def test_what_became_of_a_log_is_said_in_one_line(
    log: LogSummary | None, *, has_lines: bool, said: str
) -> None:
    run = recorded_run(outcome=outcome(Phase.SUCCEEDED, log=log))

    assert what_became_of_the_log(run, has_lines=has_lines) == said


def test_the_log_of_a_run_under_way_goes_on() -> None:
    assert what_became_of_the_log(recorded_run(), has_lines=True) == (
        "the log of run 7 goes on: the run has not ended"
    )
