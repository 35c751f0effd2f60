"""`proctor-operator records` as a process of its own, on a real database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.operator_process import command, write_config
from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import (
    JOB,
    CountedCalls,
    SystemClock,
    log_chunk,
    log_summary,
    run_outcome,
    run_request,
)
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords

TIME = b"2026-11-20T09:30:18.123456789Z "
FOREIGN = b"\xff\x00\x1b[31m\r\n"
CHUNKS, LINES = 12, 4000


@pytest.fixture(scope="module")
def run_number(module_database: LocalDatabase) -> int:
    """A run that ended, with a log of a few megabytes that lacks its middle."""

    async def record() -> int:
        options = module_database.options()
        async with RecordPool(options, CountedCalls(), SystemClock()) as pool:
            records, logs = PostgresRecords(pool), PostgresLogs(pool)
            request = run_request()
            recorded = await records.record_run(request)
            await records.record_outcome(request.key, JOB, run_outcome())
            await logs.append_log(request.key, log_chunk(TIME + FOREIGN, lines=1, size=7))
            for number in range(CHUNKS):
                text = TIME + b"x" * 60 + b"\n"
                chunk = log_chunk(text * LINES, sequence=2 + number, first_line=9 + number * LINES)
                await logs.append_log(request.key, chunk)
            return recorded.number

    return asyncio.run(record())


@pytest.fixture
def records(module_database: LocalDatabase, tmp_path: Path) -> Any:
    dsn = module_database.runtime_dsn
    config = write_config(tmp_path / "settings.yaml", {"postgres": {"dsn": dsn, "tls": "disable"}})

    def line(*arguments: str) -> list[str]:
        return command("records", *arguments, config=config)

    return line


def run(line: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(line, capture_output=True, check=False, timeout=60, **options)


def test_a_log_comes_out_byte_for_byte_with_its_gap_and_its_summary_beside_it(
    records: Any, run_number: int
) -> None:
    done = run(records("log", str(run_number)))

    assert done.returncode == 0
    assert done.stdout == FOREIGN + (b"x" * 60 + b"\n") * CHUNKS * LINES
    told = done.stderr.decode().splitlines()
    assert told[0].startswith("... 8 lines (")
    summary = log_summary()
    assert told[-1] == (
        f"the log of run {run_number} is not complete ({summary.reason}): {summary.message} "
        f"({summary.lines} lines, {summary.size} bytes, {summary.dropped_lines} lines dropped)"
    )


def test_a_reader_that_has_enough_is_no_error(records: Any, run_number: int) -> None:
    process = subprocess.Popen(
        records("log", str(run_number)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in told
    assert "BrokenPipe" not in told


def test_a_terminal_is_shown_nothing_that_it_would_obey(records: Any, run_number: int) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        records("log", str(run_number)), stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    try:
        while b"\n" not in shown:
            shown += os.read(ours, 4096)
    finally:
        process.kill()
        process.wait(timeout=60)
        os.close(ours)

    assert shown.splitlines()[0] == "\ufffd\\x00\\x1b[31m\\r".encode()


def test_a_run_is_shown_with_its_transitions_and_its_log(records: Any, run_number: int) -> None:
    shown = json.loads(run(records("show", str(run_number))).stdout)

    assert [one["name"] for one in shown["transitions"]] == ["Recorded", "Started", "Ended"]
    assert shown["outcome"]["log"]["reason"] == log_summary().reason


def test_what_is_not_there_is_said_and_is_an_error(records: Any, run_number: int) -> None:
    nobody = run(records("log", "999999"))
    elsewhere = run(records("log", str(run_number), "--attempt", "7"))

    assert (nobody.returncode, nobody.stdout) == (1, b"")
    assert nobody.stderr == b"proctor-operator: the record has no run 999999\n"
    assert (elsewhere.returncode, elsewhere.stdout) == (1, b"")
    assert b"only pod pod-1 container proc" in elsewhere.stderr


def test_a_database_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    dsn = "postgresql://nobody:secret@127.0.0.1:1/proctor"
    config = write_config(tmp_path / "settings.yaml", {"postgres": {"dsn": dsn}})

    done = run(command("records", "log", "1", config=config))

    assert done.returncode == 1
    assert done.stderr.startswith(b"proctor-operator: PostgreSQL cannot be used")
    assert b"secret" not in done.stderr
    assert b"Traceback" not in done.stderr
