"""What is kept in memory of an execution that is over.

There may be tens of thousands of these, each with up to 128 KiB of arguments and kilobytes of output.
"""

from __future__ import annotations

from proctor_operator.domain.execution import (
    ProcExecution,
    ProcExecutionSpec,
    ProcExecutionStatus,
)
from proctor_operator.domain.naming import GITOPS_LABELS


def remains_of(finished: ProcExecution) -> ProcExecution:
    """The same execution with what is asked of it after its end, and nothing else.

    Asked by the last step of its own ladder, by retention, and by what its Proc tells of its runs. What is
    left out reads as if nobody had set it; writing a status made from this one leaves it in the cluster as it is.
    """
    spec, status = _spec(finished.spec), _status(finished.status)
    labels = {name: value for name, value in finished.labels.items() if name in GITOPS_LABELS}
    kept = finished.model_copy(update={"labels": labels, "spec": spec, "status": status})
    for one in (kept, spec, status):
        # Which fields were given matters to nobody, and takes as much as they do.
        one.model_fields_set.clear()
    return kept


def _spec(spec: ProcExecutionSpec) -> ProcExecutionSpec:
    return ProcExecutionSpec(
        proc_ref=spec.proc_ref, schedule_ref=spec.schedule_ref, cancel=spec.cancel
    )


def _status(status: ProcExecutionStatus) -> ProcExecutionStatus:
    return ProcExecutionStatus(
        phase=status.phase,
        observed_generation=status.observed_generation,
        conditions=status.conditions,
        proc=status.proc,
        job_ref=status.job_ref,
        number=status.number,
        start_time=status.start_time,
        completion_time=status.completion_time,
    )
