"""The plugin `groups`: members of the groups in its configuration may run what it votes on.

It comes with the operator and is a plugin like any other, found by its entry point.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from proctor_plugin import Allow, AuthorizeRequest, NoOpinion, ProctorPlugin, Verdict


class GroupsPlugin(ProctorPlugin):
    """Allows, and has no opinion on everybody else: other rules of the Proc may still allow them."""

    name = "groups"
    version = "1.0.0"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["groups"],
        "additionalProperties": False,
        "properties": {
            "groups": {
                "type": "array",
                "minItems": 1,
                "maxItems": 64,
                "uniqueItems": True,
                "items": {"type": "string", "minLength": 1, "maxLength": 1024},
            },
            "match": {"enum": ["Any", "All"]},
        },
    }

    async def configure(self, config: Mapping[str, Any], credentials_file: Path | None) -> None:
        """Take the groups; `match` says whether one of them is enough (Any, the default) or all are needed."""
        del credentials_file
        self._groups = frozenset(config["groups"])
        self._needs_all = config.get("match", "Any") == "All"

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        """Allow members."""
        held = self._groups.intersection(request.principal.groups)
        if held and (held == self._groups or not self._needs_all):
            return Allow(message=f"member of {', '.join(sorted(held))}")
        return NoOpinion()
