"""Settings: by environment (`PROCTOR_…`, `__` between levels) and by a YAML file; the environment wins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import (
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError
from yaml import YAMLError, safe_load

from proctor_operator.app.sections import (
    CertsSettings,
    ElectionSettings,
    HealthSettings,
    KubernetesSettings,
    LogSettings,
    LogsSettings,
    PostgresSettings,
    QueueSettings,
    RetentionSettings,
    RunSettings,
    ScheduleSettings,
    WebhookSettings,
)

ENVIRONMENT_PREFIX: Final = "PROCTOR_"
LEVEL_DELIMITER: Final = "__"


class SettingsError(Exception):
    """Settings that cannot work; the message has a line for each, naming it both ways."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=LEVEL_DELIMITER,
        extra="forbid",
        frozen=True,
    )

    log: LogSettings = LogSettings()
    health: HealthSettings = HealthSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    postgres: PostgresSettings = PostgresSettings()
    runs: RunSettings = RunSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    queue: QueueSettings = QueueSettings()
    election: ElectionSettings = ElectionSettings()
    logs: LogsSettings = LogsSettings()
    webhook: WebhookSettings = WebhookSettings()
    certs: CertsSettings = CertsSettings()

    @field_validator("*", mode="before")
    @classmethod
    def an_empty_section_is_the_default(cls, value: Any) -> Any:
        """A section that stands in the file with nothing below it."""
        return {} if value is None else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the file; no .env files, no secrets directory."""
        del dotenv_settings, file_secret_settings
        return (env_settings, init_settings, YamlConfigSettingsSource(settings_cls))


def load_settings(file: Path | None) -> Settings:
    """Read file and environment; raises `SettingsError` with every problem at once."""
    if file is not None:
        _check_file(file)
    unknown = _unknown_variables(os.environ)
    if unknown:
        known = ", ".join(
            f"{ENVIRONMENT_PREFIX}{name.upper()}__…" for name in Settings.model_fields
        )
        raise SettingsError(f"unknown environment: {', '.join(unknown)} (known: {known})")
    source = type(
        "FileSettings",
        (Settings,),
        {"model_config": SettingsConfigDict(**{**Settings.model_config, "yaml_file": file})},
    )
    try:
        settings: Settings = source()
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except SourceError as error:
        raise SettingsError(f"{error}: {error.__cause__}") from None
    return settings


def _check_file(file: Path) -> None:
    """Refuse what is no map of sections; read as a stream, YAML's errors quote none of it."""
    if not file.is_file():
        raise SettingsError(f"--config: there is no file {file}")
    try:
        with file.open("rb") as stream:
            content = safe_load(stream)
    except YAMLError as error:
        raise SettingsError(f"{file}: not YAML: {error}") from None
    if not isinstance(content, dict | None):
        raise SettingsError(f"{file}: not a map of sections")


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that name no section; a Service's own variables do not count."""
    unknown = []
    for name in environment:
        section, delimiter, _ = name.removeprefix(ENVIRONMENT_PREFIX).partition(LEVEL_DELIMITER)
        is_ours = name.startswith(ENVIRONMENT_PREFIX) and bool(delimiter)
        if is_ours and section.lower() not in Settings.model_fields:
            unknown.append(name)
    return unknown


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = [str(part) for part in problem["loc"]]
        variable = ENVIRONMENT_PREFIX + LEVEL_DELIMITER.join(part.upper() for part in path)
        # What stands under an unknown name may well be a password under a wrong one.
        is_shown = problem["type"] != "extra_forbidden" and not _is_secret(path)
        given = f", not {problem['input']!r}" if is_shown else ""
        lines.append(f"{'.'.join(path)} ({variable}): {problem['msg']}{given}")
    return "\n".join(lines)


def _is_secret(path: list[str]) -> bool:
    return any("dsn" in part or "password" in part for part in path) or len(path) < 2
