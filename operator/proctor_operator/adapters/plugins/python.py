"""The transport `python`: classes found by entry points, run inside the operator.

They are trusted code: nothing keeps them from the operator's memory, and one that blocks in an `async`
method holds up everything else (docs/adr/0010).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, TypeVar

import jsonschema_rs
from pydantic import ValidationError

import proctor_plugin
from proctor_operator.adapters.plugins.threads import Threads
from proctor_operator.domain.authorization import needs_all_groups
from proctor_operator.domain.errors import PluginBroken
from proctor_operator.domain.plugin import (
    Defer,
    Deny,
    GateAnswer,
    Hook,
    Opinion,
    Pass,
    PluginFacts,
    Question,
    Vote,
)
from proctor_operator.domain.procplugin import ProcPlugin

ENTRY_POINTS: Final = "proctor.plugins"

FindEntryPoints = Callable[[str], tuple[EntryPoint, ...]]
AnswerT = TypeVar("AnswerT")


def installed_entry_points(name: str) -> tuple[EntryPoint, ...]:
    """Entry points of that name, over all distributions that are installed."""
    return tuple(entry_points(group=ENTRY_POINTS, name=name))


class PythonLoader:
    """The `PluginLoader` port. Only what a ProcPlugin names is ever imported."""

    def __init__(self, find: FindEntryPoints = installed_entry_points) -> None:
        self._find = find

    async def load(self, plugin: ProcPlugin) -> PythonPlugin:
        """See the port."""
        wanted = plugin.spec.transport.python
        if wanted is None:
            raise PluginBroken("its transport is not supported yet")
        threads = Threads(plugin.name)
        # In a thread: an import runs whatever the module holds.
        made = await _guarded(partial(threads.run, partial(self._make, wanted.entry_point)))
        described = _described(made)
        _check_hooks(plugin, described)
        _check_config(plugin, described)
        path = Path(plugin.spec.credentials_file) if plugin.spec.credentials_file else None
        await _call(threads, made.configure, plugin.spec.config, path)
        return PythonPlugin(plugin.name, made, described, threads)

    def _make(self, name: str) -> proctor_plugin.ProctorPlugin:
        found = self._find(name)
        if not found:
            raise PluginBroken(f"nothing installed offers the entry point {ENTRY_POINTS} {name!r}")
        if len(found) > 1:
            offered = ", ".join(sorted(one.dist.name if one.dist else one.value for one in found))
            raise PluginBroken(f"the entry point {name!r} is offered more than once: by {offered}")
        made = found[0].load()()
        if not isinstance(made, proctor_plugin.ProctorPlugin):
            raise PluginBroken(f"{found[0].value} is not derived from ProctorPlugin")
        return made


class PythonPlugin:
    """The `LoadedPlugin` port on an object in this process."""

    def __init__(
        self,
        name: str,
        plugin: proctor_plugin.ProctorPlugin,
        described: proctor_plugin.Describe,
        threads: Threads,
    ) -> None:
        self._name = name
        self._plugin = plugin
        self._threads = threads
        self._facts = PluginFacts(
            version=described.version,
            protocol=described.protocol,
            hooks=frozenset(Hook(one.value) for one in described.implements),
        )

    @property
    def facts(self) -> PluginFacts:
        """See the port."""
        return self._facts

    async def vote(self, question: Question) -> Vote:
        """See the port."""
        asked = proctor_plugin.AuthorizeRequest(**_request(question))
        answer = await _call(self._threads, self._plugin.authorize, asked)
        match answer:
            case proctor_plugin.Allow():
                return Vote(self._name, Opinion.ALLOW, answer.message)
            case proctor_plugin.Deny():
                return Vote(self._name, Opinion.DENY, answer.message)
            case proctor_plugin.NoOpinion():
                return Vote(self._name, Opinion.NO_OPINION, answer.message)
            case _:
                raise _garbage(answer)

    async def ask(self, hook: Hook, question: Question) -> GateAnswer:
        """See the port."""
        asked = proctor_plugin.GateRequest(
            **_request(question),
            hook=proctor_plugin.Hook(hook.value),
            execution=question.execution,
            execution_uid=question.execution_uid or "",
        )
        method = getattr(self._plugin, proctor_plugin.METHODS[asked.hook])
        answer = await _call(self._threads, method, asked)
        match answer:
            case proctor_plugin.Continue():
                return Pass(answer.warnings)
            case proctor_plugin.Deny():
                return Deny(self._name, answer.reason, answer.message)
            case proctor_plugin.Defer():
                return Defer(self._name, answer.reason, answer.message, answer.after_seconds)
            case _:
                raise _garbage(answer)

    async def close(self) -> None:
        """See the port."""
        await _call(self._threads, self._plugin.close)


def _request(question: Question) -> dict[str, Any]:
    """What a plugin is told: nothing sensitive, and copies, so that nothing here can be changed."""
    who, proc = question.requester, question.proc
    return {
        "invocation_id": question.invocation,
        "principal": proctor_plugin.Principal(
            username=who.username,
            uid=who.uid,
            groups=who.groups,
            extra={key: tuple(values) for key, values in who.extra.items()},
            via=who.via.value,
        ),
        "proc": proctor_plugin.ProcInfo(
            namespace=question.namespace,
            name=proc.name,
            uid=proc.uid,
            generation=proc.generation,
            labels=dict(proc.labels),
            description=proc.spec.description,
            author=proc.spec.author,
            organization=proc.spec.organization,
            image=proc.spec.image,
            groups=proc.spec.authorization.groups,
            needs_all_groups=needs_all_groups(proc.spec.authorization),
        ),
        "arguments": dict(question.arguments),
        "dry_run": question.is_dry_run,
    }


def _described(plugin: proctor_plugin.ProctorPlugin) -> proctor_plugin.Describe:
    try:
        described = plugin.describe()
    except ValidationError as error:
        fields = ", ".join(str(part) for one in error.errors() for part in one["loc"])
        raise PluginBroken(f"describe() fails: {fields} cannot be as it is") from None
    except Exception as error:  # noqa: BLE001 - foreign code
        raise PluginBroken(f"describe() raised {type(error).__name__}") from None
    if not isinstance(described, proctor_plugin.Describe):
        raise PluginBroken(f"describe() returned {type(described).__name__}, not Describe")
    if described.protocol != proctor_plugin.PROTOCOL:
        raise PluginBroken(
            f"it speaks {described.protocol!r}, this release {proctor_plugin.PROTOCOL!r}"
        )
    return described


def _check_hooks(plugin: ProcPlugin, described: proctor_plugin.Describe) -> None:
    has = {one.value for one in described.implements}
    lacking = [one.name for one in plugin.spec.hooks if one.name.value not in has]
    if lacking:
        raise PluginBroken(
            f"spec.hooks names {', '.join(lacking)}; it has {', '.join(sorted(has)) or 'no hook'}"
        )


def _check_config(plugin: ProcPlugin, described: proctor_plugin.Describe) -> None:
    try:
        validator = jsonschema_rs.Draft202012Validator(
            described.config_schema,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask="the value",
            offline=True,
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise PluginBroken(f"its config_schema is no JSON Schema: {error}") from None
    problems = [
        f"{'.'.join(('spec.config', *map(str, error.instance_path)))}: {error.message}"
        for error in validator.iter_errors(plugin.spec.config)
    ]
    if problems:
        raise PluginBroken("; ".join(problems))


async def _call(threads: Threads, method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of the plugin: on the event loop when it is `async`, else in a thread."""
    if inspect.iscoroutinefunction(method):
        return await _guarded(partial(method, *arguments))
    answer = await _guarded(partial(threads.run, partial(method, *arguments)))
    if inspect.isawaitable(answer):
        return await _guarded(lambda: answer)
    return answer


async def _guarded(call: Callable[[], Any]) -> Any:
    """Turn whatever foreign code raises into `PluginBroken`, so that it ends no task and no process.

    What an exception says may hold a secret, such as a URL with a token in it: only the words of a
    `PluginFailure`, which are meant to be read, go on.
    """
    try:
        return await call()
    except PluginBroken:
        raise
    except proctor_plugin.PluginFailure as error:
        raise PluginBroken(str(error)) from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise PluginBroken("it cancelled itself") from None
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - foreign code
        raise PluginBroken(f"raised {type(error).__name__}") from None


def _garbage(answer: object) -> PluginBroken:
    return PluginBroken(f"answered {type(answer).__name__}, which is no answer", result="garbage")
