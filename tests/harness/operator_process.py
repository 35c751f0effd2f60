"""Start, watch and stop `proctor-operator` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcluster.errors import tail
from localcluster.waiting import wait_until

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0


class OperatorError(Exception):
    """The operator did not start, or did not stop; the message holds the end of its log."""


@dataclass
class OperatorProcess:
    """A running operator; `log` gets its standard error."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int = 0
    """Where in the log this process begins; before it stand earlier ones."""
    health_port: int = field(default=0)

    @classmethod
    def start(
        cls,
        role: str,
        *,
        config: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        detached: bool = False,
    ) -> OperatorProcess:
        """Start a role with a settings file, and wait until it is ready.

        A `launcher` is a command that becomes the one that follows it. A `detached` process lives on
        when this one ends.
        """
        operator = cls.begin(
            role,
            config=config,
            log=log,
            environment=environment,
            launcher=launcher,
            detached=detached,
        )
        operator.wait_until_ready()
        return operator

    @classmethod
    def begin(
        cls,
        role: str,
        *,
        config: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        detached: bool = False,
    ) -> OperatorProcess:
        """Start a role as above, and wait for nothing."""
        log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*launcher, *command(role, config=config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_clean_environment() | dict(environment or {}),
                start_new_session=detached,
            )
        return cls(process, log, log_start)

    def wait_until_ready(self) -> None:
        """Return once it is; whatever comes instead, an interrupt too, does not leave it running."""
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Ask it to end, and return its exit code; raises when it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise OperatorError(f"the operator did not stop on SIGTERM\n{tail(self.log)}") from None

    def stop_if_it_runs(self) -> None:
        """The same, unless it has ended."""
        if self.process.poll() is None:
            self.stop()

    def kill(self) -> None:
        """End it without a word, as a crash would."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Ask its health server; 0 when nobody answers."""
        return ask(f"http://127.0.0.1:{self.health_port}{path}")

    def log_events(self) -> list[dict[str, Any]]:
        """Its log, line by line, where it is JSON."""
        lines = self.log.read_bytes()[self.log_start :].decode(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def is_ready_or_gone(self) -> bool:
        """Whether it answers that it is ready, or has ended."""
        if self.process.poll() is not None:
            return True
        if not self.health_port:
            self.health_port = self._port_from_log()
        return bool(self.health_port) and self.get("/readyz")[0] == 200

    def _wait_until_ready(self) -> None:
        if not wait_until(self.is_ready_or_gone, seconds=_READY_SECONDS):
            raise OperatorError(
                f"the operator was not ready in {_READY_SECONDS:.0f} s\n{tail(self.log)}"
            )
        code = self.process.poll()
        if code is not None:
            raise OperatorError(f"the operator ended with {code}\n{tail(self.log)}")

    def _port_from_log(self) -> int:
        for event in self.log_events():
            if "health_port" in event:
                return int(event["health_port"])
        return 0


def command(*arguments: str, config: Path) -> list[str]:
    """The command line of a role, run by this very Python."""
    return [sys.executable, "-m", "proctor_operator.app.main", f"--config={config}", *arguments]


def run_role(*arguments: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Run a role that ends by itself, such as `records list`."""
    return subprocess.run(
        command(*arguments, config=config),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=_clean_environment(),
    )


def write_config(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write a settings file (JSON is YAML) that only its owner may read: it holds passwords."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(settings, indent=2))
    return path


def ask(url: str) -> tuple[int, str]:
    """GET; the status and the text, or 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def _clean_environment() -> dict[str, str]:
    """The environment without settings that the person's shell may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PROCTOR_")}
