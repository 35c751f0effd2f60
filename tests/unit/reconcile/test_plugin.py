"""What a ProcPlugin may say, what its status shows, and what gates do to an execution that would start."""

from __future__ import annotations

from typing import Any

import pytest

from proctor_operator.domain.admission import (
    AdmissionRequest,
    Admitted,
    Operation,
    ReviewUid,
    TurnedAway,
)
from proctor_operator.domain.conditions import ConditionStatus
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.plugin import (
    Defer,
    Deny,
    Hook,
    Opinion,
    PluginFacts,
    PluginHealth,
    Vote,
)
from proctor_operator.domain.procplugin import ProcPlugin, ProcPluginSpec
from proctor_operator.reconcile.decision import (
    AskPlugins,
    AskPreLaunch,
    RecordRefusal,
    Rest,
    WriteStatus,
)
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.plugin import (
    find_plugin_problem,
    plugin_status,
    shows_the_same_plugin_status,
)
from proctor_operator.runtime.plugin_admission import PluginAdmission
from unit.builders import KEY, NOW, cancelled_execution, execution, observed, proc, proc_spec
from unit.world import World

FINE: dict[str, Any] = {
    "transport": {"python": {"entryPoint": "groups"}},
    "hooks": [{"name": "Authorize"}],
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no transport": ({"transport": {}}, "exactly one of python, process, grpc, https; it has none"),
    "two transports": (
        {"transport": FINE["transport"] | {"process": {"executable": "x"}}},
        "it has python and process",
    ),
    "no hook": ({"hooks": []}, "spec.hooks is empty"),
    "a hook twice": ({"hooks": [{"name": "PreLaunch"}] * 2}, "names PreLaunch 2 times"),
    "an order out of range": (
        {"hooks": [{"name": "PreLaunch", "order": 1000}]},
        "order 1000 is not within 0 and 999",
    ),
    "a timeout out of range": (
        {"hooks": [{"name": "PreLaunch", "timeoutSeconds": 11}]},
        "timeoutSeconds 11 is not within 1 and 10",
    ),
    "a relative file": ({"credentialsFile": "token"}, "'token' is not an absolute path"),
    "an unknown label": (
        {"namespaceSelector": {"matchLabels": {"team": "dba"}}},
        "spec.namespaceSelector asks for team",
    ),
    "a comparison with nothing": (
        {"procSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        "operator In of label a needs values",
    ),
    "a later transport": (
        {"transport": {"grpc": {"endpoint": "x:1"}}},
        "not yet supported by this release: spec.transport.grpc",
    ),
    "a capability": ({"capabilities": ["secretValues"]}, "spec.capabilities 'secretValues'"),
    "overrides": ({"namespaceOverride": {"mode": "Allow"}}, "spec.namespaceOverride.mode Allow"),
    "an unknown field": ({"hook": []}, "spec.hook: Extra inputs"),
    "an unknown hook": ({"hooks": [{"name": "PostLaunch"}]}, "spec.hooks.0.name"),
}


def review(spec: dict[str, Any], operation: Operation = Operation.CREATE) -> AdmissionRequest:
    return AdmissionRequest(
        uid=ReviewUid("r"),
        operation=operation,
        resource="procplugins",
        namespace=Namespace(""),
        name="a",
        user=Requester(username="admin"),
        object={"metadata": {"name": "a"}, "spec": spec},
    )


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_cannot_work_is_turned_away_when_it_is_written(wrong: str) -> None:
    change, said = WRONG[wrong]

    answer = await PluginAdmission().validate(review(FINE | change))

    assert isinstance(answer, TurnedAway)
    assert said in answer.message


async def test_what_can_work_and_what_goes_away_is_let_through() -> None:
    for request in (
        review(FINE),
        review({}, Operation.DELETE),
        review(FINE | {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}}}),
    ):
        assert await PluginAdmission().validate(request) == Admitted()


def a_plugin(**fields: Any) -> ProcPlugin:
    return ProcPlugin(
        name="a",
        uid=Uid("u"),
        generation=2,
        resource_version="1",
        spec=ProcPluginSpec.model_validate(FINE | fields),
    )


FACTS = PluginFacts("1.0", "proctor.plugin.v1", frozenset({Hook.AUTHORIZE}))


@pytest.mark.parametrize(
    ("spec", "health", "ready", "reason"),
    [
        ({}, PluginHealth(facts=FACTS), ConditionStatus.TRUE, "Loaded"),
        ({}, PluginHealth(problem="not there"), ConditionStatus.FALSE, "NotLoaded"),
        (
            {"transport": {"https": {"url": "https://a"}}},
            PluginHealth(problem="x"),
            ConditionStatus.FALSE,
            "NotSupportedYet",
        ),
    ],
)
def test_the_status_says_whether_it_can_be_asked(
    spec: dict[str, Any], health: PluginHealth, ready: ConditionStatus, reason: str
) -> None:
    plugin = a_plugin(**spec)

    status = plugin_status(plugin, health, NOW)

    by_type = {one.type: one for one in status.conditions}
    assert (by_type["Ready"].status, by_type["Ready"].reason) == (ready, reason)
    again = plugin_status(plugin.model_copy(update={"status": status}), health, NOW)
    assert shows_the_same_plugin_status(status, again)


def test_the_status_says_that_it_fails() -> None:
    status = plugin_status(a_plugin(), PluginHealth("", FACTS, True, "no answer in 2 s"), NOW)  # noqa: FBT003

    (degraded,) = (one for one in status.conditions if one.type == "Degraded")
    assert (degraded.status, degraded.reason) == (ConditionStatus.TRUE, "CircuitOpen")
    assert status.last_error == "no answer in 2 s"


def test_no_problem_is_found_where_there_is_none() -> None:
    assert find_plugin_problem(ProcPluginSpec.model_validate(FINE)) is None


def test_votes_come_before_gates_and_gates_come_last() -> None:
    assert decide(observed(votes=None, pre_launch=None), NOW) == AskPlugins()
    assert decide(observed(pre_launch=None), NOW) == AskPreLaunch()


def test_a_vote_against_refuses() -> None:
    action = decide(observed(votes=(Vote("gate", Opinion.DENY, "inactive"),)), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.outcome.reason == "NotPermitted"


def test_a_gate_that_denies_refuses_with_its_reason() -> None:
    action = decide(observed(pre_launch=Deny("freeze", "Frozen", "no changes")), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.outcome.reason == "Frozen"
    assert "the plugin freeze denies the start: no changes" in action.outcome.message


def test_a_gate_that_defers_keeps_it_pending_and_is_asked_again_in_time() -> None:
    later = Defer("freeze", "Frozen", "until Monday", 120.0)
    action = decide(observed(pre_launch=later), NOW)
    assert isinstance(action, WriteStatus)
    assert (action.status.phase, action.status.reason) == ("Pending", "Deferred")

    waiting = execution().model_copy(update={"status": action.status})

    assert decide(observed(waiting, pre_launch=later), NOW) == Rest(after_seconds=120.0)


def test_a_cancel_ends_the_wait_and_asks_nobody() -> None:
    action = decide(observed(cancelled_execution(), pre_launch=None), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.outcome.phase == "Cancelled"


async def test_a_deferred_start_is_asked_about_no_sooner_than_it_said() -> None:
    world = World(execution(), proc(proc_spec()))
    world.plugins.gates[Hook.PRE_LAUNCH] = Defer("freeze", "Frozen", "later", 60.0)

    first = [await world.pass_over(KEY) for _ in range(3)]
    asked = [
        question.invocation for hook, question in world.plugins.asked if hook is not Hook.AUTHORIZE
    ]
    world.clock.seconds = 61.0
    world.plugins.gates.clear()
    await world.pass_over(KEY)

    assert first == [60.0, 60.0, 60.0]
    assert asked == [execution().uid]
    assert len(world.cluster.jobs) == 1
    assert [q.invocation for h, q in world.plugins.asked if h is Hook.PRE_LAUNCH] == asked * 2


async def test_a_run_that_is_recorded_is_not_asked_about_again_after_a_restart() -> None:
    world = World(execution(), proc(proc_spec()))
    await world.pass_over(KEY)
    world.plugins.gates[Hook.PRE_LAUNCH] = Deny("freeze", "Frozen", "too late")
    world.start()

    await world.pass_over(KEY)

    assert [hook for hook, _ in world.plugins.asked].count(Hook.PRE_LAUNCH) == 1
    assert world.execution.status.phase == "Pending"
