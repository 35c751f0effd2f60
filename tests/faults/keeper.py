"""What the kubelet is to the operator: a process that ends by itself is started again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from faults.admin import Round
from harness.running import RunningOperator
from localcluster.errors import tail

LEADERSHIP_LOST: Final = 3
"""The only exit code with which the operator may end without being asked."""


class Keeper(Round):
    """Starts the operator anew when it gave up its Lease; any other end of its own breaks the test."""

    def __init__(self, operator: RunningOperator, note: Callable[[str], None]) -> None:
        super().__init__("keeper", interval=0.2)
        self._operator = operator
        self._note = note
        self._is_wanted = False
        self._lock = threading.Lock()

    def start_operator(self) -> None:
        """Start it, and keep it running from now on."""
        with self._lock:
            self._operator.start()
            self._is_wanted = True

    def kill_operator(self) -> None:
        """End it as a crash would, and leave it so."""
        with self._lock:
            self._is_wanted = False
            self._operator.kill()

    def stop_operator(self) -> None:
        """Stop it politely, and leave it so."""
        with self._lock:
            self._is_wanted = False
            self._operator.stop()

    def leave_alone(self) -> None:
        """Let it end, should it want to."""
        with self._lock:
            self._is_wanted = False

    def work(self) -> None:
        """Look once."""
        with self._lock:
            process = self._operator.process
            if not self._is_wanted or process is None:
                return
            code = process.process.poll()
            if code is None:
                return
            end_of_log = tail(self._operator.log)
            assert code == LEADERSHIP_LOST, f"the operator ended with {code}\n{end_of_log}"
            self._note("the operator gave up its Lease and ended: it is started again")
            self._operator.start()
