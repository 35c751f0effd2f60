"""What it costs to notice changes that no watch told of: `python -m bench.resync_costs 5000 20000`.

For each number of finished executions, ways to find the few that changed: bytes, and CPU seconds of
this client, the API server and etcd for one round (means of several). ADR 0007 draws on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import aiohttp
import orjson
from multidict import CIMultiDict

from bench.machine import cpu_seconds_of
from chart.installation import install
from harness.requesters import headers_of
from localcluster import processes
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster
from proctor_operator.adapters.kube.cluster import EXECUTION_RESOURCE
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.kube.mapping import read_execution

TEAM: Final = "team-a"
ROUNDS: Final = 5
CHANGES: Final = 20
_CLIENTS: Final = 16
_PATH: Final = EXECUTION_RESOURCE.path(None)
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Way = Callable[["Asker"], Awaitable[int]]


class Asker:
    """Requests to the API server; counts bytes as they come over the wire, before decompression."""

    def __init__(self, cluster: LocalCluster, server: str, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self._server = server
        self._session = session
        self.bytes = 0
        self.version = ""

    async def get(self, accept: str = "application/json", **query: str) -> Any:
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        url = self._server + _PATH
        async with self._session.get(url, params=query, headers=headers) as answer:
            answer.raise_for_status()
            body = await answer.read()
            self.bytes += len(body)
            return orjson.loads(body)

    async def pages(self, accept: str = "application/json", **query: str) -> AsyncIterator[Any]:
        token = ""
        while True:
            page = await self.get(accept, limit="500", **query, **{"continue": token})
            self.version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def changes(self) -> AsyncIterator[Any]:
        query = {"watch": "1", "resourceVersion": self.version, "timeoutSeconds": "1"}
        async with self._session.get(self._server + _PATH, params=query) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                self.bytes += len(line)
                event = orjson.loads(line)
                self.version = event["object"]["metadata"]["resourceVersion"]
                yield event["object"]

    async def send(self, verb: str, path: str, body: Any, kind: str = "json") -> Any:
        headers = CIMultiDict({"Content-Type": f"application/{kind}"})
        if verb == "POST":
            headers.extend(headers_of(body))
        data = orjson.dumps(body)
        async with self._session.request(
            verb, self._server + path, data=data, headers=headers
        ) as answer:
            answer.raise_for_status()
            return await answer.json()


async def whole_list_read(ask: Asker) -> int:
    return len([read_execution(item) async for item in ask.pages()])


async def whole_list(ask: Asker) -> int:
    return len([item["metadata"]["resourceVersion"] async for item in ask.pages()])


async def whole_list_from_the_watch_cache(ask: Asker) -> int:
    return len((await ask.get(resourceVersion="0"))["items"])


async def metadata_only(ask: Asker) -> int:
    return len([item async for item in ask.pages(_METADATA_ONLY)])


async def live_ones_by_a_field_selector(ask: Asker) -> int:
    return len([item async for item in ask.pages(fieldSelector="status.phase=Running")])


async def changes_since_the_last_round(ask: Asker) -> int:
    return len([item async for item in ask.changes()])


WAYS: Final[dict[str, Way]] = {
    "whole list, each object read": whole_list_read,
    "whole list, versions compared": whole_list,
    "whole list at resourceVersion=0, versions compared": whole_list_from_the_watch_cache,
    "metadata only": metadata_only,
    "live ones, by a field selector": live_ones_by_a_field_selector,
    "changes since the last round": changes_since_the_last_round,
}


async def measure(ask: Asker, way: Way) -> dict[str, float]:
    """One round of a way, with a few changes before it."""
    figures = {"bytes": 0.0, "client": 0.0, "kube-apiserver": 0.0, "etcd": 0.0, "found": 0.0}
    for number in range(ROUNDS):
        await change_some(ask, number)
        await asyncio.sleep(1.0)
        began = {name: cpu_of(ask.cluster, name) for name in ("kube-apiserver", "etcd")}
        ask.bytes, own = 0, time.process_time()
        figures["found"] += await way(ask) / ROUNDS
        figures["client"] += (time.process_time() - own) / ROUNDS
        figures["bytes"] += ask.bytes / ROUNDS
        for name, before in began.items():
            figures[name] += (cpu_of(ask.cluster, name) - before) / ROUNDS
    return figures


async def change_some(ask: Asker, number: int) -> None:
    for one in range(CHANGES):
        patch = {"metadata": {"annotations": {"touched": str(number)}}}
        await ask.send("PATCH", path_of(one), patch, "merge-patch+json")


async def fill(ask: Asker, begin: int, end: int) -> None:
    """Create finished executions, with a status as the operator writes it."""
    numbers = iter(range(begin, end))

    async def work() -> None:
        for number in numbers:
            await ask.send("POST", EXECUTION_RESOURCE.path(TEAM), an_execution(number))
            await ask.send("PATCH", f"{path_of(number)}/status", A_STATUS, "merge-patch+json")

    await asyncio.gather(*(work() for _ in range(_CLIENTS)))


def path_of(number: int) -> str:
    return EXECUTION_RESOURCE.path(TEAM, f"run-{number}")


def an_execution(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": f"run-{number}", "finalizers": ["proctor.dev/record"]},
        "spec": {
            "procRef": {"name": f"proc-{number % 500}"},
            "arguments": {"DATABASE": "orders", "SIZE_GB": 200, "REGIONS": ["eu", "us"]},
            "requestedBy": {"username": "alice@example.org", "groups": ["dba"], "via": "API"},
        },
    }


A_STATUS: Final[dict[str, Any]] = {
    "status": {
        "phase": "Succeeded",
        "reason": "Completed",
        "observedGeneration": 1,
        "number": 123456,
        "exitCode": 0,
        "attempts": 1,
        "podName": "run-0123456789-abcde",
        "startTime": "2026-01-01T10:00:00Z",
        "completionTime": "2026-01-01T10:00:05Z",
        "logTail": "a line of what it said\n" * 20,
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": "Completed",
                "message": "",
                "lastTransitionTime": "2026-01-01T10:00:05Z",
                "observedGeneration": 1,
            }
            for kind in ("Authorized", "Recorded", "Started", "Complete")
        ],
    }
}


def cpu_of(cluster: LocalCluster, component: str) -> float:
    """CPU seconds of a component so far."""
    return sum(cpu_seconds_of(one.pid) for one in processes.find(cluster.state_dir, component))


def let_select_by_phase(cluster: LocalCluster) -> None:
    """What the CRD would have to say (Kubernetes 1.31 and later)."""
    fields = [{"jsonPath": ".status.phase"}]
    patch = [{"op": "add", "path": "/spec/versions/0/selectableFields", "value": fields}]
    crd = "customresourcedefinition/procexecutions.proctor.dev"
    cluster.kubectl("patch", crd, "--type=json", f"--patch={json.dumps(patch)}")


async def run(cluster: LocalCluster, counts: list[int]) -> None:
    connection = load_connection(kubeconfig=cluster.kubeconfig, context=None)
    async with open_session(connection) as session:
        ask = Asker(cluster, connection.server, session)
        filled = 0
        for count in counts:
            await fill(ask, filled, count)
            filled = count
            print(f"\n{count} finished executions, {CHANGES} of them changed before each round\n")
            print("| way | MiB | client CPU s | API server CPU s | etcd CPU s | objects |")
            print("| --- | --- | --- | --- | --- | --- |")
            for name, way in WAYS.items():
                got = await measure(ask, way)
                mib = got["bytes"] / 1024**2
                cpu = " | ".join(f"{got[who]:.2f}" for who in ("client", "kube-apiserver", "etcd"))
                print(f"| {name} | {mib:.2f} | {cpu} | {got['found']:.0f} |", flush=True)


def main() -> int:
    """Bring up a cluster without nodes, fill it, ask."""
    parser = argparse.ArgumentParser(prog="python -m bench.resync_costs")
    parser.add_argument("counts", nargs="+", type=int, help="numbers of executions, rising")
    counts = parser.parse_args().counts
    with temporary_cluster("api", "resync") as cluster:
        install(cluster, namespace="proctor-system", team=TEAM)
        let_select_by_phase(cluster)
        asyncio.run(run(cluster, counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
