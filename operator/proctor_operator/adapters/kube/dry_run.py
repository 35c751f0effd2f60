"""The `DryRun` port on the real API server."""

from __future__ import annotations

from typing import Final

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import JOB_RESOURCE
from proctor_operator.domain.errors import Forbidden, NamespaceTerminating, Rejected
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.dry_run import Fit, Hindered

_LACKS_THE_RIGHT: Final = "cannot create resource"
_NOT_WITHOUT_SIDE_EFFECTS: Final = "does not support dry run"
"""A foreign webhook on Jobs declares side effects, so the server does not call it and refuses the try
(k8s.io/apiserver, admission/plugin/webhook/errors)."""


class KubeDryRun:
    """Asks with `dryRun=All` and `fieldValidation=Strict`: an unknown field is an error, not passed over."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def try_job(self, namespace: Namespace, manifest: JsonObject) -> Fit | Hindered:
        """See the port."""
        try:
            return Fit(await self._client.try_to_create(JOB_RESOURCE, namespace, manifest))
        except NamespaceTerminating as going:
            return Hindered(str(going))
        except Forbidden as forbidden:
            if forbidden.status == 401 or _LACKS_THE_RIGHT in str(forbidden):
                raise
            return Hindered(str(forbidden))
        except Rejected as rejected:
            if _NOT_WITHOUT_SIDE_EFFECTS in str(rejected):
                return Hindered(str(rejected))
            raise
