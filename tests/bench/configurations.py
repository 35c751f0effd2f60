"""The chart's webhook configurations, taken away and put back while everything else stays."""

from __future__ import annotations

import json
from typing import Any, Final

from bench.objects import an_execution
from chart.installation import Installation
from harness.operator_process import OperatorError
from harness.requesters import flags_of, plain
from localcluster.waiting import wait_until

Manifest = dict[str, Any]
_KINDS: Final = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
_NAME: Final = "proctor.dev"
_SECONDS_TO_BE_KNOWN: Final = 30
_NO_PROC: Final = "there-is-none"


class WebhookConfigurations:
    """As the chart made them, with the caBundle that the role `certs` wrote into them."""

    def __init__(self, installed: Installation, namespace: str) -> None:
        self._cluster = installed.cluster
        self._namespace = namespace
        self._kept = [_to_be_created(self._read(kind)) for kind in _KINDS]
        self._are_there = True

    def have(self, *, there: bool) -> None:
        """Put them there or take them away, and wait until the API server acts accordingly."""
        if there != self._are_there:
            verb = "create" if there else "delete"
            for manifest in self._kept:
                self._cluster.kubectl(verb, "--filename=-", stdin=json.dumps(manifest))
            self._are_there = there
        wanted = (there, there)
        if not wait_until(
            lambda: self._in_force() == wanted, seconds=_SECONDS_TO_BE_KNOWN, interval=0.2
        ):
            raise OperatorError(
                f"the webhook configurations were to be in force: {there}; stamped and refused: "
                f"{self._in_force()}"
            )

    def _in_force(self) -> tuple[bool, bool]:
        """Whether the mutating one stamps, and the validating one refuses what names no Proc."""
        stamped = self._try(an_execution("is-it-stamped"))
        refused = self._try(an_execution("is-it-refused", _NO_PROC))
        return "requestedBy" in stamped, refused == ""

    def _try(self, manifest: Manifest) -> str:
        """The object as it would be stored; empty when it would not."""
        return self._cluster.kubectl(
            *("create", "--dry-run=server", "--output=json", "--filename=-"),
            *(f"--namespace={self._namespace}", *flags_of(manifest)),
            stdin=json.dumps(plain(manifest)),
            check=False,
        ).stdout

    def _read(self, kind: str) -> Manifest:
        shown = self._cluster.kubectl("get", kind, _NAME, "--output=json")
        manifest: Manifest = json.loads(shown.stdout)
        return manifest


def _to_be_created(stored: Manifest) -> Manifest:
    metadata = {key: stored["metadata"][key] for key in ("name", "labels")}
    return {**stored, "metadata": metadata}
