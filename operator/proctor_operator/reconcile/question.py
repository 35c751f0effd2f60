"""What plugins are asked about an execution."""

from __future__ import annotations

from proctor_operator.domain.arguments import arguments_for_the_record
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.plugin import Question
from proctor_operator.domain.proc import Proc


def question_of(execution: ProcExecution, proc: Proc) -> Question:
    """The question of an execution that is there; the same on every retry."""
    spec = execution.spec
    if spec.requested_by is None:
        raise Unreadable("spec.requestedBy is missing")
    return Question(
        invocation=execution.uid,
        requester=spec.requested_by,
        proc=proc,
        arguments=arguments_for_the_record(
            proc.spec.parameters, spec.arguments, spec.arguments_from
        ),
        namespace=execution.namespace,
        execution=execution.name,
        execution_uid=execution.uid,
    )
