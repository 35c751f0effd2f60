"""Errors, typed by what the work queue must do with them.

    ProctorError
    ├── Waiting             not now: ask again after `after_seconds`, no alarm
    ├── Unreadable          an object of ours does not parse: say so on it, do not retry
    ├── NotLeading          the Lease is not ours (any more): write nothing; the process is about to end
    └── Fault               something broke: retry with back-off
        ├── ClusterError        the API server said no, or did not answer
        │   ├── NotFound
        │   ├── AlreadyExists
        │   ├── Conflict            somebody else wrote first: read again, decide again
        │   ├── Forbidden           a right of the operator is missing
        │   │   ├── NamespaceTerminating    not a matter of rights: the namespace goes away
    │   │   └── Denied                  not a matter of rights: admission says no to this object
        │   ├── Rejected            the object itself is refused (422, 400)
        │   ├── Expired             the history asked for is not kept any more (410): list again
        │   └── ClusterUnavailable  429, 5xx, timeouts, refused connections
        ├── PartlyListed        some namespaces may not be listed, or hold what cannot be read; all others were
        ├── RecordUnavailable   PostgreSQL is away or did not answer in time
        ├── RecordRejected      the row itself is refused, or the run is not in the record
        └── PluginBroken        a plugin cannot be loaded, fails, hangs or talks nonsense

Adapters raise these and nothing else; each client library's own errors are translated once, at the adapter's edge.
"""

from __future__ import annotations

from collections.abc import Mapping

from proctor_operator.domain.naming import Namespace

_REFUSALS_IN_FULL = 5


class ProctorError(Exception):
    """Base of every error the operator raises on purpose."""


class Waiting(ProctorError):
    """The work cannot go on yet.

    `reason` is one CamelCase word, `after_seconds` the delay until the next try.
    """

    def __init__(self, reason: str, message: str, *, after_seconds: float) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.after_seconds = after_seconds


class Unreadable(ProctorError):
    """An object of ours does not parse; `message` names the fields."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotLeading(ProctorError):
    """Another process may be at work: no side effect is allowed; the message says why."""


class Fault(ProctorError):
    """Something the operator depends on failed; the work is retried with back-off."""


class ClusterError(Fault):
    """The API server refused a call or did not answer; `status` is the HTTP code, 0 without one."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """404."""


class AlreadyExists(ClusterError):
    """409 with reason AlreadyExists: the name is taken, by whom is another question."""


class Conflict(ClusterError):
    """409 on a write with a resourceVersion: what was decided on is out of date."""


class Forbidden(ClusterError):
    """401 or 403: the operator's account lacks a right, or an admission plugin said no."""


class NamespaceTerminating(Forbidden):
    """403 because the namespace is being deleted: nothing can be made in it any more."""


class Denied(Forbidden):
    """403 from an admission webhook or policy: it says no to this object, and will say so again."""


class Rejected(ClusterError):
    """400, 413 or 422: the object is invalid and will be refused again."""


class Expired(ClusterError):
    """410: what happened since the version asked for is not kept any more."""


class ClusterUnavailable(ClusterError):
    """No answer, or one that asks to come back; `retry_after` in seconds where the server gave one."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class PartlyListed(Fault):
    """A list came to its end without some namespaces; None is the whole cluster.

    They are refused, or there is something in them that nobody can read.
    """

    def __init__(self, refused: Mapping[Namespace | None, ClusterError]) -> None:
        said = [str(error) for error in refused.values()]
        rest = len(said) - _REFUSALS_IN_FULL
        more = [f"and {rest} more"] if rest > 0 else []
        super().__init__("; ".join([*said[:_REFUSALS_IN_FULL], *more]))
        self.refused = refused

    def leaves_out(self, namespace: Namespace) -> bool:
        """Whether nothing can be said of what is in that namespace."""
        return None in self.refused or namespace in self.refused


class RecordUnavailable(Fault):
    """PostgreSQL cannot be reached, or a statement ran into its deadline."""


class RecordRejected(Fault):
    """The record refuses this row, or does not know the run; the same call will fail again."""


class PluginBroken(Fault):
    """A plugin gave no answer that counts; what that means is up to its failure policy.

    The message is for admins and holds nothing of the plugin's own but what it meant to be read;
    `result` is the word that metrics have for it.
    """

    def __init__(self, message: str, *, result: str = "error") -> None:
        super().__init__(message)
        self.result = result
