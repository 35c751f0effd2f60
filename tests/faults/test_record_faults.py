"""PostgreSQL stopped, killed, frozen, unreachable, slow, or cut off in the middle of a transaction (F10)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from faults.proxy import SILENT, Cut, Door, Tripwire, Way, slow
from faults.stage import Stage
from faults.workload import Fate, draw
from localpostgres.processes import Identity, children
from localpostgres.server import LocalPostgres

Outage = Callable[[Stage], AbstractContextManager[None]]


@pytest.fixture
def stage_settings() -> Mapping[str, Mapping[str, Any]]:
    """A deadline that a test can wait for, several times."""
    return {"postgres": {"deadline_seconds": 1.5, "connect_timeout_seconds": 1.0}}


@contextmanager
def stopped(stage: Stage) -> Iterator[None]:
    stage.postgres.stop()
    try:
        yield
    finally:
        stage.postgres.start()


@contextmanager
def killed(stage: Stage) -> Iterator[None]:
    stage.postgres.kill()
    try:
        yield
    finally:
        stage.postgres.start()


@contextmanager
def frozen(stage: Stage) -> Iterator[None]:
    """Every process of the server stops where it is; connections stay open and get no answer."""
    processes = _processes(stage.postgres)
    for process in processes:
        process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send(signal.SIGCONT)


@contextmanager
def refused(stage: Stage) -> Iterator[None]:
    with stage.wire.shut():
        yield


@contextmanager
def unanswered(stage: Stage) -> Iterator[None]:
    """Packets vanish: old connections and new ones alike."""
    with stage.wire.shut(Door.SILENT), stage.wire.behaving(SILENT):
        yield


@contextmanager
def too_slow(stage: Stage) -> Iterator[None]:
    with stage.wire.behaving(slow(2)):
        yield


OUTAGES: tuple[Outage, ...] = (stopped, killed, frozen, refused, unanswered, too_slow)


def test_new_runs_wait_running_ones_go_on_and_ended_ones_are_recorded_afterwards(
    stage: Stage,
) -> None:
    """One outage of each kind after another, each on executions in every state."""
    for outage in OUTAGES:
        _go_through(stage, outage, kind=getattr(outage, "__name__", "").replace("_", "-"))

    stage.settle()


def _go_through(stage: Stage, outage: Outage, *, kind: str) -> None:
    ending, running, new = (f"{word}-{kind}" for word in ("ending", "running", "new"))
    stage.begin([Fate(ending, runs_for=1.5), Fate(running, runs_for=6)])
    stage.wait("a run", lambda: stage.shows(ending, "Running"))
    stage.wait("another run", lambda: stage.shows(running, "Running"))

    with outage(stage):
        stage.note(f"PostgreSQL is {kind}")
        stage.begin([Fate(new)])
        stage.wait(
            f"the word that {new} waits",
            lambda: stage.shows(new, "Pending", "RecordUnavailable"),
        )
        stage.wait("an end meanwhile", lambda: stage.has_ended(ending))
        jobs = stage.jobs()
        assert new not in jobs, "no run without a record"
        assert "deletionTimestamp" not in jobs[running]["metadata"], "what runs is untouched"
        assert stage.shows(ending, "Running"), "no end before it is recorded"
    stage.note(f"PostgreSQL is no longer {kind}")


def test_connections_cut_in_the_middle_of_a_transaction_store_everything_once(
    stage: Stage,
) -> None:
    """Cut before, within and after the message that inserts a run, and that which stores its end."""
    wires = [
        stage.wire.arm(Tripwire(Way.TO_SERVER, cut, message=words, times=2))
        for words in (b"alice@example.org", b"NonZeroExitCode", b"Completed")
        for cut in Cut
    ]

    stage.begin(draw(stage.random, 40, over_seconds=6, prefix="torn"))

    stage.settle()
    assert [wire for wire in wires if wire.tripped < wire.times] == []


def _processes(server: LocalPostgres) -> list[Identity]:
    process = Identity.of(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    assert process is not None
    return [process, *children(process.pid)]
