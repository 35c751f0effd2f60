"""Auth plugin: asks a Gate server for the groups of the user that the API server named."""

from proctor_plugin_gate.plugin import GatePlugin

__all__ = ["GatePlugin"]
