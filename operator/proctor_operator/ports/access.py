"""Questions to the API server's authorizer, about users and never about the operator itself."""

from __future__ import annotations

from typing import Final, Protocol

from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace

EVERY_EXECUTION: Final = ""
"""In the place of a name: whoever may only cancel some that are named may not."""


class Access(Protocol):
    """Asks by SubjectAccessReview, with the user's name, UID, groups and extra."""

    async def may_execute(self, requester: Requester, namespace: Namespace, proc: str) -> bool:
        """Whether the user holds the verb `execute` on that Proc."""
        ...

    async def may_read_secret(self, requester: Requester, namespace: Namespace, name: str) -> bool:
        """Whether the user may `get` that Secret."""
        ...

    async def may_cancel(self, requester: Requester, namespace: Namespace, execution: str) -> bool:
        """Whether the user holds the verb `cancel` on that ProcExecution, or on `EVERY_EXECUTION` there."""
        ...

    async def may_create_jobs(self, requester: Requester, namespace: Namespace) -> bool:
        """Whether the user may create Jobs there: whoever publishes a Proc decides what pods run."""
        ...
