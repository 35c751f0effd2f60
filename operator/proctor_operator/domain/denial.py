"""What was turned away before anything was stored: for the record, the metrics and later the notices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proctor_operator.domain.admission import ReviewUid
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace


@dataclass(frozen=True, slots=True)
class Denial:
    """One request that admission did not let through; it holds no argument, only the words of the denial.

    `name` is empty for an object that the API server was to name, `proc` where the request names none.
    """

    review: ReviewUid
    denied_at: datetime
    operation: str
    resource: str
    namespace: Namespace
    name: str
    proc: str
    requester: Requester
    reason: str
    message: str
