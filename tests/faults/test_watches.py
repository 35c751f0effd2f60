"""Watches cut, silent, and too old to be resumed (F5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from faults.admin import EXECUTIONS
from faults.proxy import SILENT
from faults.stage import Stage
from faults.workload import Fate, Mix, draw
from localcluster.apiclient import ApiError
from localcluster.waiting import pause

BEFORE_A_WATCH_IS_GIVEN_UP_SECONDS = 60.0
"""One without a word is closed and opened anew after 70 s; what is over sooner was told by a list."""
BEFORE_THE_NEXT_LIST_SECONDS = 45.0
"""Lists come round every 60 s; what is over sooner was told by a watch."""


@pytest.fixture
def stage_settings(request: pytest.FixtureRequest) -> Mapping[str, Mapping[str, Any]]:
    """No lost Lease ends the process before; lists come round soon where a test waits for them."""
    lists = {"list_every_seconds": 8.0} if "silent" in request.node.name else {}
    return {"kubernetes": lists, "election": {"enabled": False}}


def test_watches_that_are_cut_again_and_again_come_back_by_themselves(stage: Stage) -> None:
    stage.begin(draw(stage.random, 30, over_seconds=8, prefix="cut"))

    cut = 0
    for _ in range(16):
        pause(0.5)
        cut += stage.api.cut()

    stage.note(f"{cut} connections cut")
    stage.settle(seconds=BEFORE_THE_NEXT_LIST_SECONDS)


def test_watches_too_old_to_be_resumed_begin_anew(stage: Stage) -> None:
    """Cut off while the world moves on, and back when nobody remembers the version it had seen."""
    first = draw(stage.random, 10, over_seconds=1, prefix="gone")
    stage.begin(first)
    stage.wait("all executions", stage.people_are_done)

    with stage.api.shut():
        version = stage.version_of_executions()
        stage.begin(draw(stage.random, 10, over_seconds=1, prefix="unseen"))
        stage.wait("all executions", stage.people_are_done)
        stage.cluster.stop_component("kube-apiserver", seconds=3)
        stage.cluster.start_component("kube-apiserver")
        stage.note("API server restarted: it has forgotten older versions")
        stage.wait("the word that it is gone", lambda: _is_gone(stage, version))

    stage.settle(seconds=BEFORE_THE_NEXT_LIST_SECONDS)


def test_watches_that_fall_silent_are_made_up_for_by_lists(stage: Stage) -> None:
    """Every connection that is open goes silent for ever, as behind a firewall that forgot them."""
    stage.begin([Fate("before", runs_for=0)])
    stage.wait("a run, which takes watches", lambda: stage.shows("before", "Succeeded"))
    silenced = stage.api.change_open(SILENT)
    stage.note(f"{silenced} connections fell silent")

    # What needs more than one turn of the lists would take minutes: nobody stops anything here.
    stage.begin(draw(stage.random, 10, over_seconds=1, prefix="silent", mix=Mix(30, 0, 0)))

    stage.settle(seconds=BEFORE_A_WATCH_IS_GIVEN_UP_SECONDS)


def _is_gone(stage: Stage, version: str) -> bool:
    """Whether a watch from that version is answered with 410 Gone."""
    path = f"{EXECUTIONS}?watch=true&timeoutSeconds=1&resourceVersion={version}"
    try:
        answer = stage.ask(path)
    except ApiError as problem:
        return problem.status == 410
    first = json.loads(answer.splitlines()[0]) if answer else {}
    return bool(first.get("type") == "ERROR" and first["object"]["code"] == 410)
