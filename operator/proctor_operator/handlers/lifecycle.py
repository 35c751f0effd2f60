"""Kopf itself: its settings, its login, its run. It watches and serves reviews; it writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import repeat
from typing import Any, Final

import kopf

from proctor_operator.handlers.watches import MANAGED_SELECTOR

LOGIN_AT_MOST_EVERY_SECONDS: Final = 5.0


class NothingHandled(kopf.DiffBaseStorage):
    """No copy of the last handled state: no handler of ours asks for a difference."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Empty, which also saves Kopf a deep copy of each object per event."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """None: nothing was ever stored."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """No progress of handlers: none of ours has any."""

    def fetch(self, **_: Any) -> kopf.ProgressRecord | None:
        """None: nothing was ever stored."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """There is nothing to purge."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return the essence as it is."""
        return essence


class TryForEver(Iterable[float]):
    """Delays between tries, in seconds, without an end.

    With an end Kopf gives up on a list that is refused, and the process with it; one that is started
    anew is refused as well. A right that is missing for an hour must not become a crash loop (F25).
    """

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0, 4.0)
        yield from repeat(8.0)


def build_settings() -> kopf.OperatorSettings:
    """Settings for watching only, each tried (docs/adr/0001)."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 15
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = TryForEver()
    settings.watching.connect_timeout = 5
    settings.watching.server_timeout = 600
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 100
    settings.watching.label_selectors["batch", "v1", "jobs"] = MANAGED_SELECTOR
    settings.watching.label_selectors["", "v1", "pods"] = MANAGED_SELECTOR
    settings.queueing.idle_timeout = 2
    settings.queueing.exit_timeout = 2
    settings.execution.max_workers = 1
    settings.persistence.diffbase_storage = NothingHandled()
    settings.persistence.progress_storage = NoProgress()
    settings.process.ultimate_exiting_timeout = None
    return settings


def register_login(
    registry: kopf.OperatorRegistry, login: Callable[[], kopf.AiohttpSession]
) -> None:
    """Give Kopf a session of its own at each login; it closes what it was given.

    Kopf logs in again whenever it gets a 401, at once: an account whose token is refused would be a
    storm of requests.
    """
    next_login = 0.0

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        nonlocal next_login
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, next_login - loop.time()))
        next_login = loop.time() + LOGIN_AT_MOST_EVERY_SECONDS
        return login()

    kopf.on.login(registry=registry, id="login")(log_in)


async def watch(
    registry: kopf.OperatorRegistry,
    *,
    namespaces: Collection[str],
    stop: asyncio.Event,
    take_signals_back: Callable[[], None],
    admission_server: kopf.WebhookServerProtocol | None = None,
) -> None:
    """Run Kopf until `stop` is set; no namespaces means all of them.

    An `admission_server` is for the admission handlers in the registry. Watches and webhooks of one process
    share one run: at its end, a run cancels the tasks of another.
    Kopf takes the process's signals when it starts, and at its end cancels every task that is younger
    than itself: the caller starts its own tasks first, and gets its signals back before the first event.
    """
    older_tasks = asyncio.all_tasks()
    settings = build_settings()
    settings.admission.server = admission_server
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=tuple(namespaces),
        stop_flag=stop,
    )
    take_signals_back()
    await kopf.run_tasks(tasks, ignored=older_tasks)
