"""The promise on schedules, I12, as checks on what is written. They share no rule with the operator.

Every start is claimed before it is made, in the rule, not early, in its requester's name, and the only one of
its time for ever. In the end nothing is missing that the policy wants, nothing is there that it does not
want, and every planned time is accounted for: started, skipped, or counted as missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from proctor_operator.domain.naming import Uid
from proctor_operator.domain.occurrence import OccurrenceState
from simulation.api_server import ADDED, EXECUTIONS, ApiServer, Commit, Manifest
from simulation.occurrence_table import OccurrenceTable
from simulation.schedule_oracle import SLACK_SECONDS, Outage, expect, instant_of
from simulation.schedule_plans import ScheduleDeed, ScheduleLife, SchedulePlan, moment

SCHEDULES: Final = "procschedules"
_TO_BE_NOTICED: Final = 5.0
_WRITES_FOR_EACH: Final = 2
"""When it starts, and when it has ended."""
_WRITES_FOR_CHANGES: Final = 6


class ScheduleWatchdog:
    """`says` notes a violation; `plans` has each schedule by its UID once it is created."""

    def __init__(
        self,
        server: ApiServer,
        table: OccurrenceTable,
        says: Callable[[str, str], None],
        now: Callable[[], float],
    ) -> None:
        self._server = server
        self._table = table
        self._says = says
        self._now = now
        self.plans: dict[str, SchedulePlan] = {}
        self.started: dict[str, dict[datetime, Manifest]] = {}
        self.off_since: dict[str, float] = {}
        self.arguments: list[Manifest] = []
        self._writes: dict[str, int] = {}
        server.observe(self._on_commit)

    def _on_commit(self, commit: Commit) -> None:
        plural, metadata = commit.key[0], commit.after["metadata"]
        if plural == SCHEDULES and commit.actor.startswith("operator"):
            self._writes[metadata["uid"]] = self._writes.get(metadata["uid"], 0) + 1
        if plural == EXECUTIONS and commit.type == ADDED and commit.actor.startswith("operator"):
            self._check_start(commit.after)

    def _check_start(self, run: Manifest) -> None:
        reference = run["spec"].get("scheduleRef") or {}
        plan = self.plans.get(reference.get("uid", ""))
        if plan is None or "scheduledTime" not in reference:
            self._says("I12", f"{run['metadata']['name']} is nobody's run: {reference}")
            return
        uid, instant = reference["uid"], instant_of(reference["scheduledTime"])
        what = f"the run of {plan.name} planned for {instant:%H:%M:%S}"
        earlier = self.started.setdefault(uid, {})
        if instant in earlier:
            self._says("I12", f"{what} starts twice")
        earlier[instant] = run
        self._check_claim(uid, instant, what)
        if moment(self._now()) < instant:
            self._says("I12", f"{what} starts early")
        self._check_identity(run, plan, what)
        since = self.off_since.get(uid)
        if since is not None and self._now() > since + _TO_BE_NOTICED:
            self._says("I12", f"{what} starts though the schedule is off")

    def _check_claim(self, uid: str, instant: datetime, what: str) -> None:
        row = self._table.rows.get((Uid(uid), instant))
        if row is None or row.state is not OccurrenceState.CLAIMED:
            self._says("I12", f"{what} starts, and the record has {row}")

    def _check_identity(self, run: Manifest, plan: SchedulePlan, what: str) -> None:
        spec = run["spec"]
        requester = spec.get("requestedBy") or {}
        if (requester.get("username"), requester.get("via")) != ("ann", "Schedule"):
            self._says("I12", f"{what} runs as {requester}")
        if spec["scheduleRef"]["name"] != plan.name or spec["procRef"] != {"name": plan.proc}:
            self._says("I12", f"{what} runs {spec}")
        if spec.get("arguments", {}) not in self.arguments:
            self._says("I12", f"{what} has the arguments {spec.get('arguments')}")

    def check_in_the_end(
        self, life: ScheduleLife, outages: Sequence[Outage], ends_at: float
    ) -> None:
        """After all of them were suspended, and everything has settled."""
        for uid, plan in self.plans.items():
            expected = expect(plan, life, outages, ends_at)
            started = frozenset(self.started.get(uid, {}))
            for problem, times in (
                ("was not started", expected.must - started),
                ("should not have been started", started - expected.may),
            ):
                if times:
                    said = ", ".join(f"{one:%H:%M:%S}" for one in sorted(times)[:5])
                    self._says("I12", f"{len(times)} of {plan.name} {problem}: {said}")
            deeds = {act.deed for act in life.acts}
            if not deeds & {ScheduleDeed.EDIT_TIMING, ScheduleDeed.DELETE}:
                self._check_account(uid, plan, life, ends_at)

    def _check_account(
        self, uid: str, plan: SchedulePlan, life: ScheduleLife, ends_at: float
    ) -> None:
        """Every planned time has been dealt with, and record and status count what was missed.

        Who comes back and finds it suspended cannot know since when, and counts what was planned until then.
        """
        always = ScheduleLife(life.schedules)
        planned = len(expect(plan, always, (), ends_at).planned)
        noticed_late = len(expect(plan, always, (), ends_at + SLACK_SECONDS).planned)
        rows = [row for (owner, _), row in self._table.rows.items() if owner == uid]
        by_state = {state: sum(row.state is state for row in rows) for state in OccurrenceState}
        progress = self._table.progress(Uid(uid))
        missed = progress.missed if progress is not None else 0
        done = by_state[OccurrenceState.STARTED] + by_state[OccurrenceState.SKIPPED]
        if by_state[OccurrenceState.CLAIMED]:
            self._says("I12", f"{plan.name}: {by_state[OccurrenceState.CLAIMED]} claims stay open")
        if not planned <= done + missed <= noticed_late:
            self._says("I12", f"{plan.name}: {planned} planned, {done} dealt with, {missed} missed")
        if by_state[OccurrenceState.STARTED] != len(self.started.get(uid, {})):
            self._says("I12", f"{plan.name}: the record does not know all that was started")
        shown = self._status_of(plan).get("missed", 0)
        if shown != missed:
            self._says("I12", f"{plan.name} shows {shown} missed, and the record {missed}")

    def check_write_budget(self) -> None:
        """Without faults: two status writes for each run, and a few for what people do."""
        for uid, plan in self.plans.items():
            budget = _WRITES_FOR_CHANGES + _WRITES_FOR_EACH * len(self.started.get(uid, {}))
            if self._writes.get(uid, 0) > budget:
                self._says("I10", f"{self._writes[uid]} status writes for {plan.name}")

    def _status_of(self, plan: SchedulePlan) -> Manifest:
        for schedule in self._server.list_of(SCHEDULES):
            if schedule["metadata"]["name"] == plan.name:
                status: Manifest = schedule["status"]
                return status
        return {}
