"""Loaded by a Python process that has this folder on PYTHONPATH: on SIGUSR2 it tells what memory is alive in it.

The first signal begins the count; each one after it writes what was allocated since and is alive, in bytes by
line of code, to the file that LIVE_BYTES_FILE names.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any, Final

_LINES: Final = 25
_NOT_COUNTED: Final = (
    tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),
    # A connection has a buffer of 256 KiB. How many are open is a matter of the last half minute.
    tracemalloc.Filter(inclusive=False, filename_pattern="*/asyncio/sslproto.py"),
)


def _tell(*_: Any) -> None:
    told = Path(os.environ["LIVE_BYTES_FILE"])
    gc.collect()
    by_line: dict[str, int] = {}
    if tracemalloc.is_tracing():
        snapshot = tracemalloc.take_snapshot().filter_traces(_NOT_COUNTED)
        by_line = {str(one.traceback): one.size for one in snapshot.statistics("lineno")}
    else:
        tracemalloc.start()
    most = dict(sorted(by_line.items(), key=lambda one: -one[1])[:_LINES])
    unfinished = told.with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"bytes": sum(by_line.values()), "most": most}))
    unfinished.replace(told)


if "LIVE_BYTES_FILE" in os.environ:
    signal.signal(signal.SIGUSR2, _tell)
