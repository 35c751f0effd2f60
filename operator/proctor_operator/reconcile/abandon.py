"""The admin's last word: an object is let go though its end cannot be recorded.

`proctor.dev/give-up: "<reason>"` says so on an execution, or on its Job. It holds only for what is being
deleted, and only while the record cannot be written: an end that can be recorded is recorded.
"""

from __future__ import annotations

from proctor_operator.domain.naming import job_name
from proctor_operator.domain.objects import Unseen
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    DeleteJob,
    ReadJob,
    Rest,
)
from proctor_operator.reconcile.observed import ObservedExecution

Abandonment = AbandonExecution | AbandonJob | DeleteJob | ReadJob | Rest


def find_abandonment(observed: ObservedExecution) -> Abandonment | None:
    """What to let go next; None when nobody has said so. For an execution whose record failed it."""
    execution = observed.execution
    why = execution.give_up_reason
    if why and observed.job is Unseen.NOT_READ:
        return ReadJob(job_name(execution.name, execution.uid))
    job = observed.own_job
    if job is not None and job.is_held:
        if why and job.end is None and not job.is_being_deleted:
            return DeleteJob(job)
        if reason := job.give_up_reason or why:
            return AbandonJob(job, reason)
    if not why:
        return None
    return AbandonExecution(why) if execution.is_held else Rest()
