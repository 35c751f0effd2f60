"""A minute in which nobody asks for anything: watches hear bookmarks, and nothing is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

from chart.installation import Installation
from harness.pods import pod_of, report_ended, report_waiting
from harness.running import RunningOperator, execution, proc
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until

_QUIET_SECONDS = 60
_A_BOOKMARK_COMES_WITHIN = 90


def silences(operator: RunningOperator) -> dict[str, float]:
    """Seconds of silence by resource, as the metrics tell."""
    found = re.findall(
        r'^proctor_watch_silence_seconds\{resource="(\w+)"\} (\S+)$',
        operator.ask("/metrics")[1],
        re.MULTILINE,
    )
    return {resource: float(seconds) for resource, seconds in found}


def writes_of(user: str, audit_log: Path, *, after: int) -> list[str]:
    """What that account wrote, from a position in the audit log on; Leases are renewed all the time."""
    entries = [json.loads(line) for line in audit_log.read_bytes()[after:].splitlines()]
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in entries
        if entry["user"]["username"] == user and entry["objectRef"]["resource"] != "leases"
    ]


def test_a_minute_without_requests_is_a_minute_without_writes_and_no_watch_falls_silent(
    operator: RunningOperator, installed: Installation, api_cluster: LocalCluster
) -> None:
    operator.apply(proc("restful"), proc("mistaken", logs={"mask": ["("]}))
    for name, exit_code in (("good", 0), ("bad", 3)):
        operator.apply(execution(name, of="restful"))
        report_ended(operator, pod_of(operator, name), exit_code=exit_code)
    operator.apply(execution("refused", of="mistaken"), execution("waiting", of="restful"))
    waiting = pod_of(operator, "waiting")
    report_waiting(operator, waiting, reason="ErrImagePull", message="no such image")
    operator.wait_for("procexecution", "waiting", "{.status.reason}", "ErrImagePull")
    operator.wait_for_phase("refused", "Refused")
    operator.wait_for_phase("bad", "Failed")
    # What a proc shows of its executions comes some time after.
    operator.wait_for("proc", "restful", "{.status.active}", "1")
    operator.wait_for("proc", "mistaken", "{.status.lastExecution.phase}", "Refused")
    _wait_until_nothing_is_written(installed.user, api_cluster.audit_log)

    start = api_cluster.audit_log.stat().st_size
    ears = Ears(operator)
    assert not wait_until(ears.listen, seconds=_QUIET_SECONDS)
    assert writes_of(installed.user, api_cluster.audit_log, after=start) == []
    assert wait_until(ears.have_heard_of_all, seconds=_A_BOOKMARK_COMES_WITHIN - _QUIET_SECONDS)
    assert operator.ask("/livez") == (200, "alive: ok\n")


class Ears:
    """Which watches have been heard of since: whose silence was longer once than it is now."""

    def __init__(self, operator: RunningOperator) -> None:
        self._operator = operator
        self._longest: dict[str, float] = {}
        self._heard: set[str] = set()

    def have_heard_of_all(self) -> bool:
        for resource, seconds in silences(self._operator).items():
            if seconds < self._longest.get(resource, 0.0):
                self._heard.add(resource)
            self._longest[resource] = max(seconds, self._longest.get(resource, 0.0))
        return self._heard == {
            *("procs", "procexecutions", "procschedules", "procplugins", "jobs", "pods")
        }

    def listen(self) -> bool:
        """For a wait that is to last: never over."""
        self.have_heard_of_all()
        return False


def _wait_until_nothing_is_written(user: str, audit_log: Path) -> None:
    """Releases and Events come after the final status."""
    size = 0

    def is_still() -> bool:
        nonlocal size
        start, size = size, audit_log.stat().st_size
        return writes_of(user, audit_log, after=start) == []

    assert wait_until(is_still, seconds=60, interval=5)
