"""Reviews of Procs with the API server behind ports; what it really says is tested in tests/integration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    ReviewUid,
    TurnedAway,
)
from proctor_operator.domain.errors import (
    ClusterError,
    ClusterUnavailable,
    Fault,
    Forbidden,
    Rejected,
)
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.pod_security import PodSecurityLevel
from proctor_operator.ports.dry_run import Fit, Hindered
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.runtime.proc_admission import ProcAdmission
from unit.builders import NAMESPACE, requester
from unit.fakes import FakeAccess

SOUND = {"description": "Grow a disk", "image": "a:1"}


class FakeDryRun:
    """Takes every Job, unless told otherwise."""

    def __init__(self) -> None:
        self.tried: list[JsonObject] = []
        self.raises: ClusterError | None = None
        self.hindrance = ""

    async def try_job(self, namespace: Namespace, manifest: JsonObject) -> Fit | Hindered:
        assert namespace == NAMESPACE
        self.tried.append(manifest)
        if self.raises is not None:
            raise self.raises
        return Hindered(self.hindrance) if self.hindrance else Fit(manifest)


class Line:
    def __init__(self) -> None:
        self.access = FakeAccess()
        self.access.job_creators.add("alice")
        self.dry_run = FakeDryRun()
        self.admission = ProcAdmission(access=self.access, dry_run=self.dry_run, policy=RunPolicy())

    async def ask(self, request: AdmissionRequest) -> AdmissionAnswer:
        return await self.admission.validate(request)

    async def refusal(self, request: AdmissionRequest) -> TurnedAway:
        answer = await self.ask(request)
        assert isinstance(answer, TurnedAway)
        return answer


@pytest.fixture
def line() -> Line:
    return Line()


def create(**spec: Any) -> AdmissionRequest:
    return AdmissionRequest(
        uid=ReviewUid("review-1"),
        operation=Operation.CREATE,
        resource="procs",
        namespace=NAMESPACE,
        name="grow-disk",
        user=requester(),
        object={"spec": {**SOUND, **spec}},
    )


def update(before: JsonObject, after: JsonObject) -> AdmissionRequest:
    request = create(**after)
    old = {"spec": {**SOUND, **before}}
    return replace(request, operation=Operation.UPDATE, old_object=old)


async def test_a_sound_proc_is_admitted_after_a_try_of_its_job(line: Line) -> None:
    assert await line.ask(create()) == Admitted()
    assert len(line.dry_run.tried) == 1


async def test_a_dry_run_is_judged_like_any_other(line: Line) -> None:
    request = replace(create(parameters=[{"name": "PATH"}]), is_dry_run=True)

    assert (await line.refusal(request)).reason == "InvalidSpec"


UNASKED: dict[str, AdmissionRequest] = {
    "a deletion": replace(create(), operation=Operation.DELETE),
    "a status": replace(create(), subresource="status"),
    "a spec that stays": update({"suspend": True}, {"suspend": True}),
    "another order of fields": update(
        {"suspend": True, "retries": 1}, {"retries": 1, "suspend": True}
    ),
}


@pytest.mark.parametrize("request_", UNASKED.values(), ids=UNASKED)
async def test_nothing_is_asked_where_no_spec_is_written(
    line: Line, request_: AdmissionRequest
) -> None:
    line.access.job_creators.clear()

    assert await line.ask(request_) == Admitted()
    assert line.dry_run.tried == []


async def test_a_number_that_becomes_a_boolean_is_a_change(line: Line) -> None:
    before = {"parameters": [{"name": "A", "default": 1}]}
    after = {"parameters": [{"name": "A", "default": True}]}

    await line.ask(update(before, after))

    assert len(line.dry_run.tried) == 1


async def test_fields_that_do_not_parse_are_named(line: Line) -> None:
    away = await line.refusal(create(retries="many", colour="blue"))

    assert (away.reason, away.code) == ("InvalidSpec", 422)
    assert "spec.retries" in away.message
    assert "spec.colour" in away.message


async def test_a_review_without_an_object_is_denied(line: Line) -> None:
    assert (await line.refusal(replace(create(), object=None))).reason == "InvalidSpec"


async def test_all_mistakes_come_at_once_and_nothing_is_asked_for_them(line: Line) -> None:
    secret = {"name": "B", "secretKeyRef": {"name": "s", "key": "k"}}
    away = await line.refusal(
        create(parameters=[{"name": "PATH"}, {"name": "B"}], secrets=[secret])
    )

    assert (away.reason, away.code) == ("InvalidSpec", 422)
    assert "PATH" in away.message
    assert "the name B is used 2 times" in away.message
    assert line.dry_run.tried == []


async def test_who_may_not_create_jobs_is_denied_before_any_try(line: Line) -> None:
    line.access.job_creators.clear()

    assert (await line.refusal(create())).reason == "NotPermitted"
    assert line.dry_run.tried == []


async def test_an_account_without_the_right_to_try_jobs_denies_and_says_whose_it_is(
    line: Line,
) -> None:
    line.dry_run.raises = Forbidden("cannot create resource", status=403)

    away = await line.refusal(create())

    assert (away.reason, away.code) == ("OperatorNotPermitted", 503)
    assert "the operator's own account lacks a right" in away.message


async def test_nothing_is_admitted_while_the_api_server_does_not_answer(line: Line) -> None:
    line.dry_run.raises = ClusterUnavailable("no answer in 5 s")

    with pytest.raises(Fault):
        await line.ask(create())


async def test_a_hindrance_is_a_warning(line: Line) -> None:
    line.dry_run.hindrance = "exceeded quota: jobs"

    assert await line.ask(create()) == Admitted(
        warnings=("a job of this proc would be refused at the moment: exceeded quota: jobs",)
    )


async def test_a_refused_job_and_a_forbidden_pod_are_told_together(line: Line) -> None:
    line.dry_run.raises = Rejected(
        'Job.batch "x" is invalid: spec.template.spec.foo: Required value'
    )
    request = create(podTemplate={"spec": {"hostNetwork": True}})

    away = await line.refusal(replace(request, pod_security=PodSecurityLevel.BASELINE))

    assert away.message == (
        "the API server would refuse the job of an execution: spec.podTemplate.spec.foo: Required "
        "value; namespace apps enforces the Pod Security level baseline: "
        "spec.podTemplate.spec.hostNetwork is true, must be false or left out"
    )


async def test_every_parameter_has_a_value_in_the_job_that_is_tried(line: Line) -> None:
    await line.ask(
        create(
            parameters=[
                {"name": "GIVEN"},
                {"name": "DEFAULTED", "default": 5},
                {"name": "HIDDEN", "sensitive": True},
                {"name": "OPTIONAL", "required": False},
            ]
        )
    )

    (job,) = line.dry_run.tried
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one for one in container["env"]}
    assert environment["GIVEN"]["value"] == environment["OPTIONAL"]["value"] == "sample"
    assert environment["DEFAULTED"]["value"] == "5"
    assert environment["HIDDEN"]["valueFrom"]["secretKeyRef"]["name"] == "sample"
