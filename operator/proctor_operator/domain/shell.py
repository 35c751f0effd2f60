"""A shell that reads a requester's value as part of its program: the one way left to turn data into code.

Kubernetes expands `$(NAME)` in `command` and `args` before the shell sees them. In `sh -c 'grow $(SIZE)'` the
value becomes text of the script; in `sh -c 'grow "$SIZE"'` the shell reads the variable, and it stays data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from proctor_operator.domain.naming import CONTAINER_NAME
from proctor_operator.domain.proc import ProcSpec

_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
"""A doubled `$` is taken first: it stands for one, and nothing behind it is expanded."""
_SHELLS: Final = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"})
_TAKES_A_SCRIPT: Final = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_TAKES_A_WORD: Final = re.compile(r"[-+][A-Za-z]*o")
"""An option such as `-o pipefail`, which may stand between `-c` and the script."""

Word = tuple[str, str]
"""Where a word of the command stands, and the word."""


def find_shell_warnings(spec: ProcSpec) -> tuple[str, ...]:
    """What to tell of a script into which Kubernetes would put the values of parameters."""
    parameters = {parameter.name for parameter in spec.parameters}
    return tuple(
        f"{place} contains {', '.join(f'$({name})' for name in names)}: Kubernetes puts the value into "
        "the script before the shell reads it, so whoever runs the proc can run commands of their own; "
        f'read the variable instead: "${names[0]}" in double quotes'
        for place, script in _scripts(_words(spec))
        if (names := _references(script, parameters))
    )


def _references(script: str, parameters: set[str]) -> list[str]:
    names = (match[1] for match in _REFERENCE.finditer(script))
    return [name for name in dict.fromkeys(names) if name in parameters]


def _scripts(words: tuple[Word, ...]) -> Iterator[Word]:
    """What a shell takes as its script; words without a command go to the image's, which may be one."""
    for number, (_, flag) in enumerate(words):
        before = [PurePosixPath(word).name for _, word in words[:number]]
        if _TAKES_A_SCRIPT.fullmatch(flag) and (not before or not _SHELLS.isdisjoint(before)):
            yield from _first_that_is_no_option(words[number + 1 :])
            return


def _first_that_is_no_option(words: tuple[Word, ...]) -> tuple[Word, ...]:
    before = ""
    for place, word in words:
        if not word.startswith(("-", "+")) and not _TAKES_A_WORD.fullmatch(before):
            return ((place, word),)
        before = word
    return ()


def _words(spec: ProcSpec) -> tuple[Word, ...]:
    """Command and arguments of the proc's container, wherever the author wrote them."""
    own = {"command": spec.command, "args": spec.args}
    return tuple(
        word
        for name, written in own.items()
        for word in (_numbered(f"spec.{name}", written) or _in_the_template(spec, name))
    )


def _in_the_template(spec: ProcSpec, name: str) -> tuple[Word, ...]:
    pod = (spec.pod_template or {}).get("spec")
    containers = pod.get("containers") if isinstance(pod, dict) else None
    for container in containers if isinstance(containers, list) else ():
        if isinstance(container, dict) and container.get("name") == CONTAINER_NAME:
            place = f"spec.podTemplate.spec.containers[{CONTAINER_NAME}].{name}"
            return _numbered(place, container.get(name))
    return ()


def _numbered(place: str, words: Any) -> tuple[Word, ...]:
    listed = words if isinstance(words, list | tuple) else ()
    return tuple(
        (f"{place}[{number}]", word) for number, word in enumerate(listed) if isinstance(word, str)
    )
