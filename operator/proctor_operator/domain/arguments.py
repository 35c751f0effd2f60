"""Arguments: checked against their declaration, and turned into environment values.

Values are data. They reach the container as environment variables only; scalars as plain text,
lists and maps as JSON. Kubernetes expands `$(NAME)` in environment values and lets `$$` stand for
one `$` (core/v1 EnvVar), so every `$` is doubled and nothing a requester writes is ever expanded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import jsonschema_rs
from pydantic import JsonValue

from proctor_operator.domain.execution import ArgumentFrom
from proctor_operator.domain.model import MOST_LEVELS, nests_too_deep
from proctor_operator.domain.proc import (
    Parameter,
    ParameterSchema,
    ParameterType,
    SecretKeyRef,
)

VALUE_LIMIT_BYTES = 32 * 1024
ALL_VALUES_LIMIT_BYTES = 128 * 1024
MASKED = "***"
_SHOWN_VALUE_LIMIT = 80
_EXACT_FLOATS_BELOW = 2**53


@dataclass(frozen=True, slots=True)
class Plain:
    """A value given in the execution or by the parameter's default."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FromSecret:
    """A value that only the kubelet reads."""

    name: str
    secret_key_ref: SecretKeyRef


ResolvedArgument = Plain | FromSecret


def find_argument_problems(
    parameters: tuple[Parameter, ...],
    arguments: Mapping[str, JsonValue],
    arguments_from: tuple[ArgumentFrom, ...],
) -> tuple[str, ...]:
    """All problems at once, each naming the argument, the value where it may be shown, and the rule."""
    declared = {parameter.name: parameter for parameter in parameters}
    by_reference = [argument.name for argument in arguments_from]
    return (
        *_unknown_arguments(declared, [*arguments, *by_reference]),
        *_arguments_given_twice(arguments, by_reference),
        *_missing_arguments(parameters, {*arguments, *by_reference}),
        *_misplaced_references(declared, arguments_from),
        *_bad_values(declared, arguments),
        *_too_much_in_all(arguments),
    )


def resolve_arguments(
    parameters: tuple[Parameter, ...],
    arguments: Mapping[str, JsonValue],
    arguments_from: tuple[ArgumentFrom, ...],
) -> tuple[ResolvedArgument, ...]:
    """Values in the order of declaration: given, by reference, or the default; else left out."""
    references = {argument.name: argument.secret_key_ref for argument in arguments_from}
    resolved: list[ResolvedArgument] = []
    for parameter in parameters:
        if parameter.name in references:
            resolved.append(FromSecret(parameter.name, references[parameter.name]))
        elif parameter.name in arguments:
            resolved.append(Plain(parameter.name, as_text(arguments[parameter.name])))
        elif parameter.has_default:
            resolved.append(Plain(parameter.name, as_text(parameter.default)))
    return tuple(resolved)


def arguments_for_the_record(
    parameters: tuple[Parameter, ...],
    arguments: Mapping[str, JsonValue],
    arguments_from: tuple[ArgumentFrom, ...],
) -> dict[str, JsonValue]:
    """Arguments as they may be stored and shown: what could be a secret is blanked.

    A value whose parameter is sensitive, or whose name is not declared at all, is `***`; a reference
    to a Secret stays visible as a reference.
    """
    plain = {parameter.name for parameter in parameters if not parameter.sensitive}
    shown: dict[str, JsonValue] = {
        name: value if name in plain else MASKED for name, value in arguments.items()
    }
    for argument in arguments_from:
        reference = argument.secret_key_ref
        shown[argument.name] = f"{MASKED} (secret {reference.name}, key {reference.key})"
    return shown


def as_text(value: JsonValue) -> str:
    """A value as the container sees it: text as it is, numbers and booleans as JSON writes them.

    A whole number is written without a fraction, as the API server itself writes 200.0.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS_BELOW:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def escape_expansion(text: str) -> str:
    """Double every `$`, so that Kubernetes hands the text to the container unchanged."""
    return text.replace("$", "$$")


def find_schema_problem(schema: ParameterSchema) -> str | None:
    """Why the schema itself cannot work, or None."""
    try:
        _validator(_as_json_schema(schema))
    except jsonschema_rs.ValidationError as error:
        where = ".".join(str(part) for part in error.instance_path)
        return f"{where}: {error.message}" if where else error.message
    return None


def find_value_problem(schema: ParameterSchema, value: JsonValue) -> str | None:
    """Why `value` does not satisfy `schema`, in words that do not repeat it, or None."""
    validator = _validator(_as_json_schema(schema))
    problems = [error.message for error in validator.iter_errors(value)]
    return "; ".join(problems) if problems else None


def _unknown_arguments(declared: Mapping[str, Parameter], names: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if name not in declared:
            known = ", ".join(declared) or "none"
            yield f"argument {name}: the proc declares no such parameter (declared: {known})"


def _arguments_given_twice(
    arguments: Mapping[str, JsonValue], by_reference: list[str]
) -> Iterator[str]:
    for name in dict.fromkeys(by_reference):
        if name in arguments or by_reference.count(name) > 1:
            yield f"argument {name}: given more than once"


def _missing_arguments(parameters: tuple[Parameter, ...], given: set[str]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.is_required and parameter.name not in given:
            says = f" ({parameter.description})" if parameter.description else ""
            yield f"argument {parameter.name}: required and not given{says}"


def _misplaced_references(
    declared: Mapping[str, Parameter], arguments_from: tuple[ArgumentFrom, ...]
) -> Iterator[str]:
    for argument in arguments_from:
        parameter = declared.get(argument.name)
        if parameter is not None and not parameter.sensitive:
            yield (
                f"argument {argument.name}: a Secret reference is for sensitive parameters only; "
                "give the value in spec.arguments"
            )


def _bad_values(
    declared: Mapping[str, Parameter], arguments: Mapping[str, JsonValue]
) -> Iterator[str]:
    for name, value in arguments.items():
        parameter = declared.get(name)
        if parameter is None:
            continue
        if parameter.sensitive:
            yield f"argument {name}: sensitive; give it by reference in spec.argumentsFrom"
        elif value is None:
            yield f"argument {name}: null is not a value; leave the argument out instead"
        else:
            yield from _value_problems(parameter, value)


def _value_problems(parameter: Parameter, value: JsonValue) -> Iterator[str]:
    if nests_too_deep(value):
        yield f"argument {parameter.name}: nested deeper than {MOST_LEVELS} levels"
        return
    text = as_text(value)
    if len(text.encode(errors="replace")) > VALUE_LIMIT_BYTES:
        yield f"argument {parameter.name}: longer than {VALUE_LIMIT_BYTES} bytes"
        return
    if "\0" in text:
        yield f"argument {parameter.name}: holds a NUL character, which no environment can carry"
        return
    if parameter.schema_ is None:
        return
    problem = find_value_problem(parameter.schema_, value)
    if problem is not None:
        hint = _hint(parameter.schema_, value)
        yield f"argument {parameter.name}: {problem} (given: {_shown(value)}){hint}"


def _shown(value: JsonValue) -> str:
    """As JSON, so that text is told from a number; cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_VALUE_LIMIT else text[:_SHOWN_VALUE_LIMIT] + "…"


def _hint(schema: ParameterSchema, value: JsonValue) -> str:
    """YAML reads yes, 1.10 and 007 as something else than text, and "5" as text."""
    if schema.type is ParameterType.STRING and isinstance(value, bool | int | float):
        return "; in YAML, quotes make it text"
    wants_plain = schema.type in (
        ParameterType.INTEGER,
        ParameterType.NUMBER,
        ParameterType.BOOLEAN,
    )
    if wants_plain and isinstance(value, str):
        return "; in YAML, leave the quotes out"
    return ""


def _too_much_in_all(arguments: Mapping[str, JsonValue]) -> Iterator[str]:
    total = sum(len(as_text(value).encode(errors="replace")) for value in arguments.values())
    if total > ALL_VALUES_LIMIT_BYTES:
        yield f"arguments: {total} bytes in all, at most {ALL_VALUES_LIMIT_BYTES} are allowed"


def _as_json_schema(schema: ParameterSchema) -> str:
    return json.dumps(
        schema.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True
    )


@lru_cache(maxsize=1024)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema; its patterns run in linear time, so no value can hang the operator."""
    return jsonschema_rs.Draft202012Validator(
        json.loads(schema),
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="the value",
    )
