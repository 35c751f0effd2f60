"""Objects that anybody may make, and that no parser or clock was made for: they hold up no run of anybody."""

from __future__ import annotations

import json
from typing import Final

from harness.pods import pod_of, report_ended
from harness.requesters import by_requester
from harness.running import IMAGE, Manifest, RunningOperator, execution, proc

THIRTY_THOUSAND_YEARS: Final = 10**12
"""Seconds; the API server takes any number, and its sum of times overflows."""
LEVELS: Final = 3000


def test_a_pod_that_may_take_ages_to_go_stops_nobody(operator: RunningOperator) -> None:
    operator.apply(proc("calm"), lingering_pod())
    operator.kubectl("delete", "pod/lingering", "--wait=false")
    asked = operator.get("pod", "lingering")["metadata"]
    assert asked["deletionGracePeriodSeconds"] == THIRTY_THOUSAND_YEARS

    operator.stop()
    operator.start()
    operator.apply(execution("calm-1", of="calm"))
    report_ended(operator, pod_of(operator, "calm-1"))

    operator.wait_for_phase("calm-1", "Succeeded")


def test_values_nested_deeper_than_any_parser_follows_stop_nobody(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("deep"))
    manifest = json.dumps(execution("deep-1", of="deep", arguments={"A": "DEEP"}))
    ((flags, _),) = by_requester([execution("deep-1", of="deep")])
    nested = "[" * LEVELS + "1" + "]" * LEVELS
    operator.kubectl("create", "--filename=-", *flags, stdin=manifest.replace('"DEEP"', nested, 1))
    # Python's own parser does not follow either.
    operator.kubectl("wait", "pexec/deep-1", "--for=jsonpath={.status.reason}=Unreadable")

    operator.stop()
    operator.start()
    operator.apply(execution("deep-2", of="deep"))
    report_ended(operator, pod_of(operator, "deep-2"))

    operator.wait_for_phase("deep-2", "Succeeded")


def test_a_pod_whose_node_reports_nonsense_stops_nobody(operator: RunningOperator) -> None:
    operator.apply(proc("sober"))
    times: Manifest
    for number, times in enumerate(({}, {"startedAt": "0000-01-01T00:00:00Z"})):
        container = {
            "name": "proc",
            "image": IMAGE,
            "imageID": "",
            "ready": True,
            "restartCount": 0,
        }
        reported = {
            "phase": "Daydreaming",
            "containerStatuses": [{**container, "state": {"running": times}}],
        }
        operator.apply(lingering_pod(f"odd-{number}"))
        patch = json.dumps({"status": reported})
        operator.kubectl("patch", f"pod/odd-{number}", "--subresource=status", f"--patch={patch}")

    operator.stop()
    operator.start()
    operator.apply(execution("sober-1", of="sober"))
    report_ended(operator, pod_of(operator, "sober-1"))

    operator.wait_for_phase("sober-1", "Succeeded")


def lingering_pod(name: str = "lingering") -> Manifest:
    """One that is on a node, so that the kubelet is to end it; that nobody has ever seen the node is fine."""
    container = {
        "name": "proc",
        "image": IMAGE,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"proctor.dev/managed": "true"}},
        "spec": {
            "nodeName": "nowhere",
            "terminationGracePeriodSeconds": THIRTY_THOUSAND_YEARS,
            "containers": [container],
        },
    }
