"""`docs/settings.md` is what the settings say, and what it says works."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml
from pydantic import SecretStr

from proctor_operator.app.sections import Section
from proctor_operator.app.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from proctor_operator.app.settings_reference import Setting, all_settings, render

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ALL = {setting.name: setting for setting in all_settings()}


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(ENVIRONMENT_PREFIX):
            monkeypatch.delenv(name)


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == render(), "run `make docs`"


def test_every_setting_has_a_description() -> None:
    assert [name for name, setting in ALL.items() if not setting.field.description] == []


@pytest.mark.parametrize("name", ALL)
def test_the_variable_sets_the_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = ALL[name]
    value = _another_value(setting)
    text = value if isinstance(value, str) else json.dumps(value)
    before = _value_of(load_settings(None), setting)
    monkeypatch.setenv(setting.variable, text)
    after = _value_of(load_settings(None), setting)
    assert after != before
    assert _plain(after) == value


@pytest.mark.parametrize("name", ALL)
def test_the_file_sets_the_field_and_the_environment_wins(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setting = ALL[name]
    value = _another_value(setting)
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(_nested(setting.path, value)))
    default = _value_of(load_settings(None), setting)
    assert _plain(_value_of(load_settings(file), setting)) == value
    if default is None or get_origin(setting.type) is dict:
        return  # no text stands for "unset", and maps of file and environment are merged
    as_text = _plain(default)
    monkeypatch.setenv(
        setting.variable, as_text if isinstance(as_text, str) else json.dumps(as_text)
    )
    assert _value_of(load_settings(file), setting) == default


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    example = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "settings.yaml"
    file.write_text(example)
    settings = load_settings(file)
    assert settings.kubernetes.namespaces == ("team-a", "team-b")
    assert settings.runs.pods_by_namespace["team-a"].image_pull_secrets == ("team-a-registry",)


def _value_of(settings: Settings, setting: Setting) -> Any:
    value: Any = settings
    for name in setting.path:
        value = getattr(value, name)
    return value


def _plain(value: Any) -> Any:
    """The value as a file would hold it."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case StrEnum():
            return value.value
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case Section():
            return {name: _plain(getattr(value, name)) for name in sorted(value.model_fields_set)}
        case _:
            return value


def _another_value(setting: Setting) -> Any:
    """A value that is allowed and is not the default."""
    kind = setting.type
    default = setting.field.get_default(call_default_factory=True)
    if setting.name == "runs.pods_by_namespace":
        return {"team-a": {"labels": {"team": "a"}}}
    if get_origin(kind) is tuple:
        return ["one", "two"]
    if get_origin(kind) is dict:
        return {"example.org/key": "value"}
    if kind is bool:
        return not default
    if issubclass(kind, StrEnum):
        return next(one.value for one in kind if one is not default)
    if kind in (int, float):
        return default + 1
    return "/etc/proctor/example" if kind is Path else "example"


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    return {name: _nested(tuple(rest), value) if rest else value}
