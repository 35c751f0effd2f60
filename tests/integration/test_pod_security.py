"""Our evaluation of the Pod Security Standards beside the API server's own, pod by pod."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from harness.pod_security_cases import CASES, Case, Manifest
from localcluster.cluster import LocalCluster
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import POD_RESOURCE
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.domain.errors import Forbidden, Rejected
from proctor_operator.domain.pod_security import PodSecurityLevel, find_pod_security_violations
from proctor_operator.reconcile.merge import lay_over

ENFORCED = (PodSecurityLevel.BASELINE, PodSecurityLevel.RESTRICTED)
COMBINED_AT_MOST = 400
"""Of some two thousand pairs; which ones is the same in every run."""


@pytest.fixture(scope="module")
def namespaces(api_cluster: LocalCluster) -> Iterator[dict[PodSecurityLevel, str]]:
    """A namespace for each level."""
    named = {level: f"pod-security-{level}" for level in ENFORCED}
    for level, name in named.items():
        api_cluster.kubectl("create", "namespace", name)
        label = f"pod-security.kubernetes.io/enforce={level}"
        api_cluster.kubectl("label", "namespace", name, label)
        # A pod needs its service account, which comes a moment after the namespace.
        api_cluster.kubectl(
            "wait", "-n", name, "--for=create", "--timeout=30s", "serviceaccount/default"
        )
    yield named
    for name in named.values():
        api_cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def client(api_cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    connection = load_connection(kubeconfig=api_cluster.kubeconfig, context=None)
    async with open_session(connection) as session:
        yield KubeClient(connection.server, session, PrometheusMetrics())


async def is_taken(client: KubeClient, namespace: str, pod: Manifest) -> bool:
    """Whether the API server would take the pod; `Rejected` where it is no valid pod at all."""
    body = {"apiVersion": "v1", "kind": "Pod", **pod}
    try:
        await client.try_to_create(POD_RESOURCE, namespace, body)
    except Forbidden as refused:
        if "violates PodSecurity" not in str(refused):
            raise
        return False
    return True


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_every_case_is_judged_as_the_api_server_judges_it(
    case: Case, namespaces: dict[PodSecurityLevel, str], client: KubeClient
) -> None:
    for level in ENFORCED:
        if case.kubernetes_refuses:
            with pytest.raises(Rejected):
                await is_taken(client, namespaces[level], case.pod)
            continue
        found = find_pod_security_violations(case.pod, level)

        assert await is_taken(client, namespaces[level], case.pod) == (not found), (level, found)


async def test_combinations_are_judged_as_the_api_server_judges_them(
    namespaces: dict[PodSecurityLevel, str], client: KubeClient
) -> None:
    usual = [one for one in CASES.values() if not one.kubernetes_refuses]
    pairs = list(itertools.combinations(usual, 2))
    verdicts = set()
    for first, second in random.Random(20260612).sample(pairs, COMBINED_AT_MOST):
        pod = lay_over(lay_over(first.pod, second.change), {"metadata": {"name": "pair"}})
        for level in ENFORCED:
            found = find_pod_security_violations(pod, level)
            try:
                taken = await is_taken(client, namespaces[level], pod)
            except Rejected:
                # Two changes that are no valid pod together, such as Linux fields on Windows.
                continue
            assert taken == (not found), (level, pod, found)
            verdicts.add((level, taken))

    assert verdicts == set(itertools.product(ENFORCED, (True, False)))
