"""The pages hold together: links lead somewhere, manifests are valid, every reason is explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stage import NAME, NAMESPACE, Stage
from proctor_operator.domain.conditions import ConditionType
from proctor_operator.domain.execution import Phase, ProcExecutionSpec
from proctor_operator.domain.model import Model
from proctor_operator.domain.naming import API_VERSION
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.domain.procplugin import ProcPluginSpec
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.reconcile.proc import find_proc_problem

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/**/*.md",
        "charts/**/*.md",
        "plugins/**/*.md",
        "tests/**/*.md",
    )
    for path in ROOT.glob(pattern)
)
OPERATOR = ROOT / "operator" / "proctor_operator"

SPECS: dict[str, type[Model]] = {
    "Proc": ProcSpec,
    "ProcExecution": ProcExecutionSpec,
    "ProcSchedule": ProcScheduleSpec,
    "ProcPlugin": ProcPluginSpec,
}

LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<'EOF'\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CAMEL_CASE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*")

WRITES_REASONS = (
    *sorted((OPERATOR / "reconcile").glob("*.py")),
    OPERATOR / "domain" / "run.py",
    OPERATOR / "runtime" / "runner.py",
    OPERATOR / "runtime" / "schedules.py",
)
WORDS_THAT_ARE_NO_REASONS = {
    # read from Kubernetes
    "ContainerCannotRun",
    "CreateContainerConfigError",
    "CreateContainerError",
    "DeletionByPodGC",
    "ErrImagePull",
    "EvictionByEvictionAPI",
    "ImagePullBackOff",
    "Preempting",
    "PreemptionByScheduler",
    "Terminated",
    # a plugin's, told in the message of Deferred (docs/plugins.md)
    "PluginFailed",
    # parts of a Job's manifest
    "Failed",
    "Job",
    "Never",
    "ProcExecution",
    "RuntimeDefault",
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_code(text: str) -> str:
    return BLOCK.sub("", text)


def _anchor(heading: str) -> str:
    """The anchor that Git forges give a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    kept = re.sub(r"[^\w\- ]", "", text.lower())
    return kept.strip().replace(" ", "-")


def _anchors(path: Path) -> set[str]:
    return {_anchor(heading) for heading in HEADING.findall(_without_code(path.read_text()))}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(_without_code(page.read_text())):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_found_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for link in LINK.findall(index.read_text())
        if not link.startswith("http")
    }
    assert [
        _name(page) for page in (ROOT / "docs").rglob("*.md") if page not in {index, *linked}
    ] == []


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every YAML document of the pages that is a manifest, with where it stands."""
    for page in PAGES:
        for number, (language, text) in enumerate(BLOCK.findall(page.read_text())):
            sources = [text] if language in ("yaml", "yml") else HERE_DOCUMENT.findall(text)
            for source in sources:
                if "apiVersion:" not in source:
                    continue
                for document in yaml.safe_load_all(source):
                    name = document["metadata"].get("name", "")
                    yield f"{_name(page)}-block {number}-{document['kind']} {name}", document


MANIFESTS = dict(_documents())


def test_the_guide_has_manifests_to_check() -> None:
    kinds = [manifest["kind"] for manifest in MANIFESTS.values()]
    assert kinds.count("Proc") >= 2
    assert kinds.count("ProcExecution") >= 2


@pytest.mark.parametrize("where", MANIFESTS)
def test_every_manifest_in_the_pages_is_valid(where: str) -> None:
    manifest = MANIFESTS[where]
    assert {"apiVersion", "kind", "metadata"} <= set(manifest)
    assert manifest["metadata"].keys() & {"name", "generateName"}
    if not manifest["apiVersion"].startswith("proctor.dev/"):
        return
    assert manifest["apiVersion"] == API_VERSION
    # Admission fills in the proc of a schedule that is run by hand.
    filled_in = {"procRef": {"name": "x"}} if "scheduleRef" in manifest["spec"] else {}
    spec = SPECS[manifest["kind"]].model_validate(filled_in | manifest["spec"])
    if isinstance(spec, ProcSpec):
        assert find_proc_problem(spec) is None


def _table_below(heading: str) -> list[str]:
    """First cells of the table below a heading of the glossary, without their backticks."""
    text = (ROOT / "docs" / "glossary.md").read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([A-Za-z]+)` \|", section, re.MULTILINE)


def _words_of_the_rules() -> set[str]:
    return {
        node.value
        for path in WRITES_REASONS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and CAMEL_CASE.fullmatch(node.value)
    }


def test_the_glossary_explains_every_reason_and_no_other() -> None:
    written = _words_of_the_rules() - WORDS_THAT_ARE_NO_REASONS
    assert set(_table_below("Reasons")) == written


def test_every_word_that_is_no_reason_is_still_in_the_rules() -> None:
    assert _words_of_the_rules() >= WORDS_THAT_ARE_NO_REASONS


def test_the_reasons_are_listed_once_and_in_order() -> None:
    listed = _table_below("Reasons")
    assert listed == sorted(set(listed))


def test_the_glossary_lists_phases_and_conditions_as_the_code_has_them() -> None:
    assert _table_below("Phases of an execution") == [phase.value for phase in Phase]
    assert set(_table_below("Conditions")) == {condition.value for condition in ConditionType}


def test_troubleshooting_names_every_reason_that_asks_for_help() -> None:
    fine = {
        *("Allowed", "Completed", "NotStarted", "NothingWrong", "Recorded", "Runnable", "Running"),
        *("Started", "Captured", "NoOutput", "Loaded"),
    }
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert [
        word for word in _table_below("Reasons") if word not in fine and f"`{word}`" not in text
    ] == []


def test_the_guide_names_the_demo_as_it_is() -> None:
    guide = (ROOT / "docs" / "write-your-first-proc.md").read_text()
    stage = Stage.at_hand()
    assert set(re.findall(r"--name (\S+)", guide)) == {NAME}
    assert set(re.findall(r" -n (\S+)", guide)) == {NAMESPACE}
    assert set(re.findall(r"--config (\S+\.yaml)", guide)) == {_name(stage.config)}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_in_the_pages_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in (ROOT / "Makefile").read_text().splitlines():
        if line.startswith(".PHONY:"):
            targets |= set(line.split()[1:])
    named = re.findall(r"(?:`|^\$ |^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    assert [target for target in named if target not in targets] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_name_no_machine_and_no_foreign_registry(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"/root/|/work/main|/work/shared", text)
    hosts = re.findall(r"(?:FROM|image:)\s+([a-z0-9.-]+\.[a-z]+)/", text)
    assert {
        host for host in hosts if host not in {"registry.example.org", "proctor.local"}
    } == set()
