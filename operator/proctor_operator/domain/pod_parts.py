"""Reading a pod's manifest piece by piece, each knowing where it stands; nothing in it is trusted to fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proctor_operator.domain.conditions import shorten
from proctor_operator.domain.model import JsonObject

_VALUE_LIMIT_BYTES: Final = 120
_CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that a rule forbids: where, the value (None where nothing is written), what would be right."""

    path: str
    value: Any
    right: str

    def __str__(self) -> str:
        found = "is not set" if self.value is None else f"is {_shown(self.value)}"
        return f"{self.path} {found}, must be {self.right}"


@dataclass(frozen=True, slots=True)
class Part:
    """A map inside a manifest; `is_written` is False for one that is not there, which reads as empty."""

    path: str
    fields: Mapping[str, Any]
    is_written: bool = True

    def value(self, name: str) -> Any:
        """A field's value, None where there is none."""
        return self.fields.get(name)

    def part(self, *names: str) -> Part:
        """The map below these fields."""
        found: Any = self.fields
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        path = ".".join((self.path, *names))
        return Part(path, found) if isinstance(found, dict) else Part(path, {}, is_written=False)

    def items(self, name: str) -> Iterator[Part]:
        """The maps of a list: called by name where they have one, else by number."""
        listed = self.value(name)
        for number, item in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(item, dict):
                called = item.get("name")
                place = called if isinstance(called, str) and called else str(number)
                yield Part(f"{self.path}.{name}[{place}]", item)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list."""
        listed = self.value(name)
        return (
            tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()
        )

    def violation(self, name: str, right: str) -> Violation:
        """A field of this map that is wrong, with the value as it stands."""
        return Violation(f"{self.path}.{name}", self.value(name), right)


@dataclass(frozen=True, slots=True)
class PodParts:
    """A pod, or the template of one."""

    metadata: Part
    spec: Part

    @classmethod
    def of(cls, manifest: JsonObject) -> PodParts:
        """Read a manifest with `metadata` and `spec`."""
        whole = Part("", manifest)
        metadata, spec = whole.part("metadata"), whole.part("spec")
        return cls(Part("metadata", metadata.fields), Part("spec", spec.fields))

    @property
    def containers(self) -> tuple[Part, ...]:
        """Containers of every kind."""
        return tuple(one for name in _CONTAINER_LISTS for one in self.spec.items(name))

    @property
    def security_context(self) -> Part:
        """The pod's own."""
        return self.spec.part("securityContext")

    @property
    def security_contexts(self) -> tuple[Part, ...]:
        """The pod's own, then those of its containers."""
        return (self.security_context, *(one.part("securityContext") for one in self.containers))

    @property
    def is_windows(self) -> bool:
        """Whether it says that it runs on Windows, where Linux fields mean nothing."""
        return bool(self.spec.part("os").value("name") == "windows")


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), _VALUE_LIMIT_BYTES)
