"""`docs/settings.md`, written from the settings themselves.

    python -m proctor_operator.app.settings_reference > docs/settings.md

A test holds the file to this output.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from proctor_operator.app.sections import Section
from proctor_operator.app.settings import ENVIRONMENT_PREFIX, LEVEL_DELIMITER, Settings

HEAD: Final = """\
<!-- Written by proctor_operator/app/settings_reference.py (`make docs`). Change it there, not here. -->
# Settings

Every process reads the same settings, from two places:

1. **The environment.** The variable of a setting is `PROCTOR_`, then its name in capitals with `__` for each dot.
2. **A YAML file**, named by `proctor-operator --config FILE ROLE`.

The environment wins over the file, setting by setting; the file wins over the default. A section or a setting that
is not known is an error, in the file as in the environment, so that a typing error never passes for a default. All
mistakes are told at once, and the process ends with exit code 2. Settings are read once, at the start.

```yaml
# settings.yaml
log:
  level: info
kubernetes:
  namespaces: [team-a, team-b]
postgres:
  tls: verify-full
  tls_root_file: /etc/proctor/postgres-ca.pem
  password_file: /etc/proctor/postgres-password
runs:
  timeout_default_seconds: 1800
  pods:
    labels: {cost-centre: platform}
  pods_by_namespace:
    team-a:
      image_pull_secrets: [team-a-registry]
```

Lists and maps are JSON in the environment: `PROCTOR_KUBERNETES__NAMESPACES='["team-a", "team-b"]'`.

**Secrets.** Addresses may hold passwords, so `postgres.dsn` and `postgres.owner_dsn` are shown neither in error
messages nor in logs. Better, leave the run-time role's password out of the address and mount it as a file
(`postgres.password_file`): it is read at each connect, so it can be changed without a restart. The owner's address
is needed by the roles `migrate` and `all` only; give it to no other process.

**Names.** Settings in seconds end in `_seconds`. A variable that begins with `PROCTOR_` and has no `__` is no
setting: Kubernetes makes such variables of its own for Services.
"""

_TABLE_HEAD: Final = """\
| setting | variable | value | default | meaning |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        """Its place in the file, with dots."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + LEVEL_DELIMITER.join(part.upper() for part in self.path)

    @property
    def type(self) -> Any:
        """Its type, without the None of what may be unset."""
        return without_none(self.field.annotation)


def without_none(annotation: Any) -> Any:
    """Return the type that is left of an optional one."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    (one,) = (part for part in get_args(annotation) if part is not types.NoneType)
    return one


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order of the file."""
    for name, field in Settings.model_fields.items():
        yield from _settings_of((name,), field)


def render() -> str:
    """Build the whole page."""
    parts = [HEAD]
    section: tuple[str, ...] = ()
    for setting in all_settings():
        if setting.path[:-1] != section:
            section = setting.path[:-1]
            parts.append(f"\n## `{'.'.join(section)}`\n\n{_about(section)}\n\n{_TABLE_HEAD}")
        parts.append(_row(setting))
    return "".join(parts)


def _settings_of(path: tuple[str, ...], field: FieldInfo) -> Iterator[Setting]:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, Section):
        # Own settings first, so that each section is one table.
        nested = sorted(annotation.model_fields.items(), key=lambda item: _is_section(item[1]))
        for name, inner in nested:
            yield from _settings_of((*path, name), inner)
        return
    yield Setting(path, field)


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _about(path: tuple[str, ...]) -> str:
    model: Any = Settings
    for name in path:
        model = model.model_fields[name].annotation
    return str(model.__doc__).strip()


def _row(setting: Setting) -> str:
    cells = (
        f"`{setting.name}`",
        f"`{setting.variable}`",
        _value(setting),
        _default(setting.field),
        setting.field.description or "",
    )
    return f"| {' | '.join(cells)} |\n"


def _value(setting: Setting) -> str:
    kind = setting.type
    origin = get_origin(kind)
    if origin is tuple:
        return "list of texts"
    if origin is dict:
        key_type, value_type = get_args(kind)
        del key_type
        is_map_of_texts = value_type is str
        return "map of texts" if is_map_of_texts else "map"
    if issubclass(kind, StrEnum):
        return ", ".join(f"`{one.value}`" for one in kind)
    return _NAMES[kind] + _limits(setting.field)


_NAMES: Final = {
    bool: "`true`, `false`",
    float: "number",
    int: "whole number",
    Path: "file",
    SecretStr: "text, secret",
    str: "text",
}


def _limits(field: FieldInfo) -> str:
    said = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=least):
                said.append(f"at least {least}")
            case Gt(gt=below):
                said.append(f"above {below}")
            case Le(le=most):
                said.append(f"at most {most}")
            case Lt(lt=above):
                said.append(f"below {above}")
    return "".join(f", {one}" for one in said)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    match value:
        case None:
            return "unset"
        case StrEnum():
            return f"`{value.value}`"
        case () | {}:
            return "empty"
        case float() if value.is_integer():
            return f"`{int(value)}`"
        case str():
            return f"`{value}`"
        case _:
            return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(render())
