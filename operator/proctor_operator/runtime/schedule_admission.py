"""The review of one ProcSchedule: stamp its author, who must be able to run what it runs, at times that come."""

from __future__ import annotations

from dataclasses import dataclass

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    TurnedAway,
)
from proctor_operator.domain.model import JsonObject, parse
from proctor_operator.domain.naming import is_object_name
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.occurrences import find_timing_problem
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.ports.access import EVERY_EXECUTION
from proctor_operator.ports.cluster import AdmissionObjects
from proctor_operator.reconcile.admission.schedules import (
    changes_the_spec,
    is_only_switched_off,
    is_the_author,
    stamp_schedule,
)
from proctor_operator.reconcile.admission.stamps import (
    ForeignStamps,
    Stamped,
    Stamper,
    map_at,
    requester_stamp,
)
from proctor_operator.runtime.submission import (
    Submission,
    Submissions,
    as_answer,
    find_lack_of_stamps,
    read,
)


@dataclass(frozen=True, slots=True)
class ScheduleAdmission:
    """Judges schedules; `submissions` knows who may run what."""

    objects: AdmissionObjects
    submissions: Submissions

    async def mutate(self, request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
        """Stamp it, or turn away what was brought."""
        manifest = request.object or {}
        if not _proc_name(manifest):
            # The kind's schema says so in better words, before anything is stored.
            return Admitted()
        return as_answer(_stamp(request, manifest, stamper, await self._proc(request, manifest)))

    async def validate(self, request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
        """Its times can come, its proc takes these arguments, and whoever writes it may run that."""
        manifest, old = request.object or {}, request.old_object or {}
        if not _proc_name(manifest):
            return TurnedAway("Unreadable", "spec.procRef.name: it must name a proc", code=422)
        proc = await self._proc(request, manifest)
        turned_away = find_lack_of_stamps(_stamp(request, manifest, stamper, proc))
        if turned_away is not None:
            return turned_away
        if old and not changes_the_spec(old, manifest):
            return Admitted()
        spec = parse(ProcScheduleSpec, manifest.get("spec"), where="spec")
        if old and is_only_switched_off(old, manifest):
            user = requester_stamp(stamper.user, _named_groups(proc))
            is_free = stamper.brings_stamps or is_the_author(old, user)
            submission = Submission(request, proc, spec, user)
            return Admitted() if is_free else await self._validate_switching_off(submission)
        mistake = find_timing_problem(spec)
        if mistake is not None:
            return TurnedAway("InvalidSchedule", mistake, code=422)
        author = spec.requested_by if stamper.brings_stamps else None
        if author is None:
            author = requester_stamp(stamper.user, _named_groups(proc))
        objection = await self.submissions.find_objection(Submission(request, proc, spec, author))
        return objection or Admitted()

    async def _validate_switching_off(self, submission: Submission) -> AdmissionAnswer:
        """What it would run matters not, so that it can be stopped whatever is wrong with that."""
        access, namespace = self.submissions.access, submission.request.namespace
        if await access.may_cancel(submission.requester, namespace, EVERY_EXECUTION):
            return Admitted()
        denial = await self.submissions.find_lack_of_rights(submission)
        if denial is None:
            return Admitted()
        return TurnedAway(
            "NotPermitted",
            "spec.suspend: only the schedule's author, somebody who may execute its proc, or somebody with the "
            f"verb cancel on procexecutions here may suspend it; {denial}",
        )

    async def _proc(
        self, request: AdmissionRequest, manifest: JsonObject
    ) -> Proc | UnreadableObject | None:
        return await read(self.objects.fetch_proc, request.namespace, _proc_name(manifest))


def _stamp(
    request: AdmissionRequest,
    manifest: JsonObject,
    stamper: Stamper,
    proc: Proc | UnreadableObject | None,
) -> Stamped | ForeignStamps:
    return stamp_schedule(
        request.old_object or {},
        manifest,
        request.namespace,
        stamper,
        named_groups=_named_groups(proc),
    )


def _named_groups(proc: Proc | UnreadableObject | None) -> tuple[str, ...]:
    return proc.spec.authorization.groups if isinstance(proc, Proc) else ()


def _proc_name(manifest: JsonObject) -> str:
    name = map_at(map_at(manifest, "spec"), "procRef").get("name")
    return str(name) if is_object_name(name) else ""
