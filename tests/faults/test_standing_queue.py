"""What could make the queue stand still, and how that looks from outside.

Calls end by their deadlines, and a plugin that does not let itself be cancelled is not waited for: then the
queue moves, and the process must live. A plugin that blocks the event loop stops everything: then nobody
answers for the process, and whoever probes it starts it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any, Final

import pytest

from faults.proxy import SILENT, Proxy
from faults.stage import Stage
from faults.workload import Fate, Mix, draw
from harness.operator_metrics import OperatorMetrics
from harness.running import Manifest, proc
from localcluster.waiting import pause

JUDGED: Final = "judged"
PLUGIN: Final = "stuck"
CALL_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 12
PROBES: Final = 3
BESIDE: Final = 12
ALL_SUCCEED: Final = Mix(failed=0, cancelled=0, deleted=0)
BLOCKS: Final = "time.sleep(3600)"
WILL_NOT_BE_CANCELLED: Final = """
while True:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        pass
"""
MODULE: Final = """
import asyncio
import time

from proctor_plugin import AuthorizeRequest, NoOpinion, ProctorPlugin, Verdict


class StuckPlugin(ProctorPlugin):
    name = "stuck"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
{act}
        return NoOpinion()
"""


@pytest.fixture
def stage_settings() -> Mapping[str, Mapping[str, Any]]:
    """Without an election: a leader that cannot renew its Lease would end, and nobody could be looked at."""
    return {
        "election": {"enabled": False},
        # Rounds as often as settings allow: there are calls to be left without an answer at any time.
        "kubernetes": {"request_timeout_seconds": CALL_SECONDS, "list_every_seconds": 5},
        "postgres": {"deadline_seconds": CALL_SECONDS},
    }


@pytest.fixture
def plugin_goes(stage: Stage) -> Iterator[None]:
    """Plugins are the cluster's: the next stage is to find none."""
    yield
    stage.operator.kubectl("delete", "procplugin", PLUGIN, "--ignore-not-found")


def test_an_api_server_that_takes_calls_and_answers_none_keeps_no_pass(stage: Stage) -> None:
    check_that_no_pass_is_kept_by(stage.api, stage)


def test_a_database_that_takes_calls_and_answers_none_keeps_no_pass(stage: Stage) -> None:
    check_that_no_pass_is_kept_by(stage.wire, stage)


@pytest.mark.usefixtures("plugin_goes")
def test_a_plugin_that_does_not_let_itself_be_cancelled_keeps_no_pass(
    stage: Stage, tmp_path: Path
) -> None:
    start_with_a_plugin(stage, tmp_path, WILL_NOT_BE_CANCELLED)
    stage.begin([Fate(f"judged-{n}", of=JUDGED) for n in range(3)])

    stage.wait("a deferral", lambda: stage.shows("judged-0", "Pending", "Deferred"))
    stage.begin(draw(stage.random, BESIDE, over_seconds=2, prefix="beside", mix=ALL_SUCCEED))

    beside = [f"beside-{n}" for n in range(BESIDE)]
    stage.wait("the others", lambda: all(stage.shows(one, "Succeeded") for one in beside))
    assert stage.operator.ask("/livez")[0] == 200


@pytest.mark.usefixtures("plugin_goes")
def test_a_plugin_that_blocks_the_event_loop_leaves_the_probe_without_an_answer(
    stage: Stage, tmp_path: Path
) -> None:
    start_with_a_plugin(stage, tmp_path, BLOCKS)
    assert stage.operator.ask("/livez")[0] == 200
    stage.begin([Fate("judged", of=JUDGED)])
    stage.wait("the loop to stand still", lambda: stage.operator.ask("/livez")[0] == 0)

    assert [stage.operator.ask("/livez")[0] for _ in range(PROBES)] == [0] * PROBES

    # What the kubelet does then; meanwhile an admin has taken the plugin out.
    stage.kill_operator()
    stage.operator.kubectl("delete", "procplugin", PLUGIN)
    stage.start_operator()
    stage.wait("a refusal", lambda: stage.shows("judged", "Refused"))


def check_that_no_pass_is_kept_by(server: Proxy, stage: Stage) -> None:
    process = stage.process()
    stage.begin(draw(stage.random, 30, over_seconds=6, prefix="unanswered"))
    pause(3)

    lives: list[int] = []
    passes = [metrics_of(stage).passes()]
    longest: list[float] = []
    unanswered = metrics_of(stage).unanswered()
    with server.behaving(SILENT):
        for _ in range(SILENT_SECONDS):
            pause(1)
            lives.append(stage.operator.ask("/livez")[0])
            passes.append(metrics_of(stage).passes())
            longest.append(metrics_of(stage).value("proctor_queue_longest_pass_seconds"))
        unanswered = metrics_of(stage).unanswered() - unanswered

    stage.settle()
    assert set(lives) == {200}
    assert unanswered > 0, "it was silent, and calls ended"
    assert passes[-1] > passes[0], "passes ended"
    assert max(longest) < 3 * CALL_SECONDS, "none was kept"
    assert stage.process() is process, "one process lived through it"


def start_with_a_plugin(stage: Stage, folder: Path, act: str) -> None:
    """Install a distribution with that plugin beside the operator, and a proc that names it."""
    stage.keeper.stop_operator()
    installed = folder / "site"
    facts = installed / "stuck-1.0.dist-info"
    facts.mkdir(parents=True)
    (installed / "stuck_plugin.py").write_text(MODULE.format(act=indent(act, " " * 8)))
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        f"[proctor.plugins]\n{PLUGIN} = stuck_plugin:StuckPlugin\n"
    )
    stage.operator.environment = {"PYTHONPATH": str(installed)}
    authorization = {"groups": ["nobody"], "plugins": [PLUGIN]}
    stage.operator.apply(plugin(), proc(JUDGED, authorization=authorization))
    stage.start_operator()


def plugin() -> Manifest:
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcPlugin",
        "metadata": {"name": PLUGIN},
        "spec": {
            "transport": {"python": {"entryPoint": PLUGIN}},
            "hooks": [{"name": "Authorize", "timeoutSeconds": 1, "failurePolicy": "Fail"}],
        },
    }


def metrics_of(stage: Stage) -> OperatorMetrics:
    return OperatorMetrics(stage.operator.ask("/metrics")[1])
