"""Why an execution may not start: told at admission, and once more before its Job is made."""

from __future__ import annotations

from dataclasses import dataclass

from proctor_operator.domain.arguments import find_argument_problems
from proctor_operator.domain.conditions import ConditionStatus, ConditionType
from proctor_operator.domain.execution import ArgumentFrom, ProcExecutionSpec
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.reconcile.proc import find_proc_problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """`reason` is one CamelCase word, `message` is for the person who asked."""

    reason: str
    message: str


def no_such_proc(namespace: Namespace, name: str) -> Refusal:
    """There is no Proc of that name."""
    return Refusal(
        "ProcNotFound",
        f"there is no proc {name!r} in namespace {namespace!r}; "
        f"`kubectl get procs -n {namespace}` lists what can be run",
    )


def unreadable_proc(proc: UnreadableObject) -> Refusal:
    """The Proc does not parse."""
    return Refusal("ProcNotReady", f"the proc cannot be read: {proc.problem}")


def find_mistaken_proc(proc: Proc) -> Refusal | None:
    """The Proc has a mistake, or asks for something that this release cannot do."""
    problem = find_proc_problem(proc.spec)
    if problem is None:
        return None
    return Refusal("ProcNotReady", f"the proc is not ready ({problem.reason}): {problem.message}")


def find_unready_proc(proc: Proc) -> Refusal | None:
    """The controller has looked at the Proc as it is now, and found that it cannot run."""
    for one in proc.conditions:
        is_current = one.observed_generation == proc.generation
        says_no = one.type is ConditionType.READY and one.status is ConditionStatus.FALSE
        if says_no and is_current and not proc.spec.suspend:
            return Refusal("ProcNotReady", f"the proc is not ready ({one.reason}): {one.message}")
    return None


def find_suspended_proc(proc: Proc) -> Refusal | None:
    """The author has switched it off."""
    if not proc.spec.suspend:
        return None
    return Refusal("ProcSuspended", f"the proc {proc.name!r} is suspended by its author")


def find_unfit_arguments(proc: Proc, spec: ProcExecutionSpec | ProcScheduleSpec) -> Refusal | None:
    """An argument is unknown, missing, misplaced, of the wrong type or out of range: all of it at once."""
    problems = find_argument_problems(proc.spec.parameters, spec.arguments, spec.arguments_from)
    return Refusal("InvalidArguments", "; ".join(problems)) if problems else None


def secret_out_of_reach(argument: ArgumentFrom) -> Refusal:
    """The requester may not read a Secret that an argument names; whether it exists is not said."""
    name = argument.secret_key_ref.name
    return Refusal(
        "NotPermitted",
        f"argument {argument.name}: the requester may not read the secret {name!r}",
    )
