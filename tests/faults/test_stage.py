"""Whatever becomes of a test, its stage leaves no operator behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chart.installation import Installation
from faults.stage import Stage, staged
from faults.workload import Fate
from localcluster.apiclient import ApiError
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until
from localpostgres.server import LocalPostgres

NO_NAME = "Not A Name"
Staged = Callable[[str], AbstractContextManager[Stage]]


class Interrupted(BaseException):
    """As Control-C, or the end of a test's time."""


@pytest.fixture
def new_stage(
    installed: Installation,
    told_cluster: LocalCluster,
    told_postgres: LocalPostgres,
    migrated_template: str,
    tmp_path: Path,
    seed: int,
) -> Staged:
    def make(name: str) -> AbstractContextManager[Stage]:
        return staged(
            *(installed, told_cluster, told_postgres, migrated_template, tmp_path),
            name=name,
            seed=seed,
        )

    return make


def test_people_who_fail_while_the_operator_is_started_anew_leave_none(
    new_stage: Staged, tmp_path: Path
) -> None:
    def play() -> None:
        with new_stage("people-fail") as stage:
            stage.start_operator()
            first = stage.process()
            with stage.api.shut():
                assert wait_until(lambda: stage.process() is not first, seconds=30)
                stage.begin([Fate(NO_NAME)])
                stage.wait("the end of it all", stage.people_are_done)

    with pytest.raises(ApiError, match=NO_NAME):
        play()

    assert operators_with(tmp_path) == []


def test_an_interrupt_before_the_operator_is_ready_leaves_none(
    new_stage: Staged, tmp_path: Path
) -> None:
    with new_stage("interrupted") as stage, stage.api.shut():
        with pytest.raises(Interrupted), interrupt_after(2):
            stage.start_operator()

        assert operators_with(tmp_path) == []


@contextmanager
def interrupt_after(seconds: float) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)


def operators_with(folder: Path) -> list[str]:
    """Command lines of processes that run with settings from that folder."""
    lines = [one for path in Path("/proc").glob("[0-9]*/cmdline") if (one := command_line(path))]
    return [line for line in lines if str(folder) in line]


def command_line(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")
    except OSError:
        return ""  # it has ended meanwhile
