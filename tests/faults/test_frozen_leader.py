"""A leader that stands still past its Lease while another takes over, and then goes on (F8)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faults.keeper import LEADERSHIP_LOST
from faults.stage import Stage
from faults.workload import draw
from harness.operator_process import OperatorProcess, write_config
from localcluster.waiting import pause


def test_a_leader_that_stood_still_writes_nothing_once_another_has_begun(
    stage: Stage, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "second.kubeconfig"
    with another(stage, kubeconfig, tmp_path / "second.log") as second:
        stage.begin(draw(stage.random, 40, over_seconds=14, prefix="led"))
        pause(stage.random.uniform(1, 3))
        first = stage.process()
        stage.keeper.leave_alone()

        with stage.frozen():
            stage.wait("another leader", lambda: "leading" in second.get("/readyz")[1])
            pause(2)  # it works

        assert first.wait(20) == LEADERSHIP_LOST
        history = stage.settle()

    ours = [write for write in history.writes if write.user == stage.user]
    begun = [write for write in ours if write.credential == credential_in(kubeconfig)]
    before = credential_in(Path(settings_of(stage)["kubernetes"]["kubeconfig"]))
    late = [
        (write.received_at, write.verb, write.resource, write.name)
        for write in ours
        if write.credential == before and write.received_at > begun[0].received_at
    ]
    assert any(write.credential == before for write in ours), "the first one has worked"
    assert late == []


@contextmanager
def another(stage: Stage, kubeconfig: Path, log: Path) -> Iterator[OperatorProcess]:
    """A second operator, with a token of its own, by which the audit log tells the two apart."""
    _, _, namespace, account = stage.user.split(":")
    stage.cluster.service_account_kubeconfig(namespace, account, kubeconfig)
    settings = settings_of(stage)
    settings["kubernetes"]["kubeconfig"] = str(kubeconfig)
    config = write_config(log.with_suffix(".yaml"), settings)
    process = OperatorProcess.start("controller", config=config, log=log)
    try:
        yield process
    finally:
        process.stop_if_it_runs()


def settings_of(stage: Stage) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(stage.operator.config.read_text())
    return settings


def credential_in(kubeconfig: Path) -> str:
    """The name that the audit log gives the token of a service account."""
    token: str = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    claims = token.split(".")[1]
    padded = claims + "=" * (-len(claims) % 4)
    return f"JTI={json.loads(base64.urlsafe_b64decode(padded))['jti']}"
