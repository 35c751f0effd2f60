"""Having the API server judge an object without storing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace


@dataclass(frozen=True, slots=True)
class Fit:
    """The server would take the Job; `job` is what it would store, its defaults included."""

    job: JsonObject


@dataclass(frozen=True, slots=True)
class Hindered:
    """Something else than the Job itself is in the way: a quota, a foreign webhook. Not its author's mistake."""

    message: str


class DryRun(Protocol):
    """Strict server-side dry runs; nothing is stored."""

    async def try_job(self, namespace: Namespace, manifest: JsonObject) -> Fit | Hindered:
        """Would the server take this Job.

        `Rejected` with the server's words when it never would, `Forbidden` when the operator's own account
        may not create Jobs there, and the other errors of a call.
        """
        ...
