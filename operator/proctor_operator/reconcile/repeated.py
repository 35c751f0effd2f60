"""An execution that a GitOps tool applies again though it has run: it shows what came of it then.

Such a tool puts back what is in its repository whenever it is not in the cluster. That must not grow a
disk twice.
"""

from __future__ import annotations

from dataclasses import replace

from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.fingerprint import fingerprint_of
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.run import ALREADY_RUN, Outcome, RecordedRun
from proctor_operator.reconcile.checks import requester_is_known
from proctor_operator.reconcile.decision import FetchEarlierRun, RecordRefusal
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.request import run_request


def find_repetition(observed: ObservedExecution) -> FetchEarlierRun | RecordRefusal | None:
    """Ask the record, and end what has run before with the outcome of then; None: it is new.

    Before any other check: the Proc may have changed or gone since, which takes nothing back. Only who
    asks must be known, because what came of a run is not for everybody.
    """
    execution = observed.execution
    if not execution.is_gitops_tracked or requester_is_known(observed) is not None:
        return None
    if observed.earlier is Unseen.NOT_READ:
        asked = replace(run_request(observed), fingerprint=fingerprint_of(execution.spec))
        return FetchEarlierRun(asked)
    earlier = observed.earlier
    if isinstance(earlier, Unseen) or earlier.outcome is None:
        return None
    repeated = replace(
        run_request(observed),
        arguments=earlier.request.arguments,
        pinned=earlier.request.pinned,
        grant="",
        fingerprint=earlier.request.fingerprint,
    )
    return RecordRefusal(repeated, _the_same_again(earlier, earlier.outcome))


def _the_same_again(earlier: RecordedRun, outcome: Outcome) -> Outcome:
    ended = format_timestamp(outcome.completed_at)
    said = f"{outcome.reason}: {outcome.message}" if outcome.message else outcome.reason
    message = (
        f"run number {earlier.number} did the same and ended at {ended} ({said}); a GitOps tool applied "
        "it again, and nothing was started"
    )
    return replace(
        outcome,
        reason=ALREADY_RUN,
        message=shorten(message, MESSAGE_LIMIT_BYTES),
        pod_name=None,
        log=None,
    )
