"""Plugins are asked in order, in time, and what they do wrong is their failure policy's business."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.plugins.python import PythonLoader, installed_entry_points
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.plugin import Defer, Deny, Hook, Opinion, Pass, Question, Vote
from proctor_operator.domain.procplugin import ProcPlugin, ProcPluginSpec, UnreadablePlugin
from proctor_operator.runtime.plugin_host import PluginHost
from proctor_operator.runtime.plugin_registry import PluginRegistry
from proctor_plugin import (
    Allow,
    AuthorizeRequest,
    Continue,
    GateAnswer,
    GateRequest,
    PluginFailure,
    ProctorPlugin,
    Verdict,
)
from proctor_plugin import Defer as Later
from proctor_plugin import Deny as No
from simulation.virtual_time import VirtualClock
from unit.builders import NAMESPACE, proc, proc_spec

Behaviour = Callable[[AuthorizeRequest], Coroutine[Any, Any, Any]]


@dataclass
class Script:
    """What the plugins of a test do, by name, and what they were asked."""

    acts: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, AuthorizeRequest]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


SCRIPT = Script()


class Scripted(ProctorPlugin):
    """Does what the script says for the name in its configuration."""

    name = "scripted"
    config_schema: ClassVar[dict[str, Any]] = {"type": "object", "required": ["act"]}

    async def configure(self, config: Any, credentials_file: Any) -> None:
        self._act = config["act"]
        if self._act == "cannot be configured":
            raise PluginFailure("no such team")

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        SCRIPT.asked.append((self._act, request))
        answer: Verdict = await SCRIPT.acts[self._act](request)
        return answer

    async def pre_submit(self, request: GateRequest) -> GateAnswer:
        SCRIPT.asked.append((self._act, request))
        answer: GateAnswer = await SCRIPT.acts[self._act](request)
        return answer

    pre_launch = pre_submit

    async def close(self) -> None:
        SCRIPT.closed.append(self._act)


class Sync(ProctorPlugin):
    """Blocks for a moment, as a client library of old would."""

    name = "sync"

    def authorize(self, request: AuthorizeRequest) -> Verdict:  # type: ignore[override]
        time.sleep(0.2)  # noqa: TID251 - that is the point
        return Allow(message="after all")


class ReadyMade:
    """An entry point's distribution is not needed to load it."""

    def __call__(self, name: str) -> tuple[EntryPoint, ...]:
        where = {"scripted": "Scripted", "sync": "Sync", "wrong": "ReadyMade"}.get(name)
        if where is None:
            return installed_entry_points(name)
        return (EntryPoint(name, f"{__name__}:{where}", "proctor.plugins"),)


def says(answer: Any) -> Behaviour:
    async def act(_: AuthorizeRequest) -> Any:
        return answer

    return act


def raises(error: BaseException) -> Behaviour:
    async def act(_: AuthorizeRequest) -> Any:
        raise error

    return act


async def hangs(_: AuthorizeRequest) -> Any:
    await asyncio.Event().wait()


async def hangs_and_will_not_be_cancelled(_: AuthorizeRequest) -> Any:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0.5)


def plugin(name: str, *hooks: dict[str, Any] | str, **spec: Any) -> ProcPlugin:
    bound = [{"name": one} if isinstance(one, str) else one for one in hooks or ("Authorize",)]
    defaults: dict[str, Any] = {
        "transport": {"python": {"entryPoint": "scripted"}},
        "hooks": bound,
        "config": {"act": name},
        "mandatory": True,
    }
    return ProcPlugin(
        name=name,
        uid=Uid(f"uid-{name}"),
        generation=1,
        resource_version="10",
        spec=ProcPluginSpec.model_validate(defaults | spec),
    )


def question(*named: str, **fields: Any) -> Question:
    about = proc(proc_spec(authorization={"plugins": named}), labels={"tier": "db"})
    defaults: dict[str, Any] = {
        "invocation": "e-1",
        "requester": Requester(username="ada", groups=("dba",), extra={"scope": ("a",)}),
        "proc": about,
        "arguments": {"SIZE_GB": 200},
        "namespace": NAMESPACE,
    }
    return Question(**{**defaults, **fields})


class Hosted:
    """A host on the virtual clock, with these plugins listed."""

    def __init__(self, *plugins: ProcPlugin | UnreadablePlugin, **acts: Behaviour) -> None:
        SCRIPT.__init__(acts)  # type: ignore[misc] # begins anew
        self.clock = VirtualClock()
        self.metrics = PrometheusMetrics()
        self.registry = PluginRegistry()
        self.registry.replace_all(plugins)
        self.host = PluginHost(
            registry=self.registry,
            loader=PythonLoader(ReadyMade()),
            clock=self.clock,
            metrics=self.metrics,
        )

    async def vote(self, *named: str, **fields: Any) -> Vote:
        (vote,) = await self.host.authorize(question(*named, **fields))
        return vote

    def calls(self, result: str) -> float:
        labels = {"plugin": "a", "hook": "Authorize", "result": result}
        return self.metrics.registry.get_sample_value("proctor_plugin_calls_total", labels) or 0.0


async def _loaded(hosted: Hosted) -> None:
    for one in hosted.registry.known.values():
        await hosted.host.make_ready(one)


FAILURES: dict[str, tuple[Behaviour, str]] = {
    "hangs": (hangs, "timeout"),
    "hangs and will not be cancelled": (hangs_and_will_not_be_cancelled, "timeout"),
    "raises": (raises(KeyError("s3cret")), "error"),
    "ends the process": (raises(SystemExit(1)), "error"),
    "interrupts": (raises(KeyboardInterrupt()), "error"),
    "cancels itself": (raises(asyncio.CancelledError()), "error"),
    "answers text": (says("yes"), "garbage"),
    "answers nothing": (says(None), "garbage"),
    "answers as a gate": (says(Continue()), "garbage"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_failure_is_no_answer_and_its_policy_decides(failure: str, policy: str) -> None:
    act, result = FAILURES[failure]
    hook = {"name": "Authorize", "failurePolicy": policy, "timeoutSeconds": 1}
    hosted = Hosted(plugin("a", hook), a=act)

    vote = await hosted.vote()

    assert vote.opinion is (Opinion.DENY if policy == "Fail" else Opinion.NO_OPINION)
    assert "s3cret" not in vote.message
    assert hosted.calls(result) == 1
    health = await hosted.host.make_ready(hosted.registry.known["a"])
    assert health.last_error
    assert "s3cret" not in health.last_error


async def test_a_plugins_own_words_of_failure_reach_the_admin_and_not_the_requester() -> None:
    hosted = Hosted(plugin("a"), a=raises(PluginFailure("Gate answered 503")))

    vote = await hosted.vote()
    health = await hosted.host.make_ready(hosted.registry.known["a"])

    assert "503" not in vote.message
    assert health.last_error == "Gate answered 503"


async def test_only_named_and_mandatory_plugins_vote_and_missing_ones_deny() -> None:
    hosted = Hosted(
        plugin("named", mandatory=False),
        plugin("other", mandatory=False),
        plugin("always"),
        plugin("elsewhere", procSelector={"matchLabels": {"tier": "web"}}),
        plugin("gates only", "PreLaunch", mandatory=False),
        UnreadablePlugin("broken", Uid("u"), 1, "1", "spec: bad", is_mandatory=True),
        named=says(Allow()),
        other=says(Allow()),
        always=says(Allow()),
    )

    votes = await hosted.host.authorize(question("named", "absent", "gates only"))

    assert {vote.plugin: vote.opinion for vote in votes} == {
        "named": Opinion.ALLOW,
        "always": Opinion.ALLOW,
        "absent": Opinion.DENY,
        "gates only": Opinion.DENY,
        "broken": Opinion.DENY,
    }
    assert {name for name, _ in SCRIPT.asked} == {"named", "always"}


@pytest.mark.parametrize(
    ("selector", "votes"),
    [
        ({"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}, 1),
        ({"matchLabels": {"kubernetes.io/metadata.name": "other"}}, 0),
        ({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}, 1),
    ],
)
async def test_a_namespace_is_selected_by_its_name(selector: Any, votes: int) -> None:
    hosted = Hosted(plugin("a", namespaceSelector=selector), a=says(Allow()))

    assert len(await hosted.host.authorize(question())) == votes


async def test_gates_are_asked_by_order_then_name_and_the_first_no_decides() -> None:
    hosted = Hosted(
        plugin("late", {"name": "PreSubmit", "order": 900}),
        plugin("b", {"name": "PreSubmit"}),
        plugin("a", {"name": "PreSubmit"}),
        plugin("early", {"name": "PreSubmit", "order": 1}),
        early=says(Continue(warnings=("mind\x1b[31m this",))),
        a=says(Continue()),
        b=says(No(reason="Frozen", message="no\u202e" + "x" * 500)),
        late=says(Continue()),
    )

    answer = await hosted.host.ask_gates(Hook.PRE_SUBMIT, question())

    assert [name for name, _ in SCRIPT.asked] == ["early", "a", "b"]
    assert isinstance(answer, Deny)
    assert (answer.plugin, answer.reason, len(answer.message)) == ("b", "Frozen", 256)
    assert answer.message.startswith("no xxx")


async def test_what_gates_warn_of_is_cleaned() -> None:
    hosted = Hosted(plugin("a", "PreSubmit"), a=says(Continue(warnings=("mind\x1b[31m\nthis",))))

    answer = await hosted.host.ask_gates(Hook.PRE_SUBMIT, question())

    assert answer == Pass(("mind [31m this",))


@pytest.mark.parametrize(("hook", "expected"), [(Hook.PRE_SUBMIT, Deny), (Hook.PRE_LAUNCH, Defer)])
async def test_a_gate_that_fails_denies_where_somebody_waits_and_defers_before_a_start(
    hook: Hook, expected: type
) -> None:
    hosted = Hosted(plugin("a", hook.value), a=raises(ValueError()))

    answer = await hosted.host.ask_gates(hook, question())

    assert isinstance(answer, expected)
    assert answer.reason == "PluginFailed"  # type: ignore[union-attr]


async def test_a_gate_may_put_a_start_off() -> None:
    hosted = Hosted(
        plugin("a", "PreLaunch"), a=says(Later(message="frozen until 6", after_seconds=0.1))
    )

    answer = await hosted.host.ask_gates(Hook.PRE_LAUNCH, question())

    assert answer == Defer("a", "Deferred", "frozen until 6", 1.0)


async def test_a_plugin_learns_who_what_and_with_what_and_nothing_else() -> None:
    hosted = Hosted(plugin("a"), a=says(Allow()))

    await hosted.host.authorize(question(is_dry_run=True))

    ((_, asked),) = SCRIPT.asked
    assert asked.principal.groups == ("dba",)
    assert asked.principal.extra == {"scope": ("a",)}
    assert (asked.arguments, asked.dry_run) == ({"SIZE_GB": 200}, True)
    assert "secret" not in asked.model_dump_json().lower()


async def test_before_plugins_are_known_the_answer_is_no() -> None:
    hosted = Hosted(a=says(Allow()))
    hosted.registry.has_listed.clear()
    asking = asyncio.create_task(hosted.host.authorize(question()))
    await asyncio.sleep(0)
    assert not asking.done()

    hosted.registry.replace_all([])

    assert await asking == ()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"transport": {"python": {"entryPoint": "nowhere"}}}, "nothing installed offers"),
        ({"transport": {"python": {"entryPoint": "wrong"}}}, "not derived from ProctorPlugin"),
        ({"config": {}}, '"act" is a required property'),
        ({"config": {"act": "cannot be configured"}}, "no such team"),
        ({"hooks": [{"name": "PreCancel"}]}, "spec.hooks names PreCancel"),
        ({"transport": {"grpc": {"endpoint": "x:1"}}}, "not yet supported"),
    ],
)
async def test_what_cannot_be_loaded_says_why_and_denies(
    spec: dict[str, Any], problem: str
) -> None:
    hosted = Hosted(plugin("a", **spec), a=says(Allow()))

    health = await hosted.host.make_ready(hosted.registry.known["a"])

    assert problem in health.problem
    for vote in await hosted.host.authorize(question()):
        assert vote.opinion is Opinion.DENY


async def test_a_sync_hook_holds_up_nobody() -> None:
    spec = {"transport": {"python": {"entryPoint": "sync"}}, "config": {}}
    hosted = Hosted(plugin("a", **spec))
    await _loaded(hosted)
    loop = asyncio.get_running_loop()
    asking = asyncio.create_task(hosted.vote())
    longest = 0.0
    while not asking.done():
        before = loop.time()
        await asyncio.sleep(0.005)
        longest = max(longest, loop.time() - before)

    assert (await asking).opinion is Opinion.ALLOW
    assert longest < 0.15


async def test_a_new_generation_is_loaded_anew_and_the_old_one_let_go() -> None:
    hosted = Hosted(plugin("a"), a=says(Allow()), other=says(No(message="no")))
    assert (await hosted.vote()).opinion is Opinion.ALLOW
    changed = plugin("a", config={"act": "other"})
    hosted.registry.saw(changed.model_copy(update={"generation": 2, "resource_version": "11"}))

    assert (await hosted.vote()).opinion is Opinion.DENY
    await asyncio.sleep(0.01)
    assert SCRIPT.closed == ["a"]

    hosted.registry.replace_all([])
    hosted.host.forget_the_gone()
    await hosted.host.close()
    assert SCRIPT.closed == ["a", "other"]


class SettableClock(VirtualClock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def with_clock(*plugins: ProcPlugin, **acts: Behaviour) -> tuple[Hosted, SettableClock]:
    hosted, clock = Hosted(*plugins, **acts), SettableClock()
    hosted.host = PluginHost(
        registry=hosted.registry,
        loader=PythonLoader(ReadyMade()),
        clock=clock,
        metrics=hosted.metrics,
    )
    return hosted, clock


@pytest.mark.parametrize(("answer", "seconds"), [(Allow(), 30.0), (No(message="no"), 5.0)])
async def test_a_verdict_is_kept_for_a_while(answer: Any, seconds: float) -> None:
    hosted, clock = with_clock(plugin("a"), a=says(answer))

    for clock.seconds in (0.0, seconds - 0.1, seconds + 0.1):
        await hosted.vote()

    assert len(SCRIPT.asked) == 2
    hits = hosted.metrics.registry.get_sample_value(
        "proctor_plugin_cache_hits_total", {"plugin": "a"}
    )
    assert hits == 1


ADA = {"username": "ada", "groups": ("dba",), "extra": {"scope": ("a",)}}
OTHERS: dict[str, dict[str, Any]] = {
    "a user": {"requester": Requester.model_validate(ADA | {"username": "eve"})},
    "a uid": {"requester": Requester.model_validate(ADA | {"uid": "2"})},
    "groups": {"requester": Requester.model_validate(ADA | {"groups": ()})},
    "extra": {"requester": Requester.model_validate(ADA | {"extra": {"scope": ("b",)}})},
    "arguments": {"arguments": {"SIZE_GB": 201}},
    "a type of argument": {"arguments": {"SIZE_GB": "200"}},
    "a dry run": {"is_dry_run": True},
}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_verdict_is_kept_for_the_same_question_only(other: str) -> None:
    hosted, _ = with_clock(plugin("a"), a=says(Allow()))

    await hosted.vote()
    await hosted.vote(**OTHERS[other])

    assert len(SCRIPT.asked) == 2


async def test_a_changed_proc_is_another_question() -> None:
    hosted, _ = with_clock(plugin("a"), a=says(Allow()))
    first = question()
    for change in ({}, {"generation": 9}, {"uid": Uid("again")}, {"labels": {"tier": "x"}}):
        await hosted.host.authorize(replace(first, proc=first.proc.model_copy(update=change)))

    assert len(SCRIPT.asked) == 4


async def test_failures_are_not_kept() -> None:
    hosted, _ = with_clock(plugin("a"), a=raises(ValueError()))

    await hosted.vote()
    SCRIPT.acts["a"] = says(Allow())

    assert (await hosted.vote()).opinion is Opinion.ALLOW


async def test_what_fails_five_times_in_a_row_is_left_alone_for_half_a_minute() -> None:
    hosted, clock = with_clock(plugin("a"), a=raises(ValueError()))
    for _ in range(7):
        assert (await hosted.vote()).opinion is Opinion.DENY
    assert len(SCRIPT.asked) == 5
    assert hosted.calls("circuit-open") == 2
    assert (await hosted.host.make_ready(hosted.registry.known["a"])).is_failing

    clock.seconds = 31.0
    await hosted.vote()
    await hosted.vote()
    assert len(SCRIPT.asked) == 6

    clock.seconds = 62.0
    SCRIPT.acts["a"] = says(Allow())
    assert (await hosted.vote()).opinion is Opinion.ALLOW
    assert not (await hosted.host.make_ready(hosted.registry.known["a"])).is_failing


async def test_what_fails_more_often_than_not_is_left_alone_too() -> None:
    hosted, clock = with_clock(plugin("a"))
    for turn in range(25):
        clock.seconds += 0.001
        SCRIPT.acts["a"] = says(No(message="no")) if turn % 5 < 2 else raises(ValueError())
        await hosted.vote(arguments={"N": turn})

    assert len(SCRIPT.asked) == 20
