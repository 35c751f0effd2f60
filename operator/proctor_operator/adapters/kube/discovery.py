"""Which of our kinds the API server knows."""

from __future__ import annotations

from collections.abc import Iterable

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.domain.errors import NotFound
from proctor_operator.domain.naming import GROUP, VERSION


async def find_missing_kinds(client: KubeClient, plurals: Iterable[str]) -> list[str]:
    """Those that it does not serve; raises `ClusterError` when it does not say."""
    try:
        found = await client.kinds(GROUP, VERSION)
    except NotFound:
        return list(plurals)
    served = {one["name"] for one in found["resources"]}
    return [plural for plural in plurals if plural not in served]
