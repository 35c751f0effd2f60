"""Can this ProcPlugin work, and what its status should say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from proctor_operator.domain.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    condition,
    merge,
)
from proctor_operator.domain.plugin import Hook, PluginHealth
from proctor_operator.domain.plugin_choice import KnownPlugin
from proctor_operator.domain.procplugin import (
    NAMESPACE_NAME_LABEL,
    LabelSelector,
    OverrideMode,
    ProcPluginSpec,
    ProcPluginStatus,
    SelectorOperator,
    UnreadablePlugin,
)
from proctor_operator.reconcile.proc import ProcProblem, first_problem, problem_conditions

TIMEOUT_SECONDS_AT_MOST: Final = 10
ORDER_AT_MOST: Final = 999


def find_plugin_problem(spec: ProcPluginSpec) -> ProcProblem | None:
    """Name the first kind of trouble, in full; None when the plugin can be loaded."""
    return first_problem(
        _mistakes(spec),
        _not_supported_yet(spec),
        unsupported="not yet supported by this release: ",
    )


def plugin_status(plugin: KnownPlugin, health: PluginHealth, now: datetime) -> ProcPluginStatus:
    """What the object should show; transition times are kept where nothing changed."""
    facts = health.facts
    return ProcPluginStatus(
        conditions=merge(plugin.status.conditions, _conditions(plugin, health, now)),
        observed_generation=plugin.generation,
        version=facts.version if facts else None,
        protocol=facts.protocol if facts else None,
        restarts=plugin.status.restarts,
        last_error=health.last_error or None,
    )


def shows_the_same_plugin_status(one: ProcPluginStatus, other: ProcPluginStatus) -> bool:
    """Whether only transition times differ."""
    if len(one.conditions) != len(other.conditions):
        return False
    alike = zip(one.conditions, other.conditions, strict=True)
    return all(old.type == new.type and old.says_the_same_as(new) for old, new in alike) and (
        one.model_copy(update={"conditions": ()}) == other.model_copy(update={"conditions": ()})
    )


def _conditions(plugin: KnownPlugin, health: PluginHealth, now: datetime) -> tuple[Condition, ...]:
    problem = _problem(plugin, health)
    if problem is not None:
        stated = problem_conditions(problem, generation=plugin.generation, now=now)
    else:
        said = (
            (ConditionType.READY, ConditionStatus.TRUE, "Loaded", "the plugin can be asked"),
            (ConditionType.STALLED, ConditionStatus.FALSE, "NothingWrong", ""),
        )
        stated = tuple(condition(*one, generation=plugin.generation, now=now) for one in said)
    if health.is_failing:
        message = "it failed too often: its failure policy decides until it answers again"
        degraded = (ConditionStatus.TRUE, "CircuitOpen", message)
    else:
        degraded = (ConditionStatus.FALSE, "NothingWrong", "")
    return (
        *stated,
        condition(ConditionType.DEGRADED, *degraded, generation=plugin.generation, now=now),
    )


def _problem(plugin: KnownPlugin, health: PluginHealth) -> ProcProblem | None:
    if isinstance(plugin, UnreadablePlugin):
        return ProcProblem("Unreadable", plugin.problem)
    found = find_plugin_problem(plugin.spec)
    if found is not None:
        return found
    return ProcProblem("NotLoaded", health.problem) if health.problem else None


def _mistakes(spec: ProcPluginSpec) -> Iterator[str]:
    transport = spec.transport
    given = [name for name in type(transport).model_fields if getattr(transport, name) is not None]
    if len(given) != 1:
        names = ", ".join(type(transport).model_fields)
        yield f"spec.transport takes exactly one of {names}; it has {' and '.join(given) or 'none'}"
    if not spec.hooks:
        yield f"spec.hooks is empty: name at least one of {', '.join(Hook)}"
    names_of_hooks = [one.name for one in spec.hooks]
    for hook in dict.fromkeys(names_of_hooks):
        if names_of_hooks.count(hook) > 1:
            yield f"spec.hooks names {hook} {names_of_hooks.count(hook)} times"
    for one in spec.hooks:
        if not 0 <= one.order <= ORDER_AT_MOST:
            yield f"spec.hooks {one.name}: order {one.order} is not within 0 and {ORDER_AT_MOST}"
        if not 1 <= one.timeout_seconds <= TIMEOUT_SECONDS_AT_MOST:
            yield (
                f"spec.hooks {one.name}: timeoutSeconds {one.timeout_seconds} is not within 1 and "
                f"{TIMEOUT_SECONDS_AT_MOST}"
            )
    if spec.credentials_file is not None and not spec.credentials_file.startswith("/"):
        yield f"spec.credentialsFile {spec.credentials_file!r} is not an absolute path"
    yield from _selector_mistakes("spec.namespaceSelector", spec.namespace_selector)
    yield from _selector_mistakes("spec.procSelector", spec.proc_selector)
    foreign = [
        key
        for key in (spec.namespace_selector.keys if spec.namespace_selector else ())
        if key != NAMESPACE_NAME_LABEL
    ]
    if foreign:
        yield (
            f"spec.namespaceSelector asks for {', '.join(foreign)}: of a namespace only its name is "
            f"known, which is the label {NAMESPACE_NAME_LABEL}"
        )


def _selector_mistakes(where: str, selector: LabelSelector | None) -> Iterator[str]:
    for one in selector.match_expressions if selector else ():
        needs_values = one.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
        if needs_values != bool(one.values):
            wanted = "needs values" if needs_values else "takes no values"
            yield f"{where}: operator {one.operator} of label {one.key} {wanted}"


def _not_supported_yet(spec: ProcPluginSpec) -> Iterator[str]:
    transport = spec.transport
    for name in ("process", "grpc", "https"):
        if getattr(transport, name) is not None:
            yield f"spec.transport.{name} (python works)"
    for capability in spec.capabilities:
        yield f"spec.capabilities {capability!r} (no capability can be granted)"
    override = spec.namespace_override
    if override is not None and override.mode is OverrideMode.ALLOW:
        yield "spec.namespaceOverride.mode Allow"
