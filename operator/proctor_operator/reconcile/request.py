"""What the record is told of a run before it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from proctor_operator.domain.arguments import arguments_for_the_record
from proctor_operator.domain.authorization import Allowed, decide_authorization
from proctor_operator.domain.fingerprint import fingerprint_of
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import PinnedSpec, RunKey, RunRequest
from proctor_operator.reconcile.observed import ObservedExecution

RECONSTRUCTED: Final = "an earlier row, which the record has lost"


def run_request(observed: ObservedExecution) -> RunRequest:
    """The request of an execution, with the Proc as it is now; without a fingerprint.

    Nothing has checked the arguments yet: a hash of what is no more than a claim could be one of a
    secret that somebody wrote in the wrong place.
    """
    execution = observed.execution
    spec = execution.spec
    proc = observed.proc if isinstance(observed.proc, Proc) else None
    return RunRequest(
        key=RunKey(execution.creation_time, execution.uid),
        namespace=execution.namespace,
        name=execution.name,
        proc_name=spec.proc_ref.name,
        requester=spec.requested_by,
        reason=spec.reason,
        arguments=arguments_for_the_record(
            proc.spec.parameters if proc else (), spec.arguments, spec.arguments_from
        ),
        pinned=_pin(proc) if proc else None,
        grant=_grant(observed, proc) if proc else "",
    )


def reconstructed_request(observed: ObservedExecution) -> RunRequest:
    """The request of a run that has begun and that the record has lost: it was restored from a backup.

    Nothing is checked again, for nothing is started. The Proc is pinned unless it is known to be
    another than the run's.
    """
    status = observed.execution.status
    request = run_request(observed)
    is_another = (
        status.proc is not None
        and request.pinned is not None
        and (
            (status.proc.uid, status.proc.generation)
            != (request.pinned.uid, request.pinned.generation)
        )
    )
    return replace(
        request,
        pinned=None if is_another else request.pinned,
        grant=RECONSTRUCTED,
        fingerprint=fingerprint_of(observed.execution.spec),
    )


def _pin(proc: Proc) -> PinnedSpec:
    return PinnedSpec(
        name=proc.name,
        uid=proc.uid,
        generation=proc.generation,
        spec=proc.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    )


def _grant(observed: ObservedExecution, proc: Proc) -> str:
    requester = observed.execution.spec.requested_by
    if requester is None:
        return ""
    verdict = decide_authorization(
        proc.spec.authorization,
        requester,
        holds_execute=observed.holds_execute,
        votes=observed.votes,
    )
    return verdict.by if isinstance(verdict, Allowed) else ""
