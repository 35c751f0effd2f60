"""The published Pod Security Standards, control by control; the API server is asked in tests/integration."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.pod_security_cases import CASES, STRICT, Case
from proctor_operator.domain.pod_parts import PodParts
from proctor_operator.domain.pod_security import PodSecurityLevel, find_pod_security_violations
from proctor_operator.domain.pod_security_baseline import BASELINE, Control
from proctor_operator.domain.pod_security_restricted import RESTRICTED
from proctor_operator.reconcile.merge import lay_over

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = (
    *("initContainers", "containers", "ephemeralContainers", "volumes", "securityContext"),
    *("name", "ports", "capabilities", "add", "sysctls", "livenessProbe", "os", "hostPath"),
)


def paths(case: Case, level: PodSecurityLevel) -> set[str]:
    return {one.path for one in find_pod_security_violations(case.pod, level)}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_level_names_the_fields_it_forbids_and_no_others(case: Case) -> None:
    assert paths(case, PodSecurityLevel.PRIVILEGED) == set()
    assert paths(case, PodSecurityLevel.BASELINE) == set(case.baseline)
    assert paths(case, PodSecurityLevel.RESTRICTED) == set(case.at_restricted)


@pytest.mark.parametrize("control", set(BASELINE) | set(RESTRICTED), ids=lambda one: one.__name__)
def test_no_control_is_without_a_good_and_a_bad_pod(control: Control) -> None:
    found = {bool(tuple(control(PodParts.of(case.pod)))) for case in CASES.values()}

    assert found == {True, False}


SAID = {
    "a value": (
        {"spec": {"hostNetwork": True}},
        "spec.hostNetwork is true, must be false or left out",
    ),
    "a value of a container": (
        {"spec": {"containers": [{"name": "proc", "securityContext": {"runAsUser": 0}}]}},
        "spec.containers[proc].securityContext.runAsUser is 0, must be another number than 0, or left out",
    ),
    "nothing where something must be": (
        {"spec": {"securityContext": {"seccompProfile": None}}},
        (
            "spec.containers[proc].securityContext.seccompProfile.type is not set, must be "
            "RuntimeDefault or Localhost, here or in the securityContext of the pod"
        ),
    ),
    "a long value, cut": (
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/" + "x" * 200}}]}},
        'spec.volumes[v].hostPath is {"path": "/' + "x" * 106 + "…, must be one of configMap, csi, "
        "downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret instead",
    ),
}


@pytest.mark.parametrize(("change", "words"), SAID.values(), ids=SAID)
def test_a_violation_names_the_field_the_value_and_what_would_be_right(
    change: dict[str, object], words: str
) -> None:
    (violation,) = find_pod_security_violations(
        lay_over(STRICT, change), PodSecurityLevel.RESTRICTED
    )

    assert str(violation) == words


@given(st.dictionaries(st.sampled_from(("metadata", "spec")), JSON))
def test_a_manifest_of_any_shape_is_judged_and_not_choked_on(manifest: dict[str, object]) -> None:
    for level in PodSecurityLevel:
        find_pod_security_violations(manifest, level)


@given(st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner)))
def test_fields_of_any_type_are_judged_and_not_choked_on(spec: object) -> None:
    for level in PodSecurityLevel:
        find_pod_security_violations({"spec": spec}, level)


@given(st.sampled_from(sorted(CASES)), st.sampled_from(sorted(CASES)))
def test_restricted_takes_nothing_of_linux_that_baseline_refuses(first: str, second: str) -> None:
    """Restricted asks nothing about capabilities on Windows, which have none there; baseline does."""
    both = Case(lay_over(CASES[first].change, CASES[second].change))
    assume("os" not in both.change.get("spec", {}))

    if paths(both, PodSecurityLevel.BASELINE):
        assert paths(both, PodSecurityLevel.RESTRICTED)
