"""The soak's measure of memory finds what stays alive, and where it was made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.memory import LiveBytes

PIECES, SIZE = 100, 10_000
PROGRAM = f"""
import sys
print("ready", flush=True)
for line in sys.stdin:
    kept = [bytes({SIZE}) for _ in range({PIECES})] if line == "keep\\n" else None
    print("done", flush=True)
"""


def test_what_is_alive_is_counted_and_what_went_is_not(tmp_path: Path) -> None:
    live = LiveBytes(tmp_path / "told.json")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **live.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None
        assert answers.readline() == "ready\n"

        live.begin(process.pid)
        asked.write("keep\n")
        asked.flush()
        assert answers.readline() == "done\n"
        kept, most = live.count(process.pid)
        asked.write("let go\n")
        asked.flush()
        assert answers.readline() == "done\n"
        let_go, _ = live.count(process.pid)
        asked.close()

    assert PIECES * SIZE < kept < PIECES * SIZE * 1.1
    assert max(most.values()) > PIECES * SIZE
    assert let_go < PIECES * SIZE / 10
