"""An operator on a node of its own, which keeps logs as a test wants it, and what the record holds of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from chart.installation import install
from harness.running import Manifest, RunningOperator, condition, execution, operator_in, proc
from localcluster.config import Tuning
from localcluster.fixtures import BUSYBOX_IMAGE, temporary_cluster
from localcluster.images import busybox_image, write_image
from localpostgres.fixtures import new_database
from localpostgres.server import LocalPostgres
from proctor_operator.adapters.postgres.chunks import to_text

SAYS_WHEN_IT_ENDS: Final = "cut -d' ' -f1 /proc/uptime > /dev/termination-log"
"""The last words of a script whose end `seconds_to_the_record` measures."""
SHORT: Final = proc("short", script=f"echo hello; {SAYS_WHEN_IT_ENDS}")
SLOWER_AT_MOST: Final = 10
"""Pods of a busy node are slow by themselves; what this finds is a run that waits for others' output."""


@contextmanager
def operator_on_its_own_node(
    name: str,
    server: LocalPostgres,
    template: str,
    folder: Path,
    *,
    kubelet: Mapping[str, Any] | None = None,
    logs: Mapping[str, Any] | None = None,
) -> Iterator[RunningOperator]:
    """Bring up a cluster with such a kubelet, and an operator with these settings of `logs`."""
    image = folder / "busybox.tar"
    write_image(busybox_image(BUSYBOX_IMAGE), image)
    with (
        temporary_cluster("full", name, tuning=Tuning(kubelet_config=kubelet or {})) as cluster,
        new_database(server, template) as database,
    ):
        cluster.load_image(image)
        installed = install(cluster, namespace="proctor-system", team="team-a")
        with operator_in(
            installed, database, folder, namespace=name, settings={"logs": logs or {}}
        ) as running:
            yield running


def stored_lines(operator: RunningOperator, name: str) -> list[bytes]:
    """What the record holds of the output of an execution with one pod, each line with its time."""
    rows = operator.database.query(
        "SELECT l.data FROM proctor.log_chunks l JOIN proctor.executions e USING (created_at, uid) "
        "WHERE e.name = $1 ORDER BY l.sequence",
        name,
    )
    return b"".join(to_text(data) for (data,) in rows).split(b"\n")[:-1]


def captured(done: Manifest) -> tuple[str, str]:
    """What `LogsCaptured` says: its status and reason."""
    said = condition(done, "LogsCaptured")
    return said["status"], said["reason"]


def run_short_ones(operator: RunningOperator, prefix: str, count: int = 3) -> list[float]:
    """Run so many of `SHORT` at once; returns the seconds from the end of each to its outcome in the record."""
    names = [f"{prefix}-{number}" for number in range(count)]
    operator.apply(*(execution(name, of="short") for name in names))
    done = {name: operator.wait_for_phase(name, "Succeeded", seconds=120) for name in names}
    return [seconds_to_the_record(operator, name, one) for name, one in done.items()]


def seconds_to_the_record(operator: RunningOperator, name: str, done: Manifest) -> float:
    """From the last word of a run to the moment at which the database had its outcome.

    The operator's machine is this one, and so is the node: they share the time since its start.
    """
    ended_at = float(done["status"]["result"])
    ((since,),) = operator.database.query(
        "SELECT extract(epoch FROM clock_timestamp() - t.recorded_at)::float8 FROM proctor.transitions t "
        "JOIN proctor.executions e USING (created_at, uid) "
        "WHERE e.name = $1 AND t.transition = 'Ended'",
        name,
    )
    return time.clock_gettime(time.CLOCK_BOOTTIME) - float(since) - ended_at
