"""The base class does nothing, and the contract tests catch what Proctor would stumble over."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proctor_operator.adapters.plugins.groups import GroupsPlugin
from proctor_plugin import (
    Allow,
    AuthorizeRequest,
    Continue,
    Deny,
    Describe,
    GateAnswer,
    GateRequest,
    Hook,
    NoOpinion,
    ProctorPlugin,
    Verdict,
)
from proctor_plugin.testing import ContractBroken, check_contract, sample_requests


class Good(ProctorPlugin):
    name = "good"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return Allow() if "dba" in request.principal.groups else NoOpinion()


class Blocking(ProctorPlugin):
    name = "blocking"

    def authorize(self, request: AuthorizeRequest) -> Verdict:  # type: ignore[override]
        time.sleep(0.7)  # noqa: TID251 - it is about a plugin that blocks, in a thread
        return Allow()


class Mute(ProctorPlugin):
    name = "mute"


class Nameless(ProctorPlugin):
    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return Allow()


class AnswersTrue(ProctorPlugin):
    name = "true"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return True  # type: ignore[return-value]


class AnswersForTheWrongHook(ProctorPlugin):
    name = "wrong"

    async def pre_launch(self, request: GateRequest) -> GateAnswer:
        return Allow()  # type: ignore[return-value]


class Raises(ProctorPlugin):
    name = "raises"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        raise KeyError(request.proc.labels["team"])


class Hangs(ProctorPlugin):
    name = "hangs"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        await asyncio.Event().wait()
        return Allow()


class HoldsTheLoop(ProctorPlugin):
    name = "holds"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        time.sleep(0.8)  # noqa: ASYNC251, TID251 - the mistake that is to be found
        return Allow()


class ComputesOnTheLoop(ProctorPlugin):
    name = "computes"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        began = time.thread_time()
        while time.thread_time() - began < 0.8:
            pass
        return Allow()


class IsStoppedByTheMachine(Good):
    """Its whole process stands still for a while, as on a machine that is too busy."""

    name = "stopped"

    async def configure(self, config: Mapping[str, Any], credentials_file: Path | None) -> None:
        me = os.getpid()
        script = f"kill -STOP {me}; sleep 0.8; kill -CONT {me}"
        stopper = await asyncio.create_subprocess_exec("/bin/sh", "-c", script)
        await stopper.wait()


class MisspellsAHook(ProctorPlugin):
    name = "misspelt"

    async def authorise(self, request: AuthorizeRequest) -> Verdict:
        return Deny(message="no")

    async def pre_submit(self, request: GateRequest) -> GateAnswer:
        return Continue()


class DeniesWithoutAWord(ProctorPlugin):
    name = "curt"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return Deny(message="")


class TalksTooMuch(ProctorPlugin):
    name = "long"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return Deny(message="no " * 200)


class EchoesTheUser(ProctorPlugin):
    name = "echo"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        return Deny(message=f"{request.principal.username} may not")


class SpeaksAnotherProtocol(Good):
    def describe(self) -> Describe:
        return super().describe().model_copy(update={"protocol": "proctor.plugin.v9"})


class ClaimsTooMuch(Good):
    def describe(self) -> Describe:
        return super().describe().model_copy(update={"implements": frozenset(Hook)})


class CannotBeConfigured(Good):
    async def configure(self, config: Mapping[str, Any], credentials_file: Path | None) -> None:
        raise ValueError(f"no team in {sorted(config)}")


BAD: dict[type[ProctorPlugin], str] = {
    Mute: "no hook is overridden",
    Nameless: "describe() fails: name",
    AnswersTrue: "authorize() answers bool",
    AnswersForTheWrongHook: "pre_launch() answers Allow",
    Raises: "authorize() raises KeyError",
    Hangs: "authorize() takes longer than 2 s",
    HoldsTheLoop: "authorize() held the event loop",
    ComputesOnTheLoop: "authorize() held the event loop",
    MisspellsAHook: "authorise() is no hook",
    DeniesWithoutAWord: "authorize() says Deny without a word why",
    TalksTooMuch: "a message has 600 characters",
    EchoesTheUser: "characters that are not printable",
    SpeaksAnotherProtocol: "names the protocol 'proctor.plugin.v9'",
    ClaimsTooMuch: "claims PreLaunch, which the class does not override",
    CannotBeConfigured: "configure() raises ValueError",
}


@pytest.mark.parametrize("bad", BAD, ids=lambda one: one.__name__)
async def test_a_bad_plugin_is_found_out(bad: type[ProctorPlugin]) -> None:
    with pytest.raises(ContractBroken) as broken:
        await check_contract(bad)

    assert BAD[bad] in str(broken.value)


async def test_something_else_than_a_plugin_is_found_out() -> None:
    with pytest.raises(ContractBroken, match="dict is not derived from ProctorPlugin"):
        await check_contract(dict)  # type: ignore[arg-type]


@pytest.mark.parametrize("good", [Good, Blocking, IsStoppedByTheMachine])
async def test_a_good_plugin_passes(good: type[ProctorPlugin]) -> None:
    await check_contract(good)


async def test_the_plugin_that_comes_with_the_operator_passes() -> None:
    await check_contract(GroupsPlugin, config={"groups": ["dba"]})


async def test_the_base_class_has_every_hook_and_none_of_them_does_anything() -> None:
    plugin = Good()
    (request, *_) = sample_requests()
    gate = GateRequest(**request.model_dump(), hook=Hook.PRE_LAUNCH)

    assert plugin.implements() == {Hook.AUTHORIZE}
    assert await ProctorPlugin().authorize(request) == NoOpinion()
    for method in (plugin.pre_submit, plugin.pre_launch, plugin.pre_cancel):
        assert await method(gate) == Continue()


@pytest.mark.parametrize(
    ("match", "groups", "answer"),
    [
        ("Any", ("dba",), Allow(message="member of dba")),
        ("Any", ("ops",), NoOpinion()),
        ("All", ("dba",), NoOpinion()),
        ("All", ("sre", "dba"), Allow(message="member of dba, sre")),
    ],
)
async def test_groups_allows_members_and_has_no_opinion_on_others(
    match: str, groups: tuple[str, ...], answer: Verdict
) -> None:
    plugin = GroupsPlugin()
    await plugin.configure({"groups": ["dba", "sre"], "match": match}, None)
    (request, *_) = sample_requests()
    asked = request.model_copy(
        update={"principal": request.principal.model_copy(update={"groups": groups})}
    )

    assert await plugin.authorize(asked) == answer
