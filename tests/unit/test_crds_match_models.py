"""The kinds in `crds/` and the models that read them say the same, field by field."""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NewType, Union, get_args, get_origin

import pytest
import yaml
from pydantic import JsonValue
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.execution import ProcExecutionSpec, ProcExecutionStatus
from proctor_operator.domain.model import Model
from proctor_operator.domain.naming import GROUP, VERSION
from proctor_operator.domain.proc import ProcSpec, SecretKeyRef
from proctor_operator.domain.procplugin import ProcPluginSpec, ProcPluginStatus
from proctor_operator.domain.schedule import ProcScheduleSpec, ProcScheduleStatus

Schema = dict[str, Any]

ROOT = Path(__file__).parents[2]
CRDS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")}
MOST_BYTES = 200_000

STRICTER_THAN_THE_MODEL = {
    # Named forms: the API server refuses others, so the model takes what is there.
    "procs.spec.parameters[].schema.format",
    "procs.spec.parameters[].schema.items.format",
    # Parts of a Pod that pass through: checked by the API server, copied by the operator.
    "procs.spec.resources",
    "procs.spec.tolerations[]",
}
LOOSER_THAN_THE_MODEL = {
    # A new condition type is no change of shape.
    "procs.status.conditions[].type",
    "procexecutions.status.conditions[].type",
    "procschedules.status.conditions[].type",
    "procplugins.status.conditions[].type",
}
FREE_JSON = {
    "procs.spec.parameters[].default",
    "procs.spec.parameters[].schema.enum[]",
    "procs.spec.parameters[].schema.items.enum[]",
    "procs.spec.podFailurePolicy",
    "procs.spec.podTemplate",
    "procexecutions.spec.arguments{}",
    "procschedules.spec.arguments{}",
    "procplugins.spec.config",
}
PROMISED_DEFAULTS = {
    "procs.spec.authorization.rbac": "Sufficient",
    "procs.spec.suspend": False,
    "procexecutions.spec.cancel": False,
    "procexecutions.status": {"phase": "Pending", "observedGeneration": 0},
    "procexecutions.status.phase": "Pending",
    "procschedules.spec.suspend": False,
    "procplugins.spec.mandatory": False,
}
OF_THE_CLUSTER = {"procplugins"}
MODELS: dict[str, type] = {
    "procs.spec": ProcSpec,
    "procs.status.conditions[]": Condition,
    "procexecutions.spec": ProcExecutionSpec,
    "procexecutions.status": ProcExecutionStatus,
    "procschedules.spec": ProcScheduleSpec,
    "procschedules.status": ProcScheduleStatus,
    "procplugins.spec": ProcPluginSpec,
    "procplugins.status": ProcPluginStatus,
}


def schema_of(crd: Schema) -> Schema:
    (version,) = crd["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", child)
    if "items" in schema:
        yield from nodes(f"{path}[]", schema["items"])
    if "additionalProperties" in schema:
        yield from nodes(f"{path}{{}}", schema["additionalProperties"])


NODES = {path: node for plural, crd in CRDS.items() for path, node in nodes(plural, schema_of(crd))}


def disagreements(path: str, schema: Schema, model: type) -> Iterator[str]:
    """What the schema of an object and its model do not agree on, deeply."""
    fields = {field.alias or name: field for name, field in fields_of(model).items()}
    properties = schema.get("properties", {})
    for name in sorted(fields.keys() - properties.keys()):
        yield f"{path}.{name}: in {model.__name__} only"
    for name in sorted(properties.keys() - fields.keys()):
        yield f"{path}.{name}: in the CRD only"
    for name in sorted(properties.keys() & fields.keys()):
        field, child = fields[name], properties[name]
        if field.is_required() != (name in schema.get("required", [])):
            yield f"{path}.{name}: required in one only"
        yield from default_disagreements(f"{path}.{name}", child, field)
        yield from type_disagreements(f"{path}.{name}", child, field.annotation)


def is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, Model) or is_pydantic_dataclass(kind))


def fields_of(model: type) -> dict[str, FieldInfo]:
    if issubclass(model, Model):
        return model.model_fields
    assert is_pydantic_dataclass(model)
    return model.__pydantic_fields__


def default_disagreements(path: str, schema: Schema, field: FieldInfo) -> Iterator[str]:
    if "default" in schema:
        default = field.get_default(call_default_factory=False)
        if default != schema["default"]:
            yield f"{path}: default {schema['default']!r} in the CRD, {default!r} in the model"


def type_disagreements(path: str, schema: Schema, annotation: Any) -> Iterator[str]:
    kind = plain_type(annotation)
    if path in STRICTER_THAN_THE_MODEL or path in LOOSER_THAN_THE_MODEL:
        return
    if kind is JsonValue or path in FREE_JSON:
        if schema.get("x-kubernetes-preserve-unknown-fields") is not True:
            yield f"{path}: free JSON in the model only"
    elif get_origin(kind) is tuple:
        yield from type_disagreements(f"{path}[]", schema.get("items", {}), get_args(kind)[0])
    elif get_origin(kind) is dict:
        value = schema.get("additionalProperties", {})
        yield from type_disagreements(f"{path}{{}}", value, get_args(kind)[1])
    elif is_shape(kind):
        yield from disagreements(path, schema, kind)
    else:
        yield from scalar_disagreements(path, schema, kind)


def scalar_disagreements(path: str, schema: Schema, kind: Any) -> Iterator[str]:
    said = (schema.get("type"), schema.get("format") == "date-time", schema.get("enum"))
    if issubclass(kind, StrEnum):
        meant: tuple[str, bool, list[str] | None] = ("string", False, [str(one) for one in kind])
    elif kind is datetime:
        meant = ("string", True, None)
    else:
        name = {str: "string", bool: "boolean", int: "integer", float: "number"}[kind]
        meant = (name, False, None)
    if sorted(said[2] or []) != sorted(meant[2] or []) or said[:2] != meant[:2]:
        yield f"{path}: the CRD says {said}, the model {meant}"


def plain_type(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = {one for one in get_args(annotation) if one is not types.NoneType}
        if kinds == {int, float}:
            # Whole numbers stay whole in messages; JSON Schema has one name for both.
            return float
        if str in kinds:
            # One of our words, or any other.
            return str
        (annotation,) = kinds
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    return annotation


@pytest.mark.parametrize("path", MODELS)
def test_every_field_is_in_the_crd_and_in_the_model_with_one_meaning(path: str) -> None:
    assert list(disagreements(path, NODES[path], MODELS[path])) == []


def test_the_walk_finds_what_only_one_of_them_says() -> None:
    schema = {
        "properties": {
            "name": {"type": "integer"},
            "key": {"type": "string", "enum": ["a"], "default": "a"},
            "optional": {"type": "boolean"},
        },
        "required": ["key"],
    }

    assert sorted(disagreements("ref", schema, SecretKeyRef)) == [
        "ref.key: default 'a' in the CRD, PydanticUndefined in the model",
        "ref.key: the CRD says ('string', False, ['a']), the model ('string', False, None)",
        "ref.name: required in one only",
        "ref.name: the CRD says ('integer', False, None), the model ('string', False, None)",
        "ref.optional: in the CRD only",
    ]


def test_the_listed_exceptions_exist() -> None:
    listed = STRICTER_THAN_THE_MODEL | LOOSER_THAN_THE_MODEL | FREE_JSON | PROMISED_DEFAULTS.keys()

    assert listed - NODES.keys() == set()


def test_free_json_is_taken_only_where_it_is_meant() -> None:
    free = {path for path, node in NODES.items() if "x-kubernetes-preserve-unknown-fields" in node}

    assert free == FREE_JSON


def test_only_promised_defaults_are_written_into_objects() -> None:
    assert {
        path: node["default"] for path, node in NODES.items() if "default" in node
    } == PROMISED_DEFAULTS


@pytest.mark.parametrize("plural", CRDS)
def test_a_crd_is_small_enough_for_every_way_to_apply_it(plural: str) -> None:
    assert (ROOT / "crds" / f"{plural}.yaml").stat().st_size < MOST_BYTES


def test_the_chart_brings_all_of_them() -> None:
    """Its link to the folder is lost where a checkout makes files of links: then it installs no kind."""
    linked = ROOT / "charts" / "proctor" / "files" / "crds"

    assert {path.stem: yaml.safe_load(path.read_text()) for path in linked.glob("*.yaml")} == CRDS


@pytest.mark.parametrize("plural", CRDS)
def test_a_crd_is_found_with_its_siblings_and_keeps_its_status_apart(plural: str) -> None:
    spec = CRDS[plural]["spec"]
    (version,) = spec["versions"]

    assert CRDS[plural]["metadata"]["name"] == f"{plural}.{GROUP}"
    scope = "Cluster" if plural in OF_THE_CLUSTER else "Namespaced"
    assert (spec["group"], version["name"], spec["scope"]) == (GROUP, VERSION, scope)
    assert spec["names"]["categories"] == ["proctor"]
    assert version["subresources"] == {"status": {}}


def test_every_field_explains_itself() -> None:
    named = {path for path in NODES if not path.endswith(("[]", "{}", ".metadata"))}

    assert [path for path in named if not NODES[path].get("description", "").endswith(".")] == []


def test_everything_has_a_limit() -> None:
    assert [path for path, node in NODES.items() if not is_bounded(path, node)] == []


def test_no_reference_names_a_namespace() -> None:
    assert [path for path in NODES if path.lower().endswith("namespace")] == []


def test_lists_say_how_they_are_merged() -> None:
    lists = {path: node for path, node in NODES.items() if node.get("type") == "array"}

    assert [path for path, node in lists.items() if "x-kubernetes-list-type" not in node] == []


def test_the_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def is_bounded(path: str, node: Schema) -> bool:
    """Whether the size of a value is limited, by the schema or by its own form."""
    match node.get("type"):
        case None:  # free JSON, or a number or text
            free = node.get("x-kubernetes-preserve-unknown-fields", False)
            wanted = {"maxLength", "maxItems", "maxProperties"} if free else {"maxLength"}
            return wanted <= node.keys()
        case "string":
            if path.endswith((".apiVersion", ".kind")):
                return True  # fixed by the API server
            return "maxLength" in node or "enum" in node or node.get("format") == "date-time"
        case "array":
            return "maxItems" in node
        case "object":
            return "properties" in node or "maxProperties" in node or path.endswith(".metadata")
        case "integer" | "number":
            return "format" in node or {"minimum", "maximum"} <= node.keys()
        case _:
            return True
