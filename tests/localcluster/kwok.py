"""Nodes and pods that are only played, by kwok: for load, where real containers would be the limit.

A pod of a Job runs for as long as its annotation ``RUN_SECONDS_ANNOTATION`` says (a number of seconds, by
default 0) and succeeds. One that says ``forever`` runs until it is deleted. Every container has the
same log, ``LOG_LINES``, which kwok serves as a kubelet does: through the API server.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcluster.binary import SOURCE, Program, ensure_program, module_version
from localcluster.config import Config
from localcluster.controlplane import Component
from localcluster.waiting import Report

NAME = "kwok"
NODE_COUNT = 10
RUN_SECONDS_ANNOTATION = "simulated.proctor.dev/run-seconds"
FOREVER = "forever"
LOG_LINES = tuple(f"line {number} of a simulated container" for number in range(1, 11))
_MODULE = "sigs.k8s.io/kwok"
_SOURCE = SOURCE / NAME
_ANNOTATION = f'.metadata.annotations["{RUN_SECONDS_ANNOTATION}"]'


def ensure_simulator(report: Report) -> Path:
    """Return kwok's executable, building it once per machine.

    A module of its own: it does not build against the libraries of the cluster's Kubernetes.
    """
    version = module_version(_MODULE, _SOURCE)
    program = Program(f"kwok {version}", _SOURCE, (f"{_MODULE}/cmd/kwok",), "-s -w", out=NAME)
    return ensure_program(program, report)


def simulator(config: Config) -> Component:
    """Return kwok with its command."""
    addresses, pki = config.addresses, config.pki
    return Component(
        NAME,
        (
            config.simulator,
            f"--config={config.settings('kwok.yaml')}",
            f"--kubeconfig={config.settings('kwok.kubeconfig')}",
            "--manage-all-nodes=true",
            f"--cidr={addresses.pod_cidr}",
            # The API server takes it for the nodes' kubelet.
            f"--node-ip={addresses.server}",
            f"--node-port={addresses.simulator_port}",
            f"--server-address={addresses.server}:{addresses.simulator_port}",
            f"--tls-cert-file={pki / 'kwok-server.crt'}",
            f"--tls-private-key-file={pki / 'kwok-server.key'}",
            *config.tuning.extra_args.get(NAME, ()),
        ),
    )


def node_names(config: Config) -> list[str]:
    """Return the names of the simulated nodes."""
    return [f"{config.node_name}-{number}" for number in range(NODE_COUNT)]


def nodes(config: Config) -> list[dict[str, object]]:
    """Return the nodes; kwok makes them ready."""
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        for name in node_names(config)
    ]


def write_simulator_settings(config: Config) -> None:
    """Write what kwok does with pods, and the log that they all have."""
    log = config.settings("kwok-container.log")
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - the log lines need a real time
    log.write_text("".join(f"{now} stdout F {line}\n" for line in LOG_LINES))
    documents = [*_stages(), _logs(log)]
    config.settings("kwok.yaml").write_text("\n---\n".join(json.dumps(one) for one in documents))


def _logs(path: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-container"},
        "spec": {"logs": [{"logsFile": str(path)}]},
    }


def _stages() -> list[dict[str, Any]]:
    present, absent = "Exists", "DoesNotExist"
    deletion, running = ".metadata.deletionTimestamp", ".status.phase"
    return [
        _stage(
            "pod-runs",
            [_match(deletion, absent), _match(".status.podIP", absent)],
            {"statusTemplate": _RUNNING},
        ),
        _stage(
            "pod-succeeds",
            [
                _match(deletion, absent),
                _match(running, "In", "Running"),
                _match(".metadata.ownerReferences.[].kind", "In", "Job"),
                _match(_ANNOTATION, "NotIn", FOREVER),
            ],
            {"statusTemplate": _SUCCEEDED},
            delay={"durationMilliseconds": 0, "durationFrom": {"expressionFrom": _SECONDS}},
        ),
        _stage(
            "pod-goes",
            [_match(deletion, present)],
            {"finalizers": {"empty": True}, "delete": True},
        ),
    ]


def _stage(
    name: str,
    expressions: list[dict[str, Any]],
    following: dict[str, Any],
    delay: dict[str, Any] | None = None,
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": expressions},
        "next": following,
    }
    if delay is not None:
        spec["delay"] = delay
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": spec,
    }


def _match(key: str, operator: str, *values: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {"key": key, "operator": operator}
    return wanted | ({"values": list(values)} if values else {})


_SECONDS = f'{_ANNOTATION} | select(. != null) | . + "s"'

_RUNNING = """\
{{ $now := Now }}
conditions:
{{ range $type := list "Initialized" "Ready" "ContainersReady" }}
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: {{ $type }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
{{ $pod := .metadata }}
podIP: {{ PodIPWith .spec.nodeName false $pod.uid $pod.name $pod.namespace | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""

_SUCCEEDED = """\
{{ $now := Now }}
{{ $root := . }}
containerStatuses:
{{ range $index, $item := .spec.containers }}
{{ $before := index $root.status.containerStatuses $index }}
- name: {{ $item.name | Quote }}
  image: {{ $item.image | Quote }}
  imageID: {{ $item.image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $before.state.running.startedAt | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
phase: Succeeded
"""
