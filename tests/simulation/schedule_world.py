"""A world in which schedules start what runs."""

from __future__ import annotations

from typing import Any, Final

from proctor_operator.domain.naming import RECORD_FINALIZER, Uid, occurrence_name
from simulation.api_server import ADDED, EXECUTIONS, PROCS, Commit
from simulation.operator_process import NAMESPACE
from simulation.people import USER
from simulation.plans import Plan, Trouble
from simulation.schedule_oracle import Outage
from simulation.schedule_plans import ScheduleDeed, ScheduleLife, SchedulePlan, moment, next_minute
from simulation.schedule_watchdog import SCHEDULES, ScheduleWatchdog
from simulation.workload import AttemptPlan, ExecutionPlan, Truth
from simulation.world import World

_OUTAGES: Final = (Trouble.DOWNTIME, Trouble.RECORD_DOWN, Trouble.API_DOWN)
_PATCHES: Final[dict[ScheduleDeed, dict[str, Any]]] = {
    ScheduleDeed.SUSPEND: {"suspend": True},
    ScheduleDeed.RESUME: {"suspend": False},
    ScheduleDeed.EDIT_TIMING: {"cron": "*/2 * * * *"},
    ScheduleDeed.EDIT_ARGUMENTS: {"arguments": {"SIZE_GB": 20}},
}


class ScheduleWorld(World):
    """Must be made inside a virtual event loop."""

    def __init__(self, plan: Plan, life: ScheduleLife) -> None:
        super().__init__(plan, ())
        self._life = life
        self.schedule_watchdog = ScheduleWatchdog(
            self.server, self.occurrences, self.watchdog.says, self._loop.time
        )
        self.schedule_watchdog.arguments = [{"SIZE_GB": 10}]
        self.server.observe(self._see_a_run)

    def start(self) -> None:
        """Create the schedules when it is time, and let the operator live."""
        super().start()
        for one in self._life.schedules:
            if self._life.has_proc:
                self._publish(one)
            self._loop.call_at(one.created_at, self._create, one)
        for act in self._life.acts:
            self._loop.call_at(act.at, self.act, act.deed)

    def act(self, deed: ScheduleDeed) -> None:
        """Do it to all schedules."""
        self.disturb()
        self.note(f"somebody does: {deed}")
        match deed:
            case ScheduleDeed.DELETE_RUNS:
                for run in tuple(self.server.list_of(EXECUTIONS)):
                    self._delete_run(run["metadata"]["uid"], run["metadata"]["name"])
            case ScheduleDeed.DELETE:
                for schedule in tuple(self.server.list_of(SCHEDULES)):
                    name = schedule["metadata"]["name"]
                    self.server.delete((SCHEDULES, NAMESPACE, name), actor=USER)
                self._switch(off=True)
            case ScheduleDeed.TAKE_NAMES:
                for uid, plan in self.schedule_watchdog.plans.items():
                    self._take_name(uid, plan)
            case _:
                self._patch_all(deed)

    def outages(self) -> list[Outage]:
        """When nobody could start anything for so long that it may have made a difference."""
        found = [
            Outage(window.start, window.end)
            for window in self.faults.windows
            if window.trouble in _OUTAGES
        ]
        return sorted(found, key=lambda one: one.start)

    def _publish(self, plan: SchedulePlan) -> None:
        spec = {
            "description": "A simulated automation",
            "image": "registry.example.org/proc:1",
            "authorization": {"users": ["ann"]},
            "parameters": [{"name": "SIZE_GB", "schema": {"type": "integer"}}],
            "history": {"succeeded": 0, "failed": 0},
        }
        metadata = {"name": plan.proc, "namespace": NAMESPACE}
        self.server.create(PROCS, {"metadata": metadata, "spec": spec}, actor=USER)

    def _create(self, plan: SchedulePlan) -> None:
        uid = f"{SCHEDULES}-uid-{len(self.server.commits) + 1}"
        self.schedule_watchdog.plans[uid] = plan
        spec: dict[str, Any] = {
            "procRef": {"name": plan.proc},
            "arguments": {"SIZE_GB": 10},
            "requestedBy": {"username": "ann", "via": "API"},
            "catchUp": {"policy": plan.catch_up, "limit": plan.limit},
            "history": {"succeeded": 0, "failed": 0},
        }
        if plan.deadline_seconds is not None:
            spec["startingDeadlineSeconds"] = plan.deadline_seconds
        if plan.at is None:
            spec["cron"] = plan.said.text
        else:
            spec["at"] = moment(plan.at).isoformat()
        metadata = {"name": plan.name, "namespace": NAMESPACE}
        self.server.create(SCHEDULES, {"metadata": metadata, "spec": spec}, actor=USER)

    def _patch_all(self, deed: ScheduleDeed) -> None:
        if deed is ScheduleDeed.EDIT_ARGUMENTS:
            self.schedule_watchdog.arguments.append({"SIZE_GB": 20})
        for schedule in tuple(self.server.list_of(SCHEDULES)):
            key = (SCHEDULES, NAMESPACE, schedule["metadata"]["name"])
            self.server.patch(key, {"spec": _PATCHES[deed]}, actor=USER)
        if deed is ScheduleDeed.SUSPEND:
            self._switch(off=True)
        elif deed is ScheduleDeed.RESUME:
            self._switch(off=False)

    def _switch(self, *, off: bool) -> None:
        for uid in self.schedule_watchdog.plans:
            self.schedule_watchdog.off_since.pop(uid, None)
            if off:
                self.schedule_watchdog.off_since[uid] = self._loop.time()

    def _delete_run(self, uid: str, name: str) -> None:
        truth = self.truths[uid]
        if truth.deleted_at is None:
            truth.deleted_at = self._loop.time()
        self.server.delete((EXECUTIONS, NAMESPACE, name), actor=USER)

    def _take_name(self, uid: str, plan: SchedulePlan) -> None:
        """A person's own execution under the name that the run of the next minute would get."""
        name = occurrence_name(plan.name, Uid(uid), next_minute(self._loop.time()))
        spec = {
            "procRef": {"name": plan.proc},
            "arguments": {"SIZE_GB": 10},
            "requestedBy": {"username": "ann", "via": "API"},
        }
        metadata = {"name": name, "namespace": NAMESPACE, "finalizers": [RECORD_FINALIZER]}
        self.server.create(EXECUTIONS, {"metadata": metadata, "spec": spec}, actor=USER)

    def _see_a_run(self, commit: Commit) -> None:
        """What came of it truly is written down as for any execution."""
        if commit.key[0] != EXECUTIONS or commit.type != ADDED:
            return
        uid = commit.after["metadata"]["uid"]
        plan = ExecutionPlan(
            commit.key[2],
            attempts=(AttemptPlan(seconds=2.0),),
            has_proc=self._life.has_proc,
            is_kept=False,
        )
        self.truths[uid] = Truth(plan, uid)
