"""The record for admins: what is asked for, and how it is printed."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import pytest

from localpostgres.samples import log_chunk
from proctor_operator.app import records_command as command
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan, LogSummary
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RecordedRun, RunKey, Transition
from proctor_operator.ports.records import RunFilter
from unit.builders import (
    EXECUTION_UID,
    NOW,
    STARTED,
    outcome,
    recorded_run,
    requester,
    run_request,
)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_records_arguments(parser)
    return parser.parse_args(arguments)


def table(*runs: RecordedRun) -> list[str]:
    rows = [command._COLUMNS, *(command._row(run) for run in runs)]
    return command._as_table(rows).splitlines()


def test_the_table_has_aligned_columns_and_no_trailing_blanks() -> None:
    lines = table(
        recorded_run(
            run_request(name="a-long-name-of-an-execution"),
            outcome=outcome(Phase.FAILED, reason="OOMKilled"),
        ),
        recorded_run(number=12345, started_at=STARTED),
        recorded_run(run_request(requester=None)),
    )

    at, name = "2026-11-20T09:29:05Z", "a-long-name-of-an-execution"
    cells = [
        list(command._COLUMNS),
        f"7 apps {name} grow-disk alice Failed OOMKilled {at} 2026-11-20T09:29:50Z".split(),
        f"12345 apps grow-disk-x7 grow-disk alice Running - {at} -".split(),
        f"7 apps grow-disk-x7 grow-disk - Pending - {at} -".split(),
    ]
    widths = [6, 9, 27, 9, 9, 7, 9, 20, 20]
    assert lines == [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def test_an_empty_table_still_names_its_columns() -> None:
    assert table() == ["   ".join(command._COLUMNS)]


def test_a_name_that_a_terminal_would_obey_is_written_out() -> None:
    forged = requester(username="mallory\x1b[2J\nroot")

    lines = table(recorded_run(run_request(requester=forged)))

    assert len(lines) == 2
    assert "\x1b" not in lines[1]
    assert "mallory\\x1b[2J\\nroot" in lines[1]


ALL_OPTIONS = (
    "-n apps --proc p --requester alice --phase Lost --before 9 --limit 1000 "
    "--since 2026-11-01 --until 2026-11-30T12:00+02:00"
)
FILTERS: dict[str, tuple[list[str], RunFilter]] = {
    "nothing": ([], RunFilter(limit=50)),
    "everything": (
        ALL_OPTIONS.split(),
        RunFilter(
            namespace=run_request().namespace,
            proc_name="p",
            requester="alice",
            phase=Phase.LOST,
            created_from=datetime(2026, 11, 1, tzinfo=UTC),
            created_before=datetime(2026, 11, 30, 10, tzinfo=UTC),
            before_number=9,
            limit=1000,
        ),
    ),
}


@pytest.mark.parametrize(("arguments", "wanted"), FILTERS.values(), ids=FILTERS)
def test_options_become_a_filter(arguments: list[str], wanted: RunFilter) -> None:
    assert command._filter(parsed("list", *arguments)) == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "0"],
        ["--limit", "1001"],
        ["--limit", "many"],
        ["--phase", "Dancing"],
        ["--since", "yesterday"],
        ["--until", "2026-13-01"],
        ["--since", "0001-01-01T00:00+14:00"],
        ["--before", "0"],
        ["--before", str(2**63)],
        ["--before", "9" * 5000],
        ["--limit", "9" * 5000],
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("list", *arguments)

    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("attempt", ["0", "-1", "last"])
def test_an_attempt_is_a_number_from_one(attempt: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("log", "7", "--attempt", attempt)

    assert "--attempt" in capsys.readouterr().err


def test_a_namespace_that_is_empty_is_not_every_namespace() -> None:
    assert command._filter(parsed("list", "--namespace", "")).namespace == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", 12),
        ("0" * 5000 + "12", 12),
        ("5b1c0d6e-00", "5b1c0d6e-00"),
    ],
    ids=["a number", "a number with many digits", "a UID"],
)
def test_a_run_is_named_by_number_or_uid(text: str, found: object) -> None:
    assert command._number_or_uid(text) == found


class Archive:
    """A record of one run, and what is kept of its output."""

    def __init__(self, run: RecordedRun, *chunks: LogChunk) -> None:
        self.run = run
        self.chunks = {(one.span.source, one.span.sequence): one for one in chunks}

    async def list_runs(self, wanted: RunFilter) -> tuple[RecordedRun, ...]:
        return (self.run,) if wanted.namespace in (None, self.run.request.namespace) else ()

    async def find_run(self, number_or_uid: int | Uid) -> RecordedRun | None:
        is_it = number_or_uid in (self.run.number, self.run.request.key.uid)
        return self.run if is_it else None

    async def list_transitions(self, key: RunKey) -> tuple[Transition, ...]:
        assert key == self.run.request.key
        return (Transition("Started", Phase.RUNNING, STARTED, NOW),)

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        raise NotImplementedError

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        assert key == self.run.request.key
        return tuple(chunk.span for chunk in self.chunks.values())

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        assert key == self.run.request.key
        return self.chunks[source, sequence].data

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        raise NotImplementedError

    async def answer(self, *arguments: str) -> int:
        return await command._answer(parsed(*arguments), self, self)


async def test_a_run_is_shown_as_json_with_times_phases_and_transitions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = LogSummary(is_complete=True, reason="Captured", message="", lines=3, size=20)
    archive = Archive(recorded_run(outcome=outcome(Phase.FAILED, log=kept)))

    assert await archive.answer("show", "7") == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["number"] == 7
    assert shown["recorded_at"] == "2026-11-20T09:29:05Z"
    assert shown["outcome"]["phase"] == "Failed"
    assert shown["outcome"]["log"]["lines"] == 3
    assert shown["request"]["requester"]["username"] == "alice"
    assert shown["transitions"] == [
        {
            "name": "Started",
            "phase": "Running",
            "at": format_timestamp(STARTED),
            "recorded_at": format_timestamp(NOW),
        }
    ]


@pytest.mark.parametrize("asked", ["show", "log"])
async def test_a_run_that_is_not_there_is_an_error(
    asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await Archive(recorded_run()).answer(asked, "99") == 1

    assert capsys.readouterr().err == "proctor-operator: the record has no run 99\n"


async def test_a_run_is_found_by_its_uid_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert await Archive(recorded_run()).answer("show", EXECUTION_UID) == 0

    assert json.loads(capsys.readouterr().out)["number"] == 7


async def test_a_log_is_printed_as_it_is_and_what_became_of_it_is_told(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    archive = Archive(recorded_run(), log_chunk(b"2026-11-20T09:30:18.1Z a\xff\x1b[31m\r\n"))

    assert await archive.answer("log", "7") == 0

    printed = capfdbinary.readouterr()
    assert printed.out == b"a\xff\x1b[31m\r\n"
    assert printed.err == b"the log of run 7 goes on: the run has not ended\n"


async def test_a_part_of_a_log_that_is_not_there_is_an_error_that_names_what_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = Archive(recorded_run(), log_chunk(b"2026-11-20T09:30:18.1Z a\n"))

    assert await archive.answer("log", "7", "--attempt", "2") == 1
    assert await archive.answer("log", "7", "--container", "sidecar") == 1
    assert await archive.answer("log", "7", "--pod", "pod-2") == 1

    said = "proctor-operator: run 7 kept no such output, only pod pod-1 container proc\n"
    assert capsys.readouterr().err == 3 * said


async def test_a_run_without_a_log_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert await Archive(recorded_run(outcome=outcome(Phase.FAILED))).answer("log", "7") == 0

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "the log of run 7: nothing is known of it, and nothing is kept\n"
