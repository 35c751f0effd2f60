"""The role `webhook` with rules of a test's own, run as a process in place of the operator's.

What it serves, how it waits and how it ends is the operator's. The rules stamp, admit and deny by what the
object's reason says, and tell of each review in the log.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import structlog

from proctor_operator.app.logging import configure_logging
from proctor_operator.app.settings import load_settings
from proctor_operator.app.stopping import Stopping
from proctor_operator.app.webhook import Tools, run_webhook
from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.model import JsonObject

DENIED: Final = "the disk of db-1 is being grown already: wait for grow-7"
LABEL: Final = "example.org/seen-by"
FINALIZER: Final = "example.org/kept"

LAUNCHER: Final = (sys.executable, "-m", "harness.webhook_process")
"""For `OperatorProcess.start`, in an environment with `PYTHONPATH`."""

log = structlog.get_logger(__name__)


class ScriptedRules:
    """Stamps executions with who asked; a reason of `deny` or `burst` has its way."""

    async def mutate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Stamp what is created."""
        if request.operation is not Operation.CREATE or request.object is None:
            return Admitted()
        held: list[str] = request.object["metadata"].get("finalizers", [])
        metadata: JsonObject = {"labels": {LABEL: "a-test"}, "finalizers": [*held, FINALIZER]}
        requested_by: JsonObject = {"username": request.user.username, "via": "API"}
        return Admitted({"metadata": metadata, "spec": {"requestedBy": requested_by}})

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Tell, then answer as the object asks for."""
        spec: JsonObject = (request.object or {}).get("spec", {})
        log.info(
            "Asked",
            operation=request.operation.value,
            resource=request.resource,
            object_name=request.name,
            user=request.user.username,
            groups=list(request.user.groups),
            dry_run=request.is_dry_run,
            review=request.uid,
        )
        match spec.get("reason"):
            case "deny":
                return TurnedAway("TooEarly", DENIED, code=409)
            case "burst":
                raise ZeroDivisionError("the password is hunter2")
        return Admitted(warnings=("seen by a test",))


async def build_rules(_: Tools) -> ScriptedRules:
    """They need nothing."""
    return ScriptedRules()


async def main(config: Path) -> None:
    """Run until SIGTERM."""
    settings = load_settings(config)
    configure_logging(settings.log)
    stopping = Stopping()
    stopping.listen()
    await run_webhook(settings, stopping, build_rules)


if __name__ == "__main__":
    # Behind it stands the operator's own command line (`LAUNCHER`).
    (file,) = (one for one in sys.argv if one.startswith("--config="))
    asyncio.run(main(Path(file.removeprefix("--config="))))
