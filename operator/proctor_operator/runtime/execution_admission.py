"""The review of one ProcExecution: stamp it, or say all that stands against it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.execution import ProcExecutionSpec
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject, parse
from proctor_operator.domain.naming import Namespace, is_object_name
from proctor_operator.domain.plugin import Hook
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.ports.cluster import AdmissionObjects
from proctor_operator.reconcile.admission.executions import (
    Named,
    find_changed_fields,
    is_being_cancelled,
    stamp_changed_execution,
    stamp_new_execution,
)
from proctor_operator.reconcile.admission.stamps import (
    ForeignStamps,
    Stamped,
    Stamper,
    map_at,
)
from proctor_operator.runtime.proc_readings import ProcReadings, ReadProc
from proctor_operator.runtime.submission import (
    Submission,
    Submissions,
    as_answer,
    find_lack_of_stamps,
    read,
)

CANNOT_CHANGE: Final = (
    "cannot change: the spec of a ProcExecution is what was asked for, recorded and run, and only "
    "spec.cancel may go from false to true; create another ProcExecution instead"
)


@dataclass(frozen=True, slots=True)
class ExecutionAdmission:
    """Judges executions; `submissions` knows who may run what.

    `readings` saves the second of a request's two reviews a question to the API server.
    """

    objects: AdmissionObjects
    submissions: Submissions
    readings: ProcReadings

    async def mutate(self, request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
        """Stamp it, or turn away what was brought."""
        manifest = request.object or {}
        spec = map_at(manifest, "spec")
        if not (_name(spec, "procRef") or _is_left_to_its_schedule(spec)):
            # The kind's schema says so in better words, before anything is stored.
            return Admitted()
        return as_answer(await self._stamp(request, manifest, stamper))

    async def validate(self, request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
        """Judge what is about to be stored."""
        manifest = request.object or {}
        if not _name(map_at(manifest, "spec"), "procRef"):
            return TurnedAway("Unreadable", "spec.procRef.name: it must name a proc", code=422)
        if request.operation is Operation.UPDATE:
            return await self._validate_change(request, manifest, stamper)
        known = None if stamper.brings_stamps else self._known_proc(request.namespace, manifest)
        named = await self._named(request, manifest, known)
        turned_away = find_lack_of_stamps(
            stamp_new_execution(manifest, request.namespace, stamper, named)
        )
        if turned_away is not None:
            return turned_away
        return await self._validate_new(request, manifest, named)

    async def _validate_new(
        self, request: AdmissionRequest, manifest: JsonObject, named: Named
    ) -> AdmissionAnswer:
        spec = parse(ProcExecutionSpec, manifest.get("spec"), where="spec")
        submission = Submission(request, named.proc, spec, _requester(spec))
        turned_away = await self.submissions.find_objection(submission)
        if turned_away is not None:
            return turned_away
        return await self.submissions.ask_gates(Hook.PRE_SUBMIT, submission)

    async def _validate_change(
        self, request: AdmissionRequest, manifest: JsonObject, stamper: Stamper
    ) -> AdmissionAnswer:
        old = request.old_object or {}
        changed = find_changed_fields(old, manifest)
        if changed:
            return TurnedAway("ImmutableSpec", f"{', '.join(changed)} {CANNOT_CHANGE}", code=422)
        turned_away = find_lack_of_stamps(await self._stamp(request, manifest, stamper))
        if turned_away is not None:
            return turned_away
        if not is_being_cancelled(old, manifest):
            return Admitted()
        return await self._validate_cancel(request, manifest, stamper)

    async def _validate_cancel(
        self, request: AdmissionRequest, manifest: JsonObject, stamper: Stamper
    ) -> AdmissionAnswer:
        spec = parse(ProcExecutionSpec, manifest.get("spec"), where="spec")
        asked = spec.requested_by
        user = request.user
        is_own = asked is not None and (asked.username, asked.uid) == (user.username, user.uid)
        if not (stamper.brings_stamps or is_own):
            may_cancel = await self.submissions.access.may_cancel(
                user, request.namespace, request.name
            )
            if not may_cancel:
                return TurnedAway(
                    "NotPermitted",
                    "spec.cancel: only the requester, or somebody with the verb cancel on this "
                    "procexecution, may cancel it",
                )
        proc = await read(self.objects.fetch_proc, request.namespace, spec.proc_ref.name)
        return await self.submissions.ask_gates(
            Hook.PRE_CANCEL, Submission(request, proc, spec, user)
        )

    async def _stamp(
        self, request: AdmissionRequest, manifest: JsonObject, stamper: Stamper
    ) -> Stamped | ForeignStamps:
        if request.operation is Operation.UPDATE:
            return stamp_changed_execution(
                request.old_object or {}, manifest, request.namespace, stamper
            )
        named = await self._named(request, manifest)
        if named.proc is not None:
            self.readings.keep(named.proc)
        return stamp_new_execution(manifest, request.namespace, stamper, named)

    def _known_proc(self, namespace: Namespace, manifest: JsonObject) -> ReadProc | None:
        """The Proc that this was stamped with a moment ago; the stamps themselves are looked at as ever."""
        spec = map_at(manifest, "spec")
        return self.readings.find(
            namespace, _name(spec, "procRef"), spec.get("procUID"), spec.get("procGeneration")
        )

    async def _named(
        self, request: AdmissionRequest, manifest: JsonObject, known_proc: ReadProc | None = None
    ) -> Named:
        spec, namespace, objects = map_at(manifest, "spec"), request.namespace, self.objects
        proc_name = "" if known_proc is not None else _name(spec, "procRef")
        read_proc, schedule, rerun_of = await asyncio.gather(
            read(objects.fetch_proc, namespace, proc_name),
            read(objects.fetch_schedule, namespace, _name(spec, "scheduleRef")),
            read(objects.fetch_execution, namespace, _name(spec, "rerunOf")),
        )
        if isinstance(schedule, ProcSchedule) and _is_left_to_its_schedule(spec):
            read_proc = await read(objects.fetch_proc, namespace, schedule.spec.proc_ref.name)
        return Named(known_proc or read_proc, schedule, rerun_of)


def _requester(spec: ProcExecutionSpec) -> Requester:
    if spec.requested_by is None:
        raise Unreadable("spec.requestedBy is missing")
    return spec.requested_by


def _is_left_to_its_schedule(spec: JsonObject) -> bool:
    """Whether somebody names a schedule, and leaves it to that which proc runs."""
    return spec.get("procRef") is None and bool(_name(spec, "scheduleRef"))


def _name(spec: JsonObject, field: str) -> str:
    name = map_at(spec, field).get("name")
    return str(name) if is_object_name(name) else ""
