"""Contract tests: what Proctor relies on, tried on a plugin by its author.

    from proctor_plugin.testing import check_contract

    async def test_it_keeps_the_contract() -> None:
        await check_contract(MyPlugin, config={"team": "dba"})

All problems are reported at once, each as a sentence.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import JsonValue, ValidationError

from proctor_plugin.models import (
    MESSAGE_LIMIT,
    PROTOCOL,
    Allow,
    AuthorizeRequest,
    Continue,
    Defer,
    Deny,
    Describe,
    GateRequest,
    Hook,
    NoOpinion,
    Principal,
    ProcInfo,
)
from proctor_plugin.plugin import METHODS, ProctorPlugin

SECONDS_TO_ANSWER: Final = 2.0
"""The default deadline of a hook."""

STALL_SECONDS: Final = 0.5
"""Longer than this nothing may hold the event loop."""

_BEAT_SECONDS: Final = STALL_SECONDS / 50

_ANSWERS: Final[Mapping[Hook, tuple[type, ...]]] = {
    Hook.AUTHORIZE: (Allow, Deny, NoOpinion),
    Hook.PRE_SUBMIT: (Continue, Deny, Defer),
    Hook.PRE_LAUNCH: (Continue, Deny, Defer),
    Hook.PRE_CANCEL: (Continue, Deny, Defer),
}
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!-]*")


class ContractBroken(AssertionError):
    """The plugin would not do; `problems` holds one sentence for each thing wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


async def check_contract(
    plugin: Callable[[], ProctorPlugin],
    *,
    config: Mapping[str, Any] | None = None,
    credentials_file: Path | None = None,
    requests: tuple[AuthorizeRequest, ...] = (),
) -> None:
    """Try a plugin, made by calling `plugin`; raises `ContractBroken`.

    `requests` are asked besides the ones at hand, so that a plugin can be tried with users it knows.
    """
    problems: list[str] = []
    made = plugin()
    described = _described(made, problems)
    if described is None:
        raise ContractBroken(problems)
    if await _configured(made, config or {}, credentials_file, problems):
        for hook in sorted(described.implements):
            for request in (*sample_requests(), *requests):
                await _check_hook(made, hook, request, problems)
    await _closed(made, problems)
    if problems:
        raise ContractBroken(list(dict.fromkeys(problems)))


def sample_requests() -> tuple[AuthorizeRequest, ...]:
    """Somebody ordinary, somebody unknown without anything, and a hostile name with odd arguments."""
    proc = ProcInfo(namespace="apps", name="grow-disk", uid="p-1", generation=3, groups=("dba",))
    odd: dict[str, JsonValue] = {"A": None, "B": [1, {"c": "\x00"}], "C": "ä" * 1000}
    bare = ProcInfo(namespace="apps", name="bare", uid="p-2", generation=1)
    return (
        AuthorizeRequest(
            invocation_id="i-1",
            principal=Principal(username="ada@example.org", groups=("dba", "system:authenticated")),
            proc=proc,
            arguments={"SIZE_GB": 200},
        ),
        AuthorizeRequest(
            invocation_id="i-2", principal=Principal(username="nobody"), proc=bare, dry_run=True
        ),
        AuthorizeRequest(
            invocation_id="i-3",
            principal=Principal(username="../x?y=1&email=root@example.org\r\nX: 1#"),
            proc=proc,
            arguments=odd,
        ),
    )


def _described(plugin: object, problems: list[str]) -> Describe | None:
    if not isinstance(plugin, ProctorPlugin):
        problems.append(f"{type(plugin).__name__} is not derived from ProctorPlugin")
        return None
    try:
        described: object = plugin.describe()
    except ValidationError as error:
        fields = ", ".join(str(part) for one in error.errors() for part in one["loc"])
        problems.append(f"describe() fails: {fields} cannot be as it is")
        return None
    if not isinstance(described, Describe):
        problems.append(f"describe() returns {type(described).__name__}, not Describe")
        return None
    if described.protocol != PROTOCOL:
        problems.append(f"describe() names the protocol {described.protocol!r}, not {PROTOCOL!r}")
    if not _VERSION.fullmatch(described.version):
        problems.append(f"the version {described.version!r} is none")
    if not described.implements:
        problems.append("no hook is overridden: the plugin would never be asked")
    problems.extend(
        f"describe() claims {hook}, which the class does not override"
        for hook in described.implements - type(plugin).implements()
    )
    if described.config_schema.get("type") != "object":
        problems.append("config_schema must have type object: spec.config is one")
    problems.extend(_misspelt(type(plugin)))
    return described


def _misspelt(plugin: type[ProctorPlugin]) -> list[str]:
    """Public coroutine methods that look like a hook and are none: they would never be called."""
    known = {name for name in dir(ProctorPlugin) if not name.startswith("_")}
    return [
        f"{name}() is no hook of {PROTOCOL}; there are {', '.join(METHODS.values())}"
        for name, method in vars(plugin).items()
        if inspect.isfunction(method)
        and name not in known
        and re.match(r"(pre|post|on)_|authori[sz]e|authenticate", name, re.IGNORECASE)
    ]


async def _configured(
    plugin: ProctorPlugin,
    config: Mapping[str, Any],
    credentials_file: Path | None,
    problems: list[str],
) -> bool:
    before = len(problems)
    async with _no_longer_than(SECONDS_TO_ANSWER, "configure()", problems):
        await _await_it(plugin.configure(config, credentials_file))
    return len(problems) == before


async def _check_hook(
    plugin: ProctorPlugin, hook: Hook, request: AuthorizeRequest, problems: list[str]
) -> None:
    method = getattr(plugin, METHODS[hook])
    asked = _for(hook, request)
    async with _no_longer_than(SECONDS_TO_ANSWER, f"{METHODS[hook]}()", problems):
        if inspect.iscoroutinefunction(method):
            answer = await method(asked)
        else:
            answer = await asyncio.to_thread(method, asked)
        _check_answer(hook, answer, problems)


def _for(hook: Hook, request: AuthorizeRequest) -> AuthorizeRequest:
    if hook is Hook.AUTHORIZE:
        return request
    fields = {name: getattr(request, name) for name in AuthorizeRequest.model_fields}
    return GateRequest(**fields, hook=hook, execution="grow-1", execution_uid="e-1")


def _check_answer(hook: Hook, answer: object, problems: list[str]) -> None:
    method, fitting = METHODS[hook], _ANSWERS[hook]
    if not isinstance(answer, fitting):
        names = ", ".join(one.__name__ for one in fitting)
        problems.append(f"{method}() answers {type(answer).__name__}; it may answer {names}")
        return
    message = getattr(answer, "message", "")
    if isinstance(answer, Deny | Defer) and not message.strip():
        problems.append(f"{method}() says {answer.answer} without a word why")
    if len(message) > MESSAGE_LIMIT:
        problems.append(
            f"{method}(): a message has {len(message)} characters; Proctor cuts it at {MESSAGE_LIMIT}"
        )
    if any(not character.isprintable() for character in message):
        problems.append(f"{method}(): a message holds characters that are not printable")


async def _closed(plugin: ProctorPlugin, problems: list[str]) -> None:
    async with _no_longer_than(SECONDS_TO_ANSWER, "close()", problems):
        await _await_it(plugin.close())


async def _await_it(result: object) -> None:
    if inspect.isawaitable(result):
        await result


@asynccontextmanager
async def _no_longer_than(seconds: float, what: str, problems: list[str]) -> AsyncIterator[None]:
    """Note what takes too long, raises, or holds the event loop meanwhile."""
    with _Neighbour() as neighbour:
        stalls: list[_Stall] = []
        pulse = asyncio.create_task(_feel_the_pulse(stalls))
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            problems.append(f"{what} takes longer than {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is what is reported
            problems.append(f"{what} raises {type(error).__name__}: {error}")
        finally:
            await asyncio.sleep(2 * _BEAT_SECONDS)
            pulse.cancel()
    worst = max(stalls, default=_Stall(0.0, 0.0))
    if worst.seconds > STALL_SECONDS and not neighbour.explains(worst):
        problems.append(
            f"{what} held the event loop for {worst.seconds:.1f} s: "
            "await, or write it without async"
        )


@dataclass(frozen=True, order=True)
class _Stall:
    """How much longer than asked a sleep took, and how much of the processor its thread had meanwhile."""

    seconds: float
    cpu_seconds: float


async def _feel_the_pulse(stalls: list[_Stall]) -> None:
    while True:
        began, cpu_began = time.monotonic(), time.thread_time()
        await asyncio.sleep(_BEAT_SECONDS)
        stall = time.monotonic() - began - _BEAT_SECONDS
        stalls.append(_Stall(stall, time.thread_time() - cpu_began))


class _Neighbour:
    """A thread that does nothing but sleep: where it wakes as late as the loop, the machine is what is busy."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sleep, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def explains(self, stall: _Stall) -> bool:
        """Whether the machine, not the plugin, is to blame; who computes all the while is."""
        return stall.cpu_seconds < STALL_SECONDS and self._worst > stall.seconds / 2

    def _sleep(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            self._end.wait(_BEAT_SECONDS)
            self._worst = max(self._worst, time.monotonic() - began - _BEAT_SECONDS)
