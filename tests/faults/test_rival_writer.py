"""Somebody else who writes the same objects all the time (F7)."""

from __future__ import annotations

from typing import Final

from faults.admin import EXECUTIONS, MERGE_PATCH, Admin, Round
from faults.oracle import Limits
from faults.proxy import slow
from faults.stage import Stage
from faults.workload import Fate, Mix, draw
from localcluster.apiclient import ApiError

WRITES_PER_SECOND: Final = 20
CONDITION: Final = "Reviewed"


class Rival(Round):
    """Counts in an annotation and in a condition of its own, on each execution in turn."""

    def __init__(self, admin: Admin, names: list[str]) -> None:
        super().__init__("rival", interval=1 / WRITES_PER_SECOND)
        self._admin = admin
        self._names = names
        self.count = 0
        self.annotated: dict[str, int] = {}
        self.conditioned: dict[str, int] = {}
        self.lost: list[str] = []

    def work(self) -> None:
        """Write once."""
        self.count += 1
        name = self._names[self.count // 2 % len(self._names)]
        try:
            if self.count % 2:
                self._annotate(name)
            else:
                self._condition(name)
        except ApiError as problem:
            # Not created yet, or written by somebody else between the look and the write.
            if problem.status not in (404, 409):
                raise

    def _annotate(self, name: str) -> None:
        metadata = {"annotations": {"rival.example.org/count": str(self.count)}}
        self._admin.patch(EXECUTIONS, name, {"metadata": metadata})
        self.annotated[name] = self.count

    def _condition(self, name: str) -> None:
        found = self._admin.request("GET", f"{EXECUTIONS}/{name}")
        conditions = found["status"].get("conditions", [])
        others = [one for one in conditions if one["type"] != CONDITION]
        said = [one["message"] for one in conditions if one["type"] == CONDITION]
        if name in self.conditioned and said != [str(self.conditioned[name])]:
            self.lost.append(f"{name} says {said}, {self.conditioned[name]} was said")
        own = {
            "type": CONDITION,
            "status": "True",
            "reason": "Counted",
            "message": str(self.count),
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "status": {"conditions": [*others, own]}}
        self._admin.patch(EXECUTIONS, name, patch, sub="status", content_type=MERGE_PATCH)
        self.conditioned[name] = self.count


def test_a_storm_of_conflicts_delays_nothing_and_loses_no_word_of_the_other(stage: Stage) -> None:
    fates = draw(stage.random, 4, over_seconds=0.5, prefix="stormy", mix=Mix(50, 0, 0))
    fates.append(Fate("stormy-long", runs_for=8))
    rival = Rival(stage.new_admin(), [fate.name for fate in fates])
    rival.start()
    # News takes its time, so that what the operator has seen is often out of date already.
    stage.api.behave(slow(0.1))
    stage.begin(fates)

    history = stage.settle(limits=Limits(done=15, tried=200))
    rival.stop()

    conflicts = [one for one in history.writes if one.user == stage.user and one.code == 409]
    assert conflicts, "no write of the operator met a conflict: the fault has not struck"
    assert rival.conditioned.keys() == {fate.name for fate in fates}
    assert rival.lost == []
    for fate in fates:
        counted = stage.execution(fate.name)["metadata"]["annotations"]["rival.example.org/count"]
        assert counted == str(rival.annotated[fate.name])
