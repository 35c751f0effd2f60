"""What a ProcSchedule says about itself while this release starts no scheduled runs."""

from __future__ import annotations

from datetime import datetime

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.occurrences import find_timing_problem
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.reconcile.proc import ProcProblem, problem_conditions


def schedule_conditions(schedule: ProcSchedule, now: datetime) -> tuple[Condition, ...]:
    """Ready=False, so that nobody waits for a run that will not come; what its author can mend comes first."""
    mistake = find_timing_problem(schedule.spec)
    if mistake is not None:
        problem = ProcProblem("InvalidSchedule", mistake)
    else:
        problem = ProcProblem("NotSupportedYet", "this release does not start scheduled runs")
    return problem_conditions(problem, generation=schedule.generation, now=now)
