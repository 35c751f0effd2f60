"""Questions about users, asked by SubjectAccessReview (authorization.k8s.io/v1)."""

from __future__ import annotations

from typing import Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import GROUP, PROC_EXECUTIONS, PROCS, Namespace

_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")


class KubeAccess:
    """The `Access` port: the API server's own authorizer decides, we only carry the question."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def may_execute(self, requester: Requester, namespace: Namespace, proc: str) -> bool:
        """See the port."""
        return await self._ask(
            requester,
            {
                "group": GROUP,
                "resource": PROCS,
                "verb": "execute",
                "namespace": namespace,
                "name": proc,
            },
        )

    async def may_read_secret(self, requester: Requester, namespace: Namespace, name: str) -> bool:
        """See the port."""
        return await self._ask(
            requester,
            {
                "group": "",
                "resource": "secrets",
                "verb": "get",
                "namespace": namespace,
                "name": name,
            },
        )

    async def may_cancel(self, requester: Requester, namespace: Namespace, execution: str) -> bool:
        """See the port."""
        return await self._ask(
            requester,
            {
                "group": GROUP,
                "resource": PROC_EXECUTIONS,
                "verb": "cancel",
                "namespace": namespace,
                "name": execution,
            },
        )

    async def may_create_jobs(self, requester: Requester, namespace: Namespace) -> bool:
        """See the port."""
        return await self._ask(
            requester,
            {"group": "batch", "resource": "jobs", "verb": "create", "namespace": namespace},
        )

    async def _ask(self, requester: Requester, attributes: JsonObject) -> bool:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": requester.username,
                "uid": requester.uid,
                "groups": list(requester.groups),
                "extra": {key: list(values) for key, values in requester.extra.items()},
                "resourceAttributes": attributes,
            },
        }
        answer = await self._client.create(_REVIEWS, None, review)
        return bool(answer["status"].get("allowed")) and not answer["status"].get("denied")
