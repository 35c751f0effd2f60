"""The `PluginStore` port on the real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.mapping import read_conditions
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.model import parse
from proctor_operator.domain.naming import GROUP, PROC_PLUGINS, VERSION, Uid
from proctor_operator.domain.procplugin import (
    ProcPlugin,
    ProcPluginSpec,
    ProcPluginStatus,
    UnreadablePlugin,
)

PLUGIN_RESOURCE: Final = Resource(GROUP, VERSION, PROC_PLUGINS)


class KubePlugins:
    """ProcPlugins belong to the cluster, so no namespace is named."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def list_plugins(self) -> AsyncIterator[ProcPlugin | UnreadablePlugin]:
        """See the port."""
        async for item in self._client.pages(PLUGIN_RESOURCE, None):
            yield read_plugin(item)

    async def write_plugin_status(
        self, plugin: ProcPlugin | UnreadablePlugin, status: ProcPluginStatus
    ) -> None:
        """See the port."""
        said = status.model_dump(mode="json", by_alias=True)
        patch = {"metadata": {"resourceVersion": plugin.resource_version}, "status": said}
        await self._client.patch(PLUGIN_RESOURCE, None, plugin.name, patch, sub="status")


def read_plugin(manifest: Mapping[str, Any]) -> ProcPlugin | UnreadablePlugin:
    """Read a ProcPlugin; what does not parse comes back as what can be said about it."""
    metadata = manifest["metadata"]
    identity: dict[str, Any] = {
        "name": metadata["name"],
        "uid": Uid(metadata["uid"]),
        "generation": metadata.get("generation", 0),
        "resource_version": metadata["resourceVersion"],
        "status": _status(manifest),
    }
    spec = manifest.get("spec") or {}
    try:
        return ProcPlugin(**identity, spec=parse(ProcPluginSpec, spec, where="spec"))
    except Unreadable as error:
        return UnreadablePlugin(
            **identity,
            problem=shorten(error.message, MESSAGE_LIMIT_BYTES),
            # Anything but a plain no counts: what a plugin is for may be what cannot be read.
            is_mandatory=spec.get("mandatory", False) is not False,
        )


def _status(manifest: Mapping[str, Any]) -> ProcPluginStatus:
    status = {**(manifest.get("status") or {}), "conditions": read_conditions(manifest)}
    try:
        return parse(ProcPluginStatus, status, where="status")
    except Unreadable:
        return ProcPluginStatus()
