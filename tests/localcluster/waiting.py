"""Waiting for a condition with a deadline, and telling a person that it takes time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str], None]
"""Takes one line for a person."""

HEARTBEAT_SECONDS = 15.0


def wait_until(check: Callable[[], bool], *, seconds: float, interval: float = 0.05) -> bool:
    """Call ``check`` until it is true (returns True) or the time is over (returns False)."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() >= deadline:
            return False
        pause(interval)
    return True


def pause(seconds: float) -> None:
    """Let other processes run; only for polling things that cannot be waited for."""
    time.sleep(seconds)  # noqa: TID251 - no event loop here


def to_stderr(line: str) -> None:
    """Report to the terminal, leaving standard output to results."""
    print(f"localcluster: {line}", file=sys.stderr, flush=True)


def silent(_line: str) -> None:
    """Report nothing."""


@contextmanager
def step(report: Report, title: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
    """Report a step, then every 15 s that it still runs, then how long it took.

    ``detail`` may say what is being done right now.
    """
    report(f"{title} ...")
    started = time.monotonic()
    over = threading.Event()

    def heartbeat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            now = f" ({text})" if detail is not None and (text := detail()) else ""
            report(f"{title}: {time.monotonic() - started:.0f} s so far{now}")

    teller = threading.Thread(target=heartbeat, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    report(f"{title}: done in {time.monotonic() - started:.1f} s")
