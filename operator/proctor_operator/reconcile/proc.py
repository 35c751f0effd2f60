"""Is this Proc runnable, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from proctor_operator.domain.arguments import find_schema_problem, find_value_problem
from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType, condition
from proctor_operator.domain.naming import is_environment_name, is_refused_environment_name
from proctor_operator.domain.proc import Parameter, Proc, ProcSpec
from proctor_operator.domain.redaction import find_mask_problem
from proctor_operator.reconcile.trouble import told_by_runs


@dataclass(frozen=True, slots=True)
class ProcProblem:
    """Why no execution of a proc can start: one CamelCase reason, and everything wrong at once."""

    reason: str
    message: str


def find_proc_problem(spec: ProcSpec) -> ProcProblem | None:
    """Name the first kind of trouble, in full; None when the proc can run."""
    wrong = "; ".join(_mistakes(spec))
    return ProcProblem("InvalidSpec", wrong) if wrong else None


def first_problem(
    mistakes: Iterable[str], not_yet: Iterable[str], *, unsupported: str
) -> ProcProblem | None:
    """All mistakes of a spec, or else what it asks for that this release cannot do, behind `unsupported`."""
    wrong = "; ".join(mistakes)
    if wrong:
        return ProcProblem("InvalidSpec", wrong)
    missing = ", ".join(not_yet)
    return ProcProblem("NotSupportedYet", f"{unsupported}{missing}") if missing else None


def proc_conditions(proc: Proc, now: datetime) -> tuple[Condition, ...]:
    """Ready says whether executions may start, Stalled that only the author can help."""
    problem = find_proc_problem(proc.spec)
    if problem is not None:
        return problem_conditions(problem, generation=proc.generation, now=now)
    if proc.spec.suspend:
        ready = (ConditionStatus.FALSE, "Suspended", "spec.suspend is true: no execution starts")
    else:
        ready = (ConditionStatus.TRUE, "Runnable", "executions of this proc may start")
    return (
        condition(ConditionType.READY, *ready, generation=proc.generation, now=now),
        told_by_runs(proc)
        or condition(
            ConditionType.STALLED,
            ConditionStatus.FALSE,
            "NothingWrong",
            "",
            generation=proc.generation,
            now=now,
        ),
    )


def problem_conditions(
    problem: ProcProblem, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Ready=False and Stalled=True with the same words; for any kind of ours."""
    said = (problem.reason, problem.message)
    return (
        condition(
            ConditionType.READY, ConditionStatus.FALSE, *said, generation=generation, now=now
        ),
        condition(
            ConditionType.STALLED, ConditionStatus.TRUE, *said, generation=generation, now=now
        ),
    )


def _mistakes(spec: ProcSpec) -> Iterator[str]:
    names = [*(one.name for one in spec.parameters), *(one.name for one in spec.secrets)]
    for name in dict.fromkeys(names):
        if not is_environment_name(name):
            yield f"{name!r} is not an environment variable name"
        elif is_refused_environment_name(name):
            yield f"the name {name} is refused: it could steer the loader, an interpreter or Proctor"
        if names.count(name) > 1:
            yield f"the name {name} is used {names.count(name)} times"
    for parameter in spec.parameters:
        yield from _parameter_mistakes(parameter)
    yield from _concurrency_mistakes(spec)
    for pattern in spec.logs.mask:
        problem = find_mask_problem(pattern)
        if problem is not None:
            yield f"logs: {problem}"


def _parameter_mistakes(parameter: Parameter) -> Iterator[str]:
    where = f"parameter {parameter.name}"
    if parameter.sensitive and parameter.has_default:
        yield f"{where}: a sensitive parameter has no default; its value comes from a Secret"
    if parameter.schema_ is None:
        return
    problem = find_schema_problem(parameter.schema_)
    if problem is not None:
        yield f"{where}: schema: {problem}"
    elif parameter.has_default and not parameter.sensitive:
        problem = find_value_problem(parameter.schema_, parameter.default)
        if problem is not None:
            yield f"{where}: default: {problem}"


def _concurrency_mistakes(spec: ProcSpec) -> Iterator[str]:
    """The API server has said so already, unless an older definition of the kind is installed."""
    sensitive = {one.name: one.sensitive for one in spec.parameters}
    known = ", ".join(name for name, is_sensitive in sensitive.items() if not is_sensitive)
    for name in spec.concurrency.key:
        if name not in sensitive:
            yield f"concurrency.key: the proc declares no parameter {name} (declared: {known or 'none'})"
        elif sensitive[name]:
            yield f"concurrency.key: the parameter {name} is sensitive; its value is not known here"
