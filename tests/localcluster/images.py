"""Makes and reads container images as docker-archive files, without a container engine."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from localcluster.errors import UsageError
from localcluster.packages import require_busybox
from localcluster.waiting import to_stderr

NOBODY = 65532
"""The numeric user of every image: Pod Security "restricted" refuses root and names alike."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "usr/bin", "var", "work")
_APPLETS = (
    ("awk", "cat", "cut", "grep", "head", "sed", "sort", "tail", "tee", "tr", "uniq", "vi", "wc"),
    ("basename", "chmod", "cp", "dd", "df", "dirname", "du", "find", "ln", "ls", "mkdir"),
    ("mktemp", "mv", "pwd", "readlink", "rm", "rmdir", "stat", "tar", "touch", "gunzip", "gzip"),
    ("date", "echo", "env", "expr", "false", "printenv", "printf", "seq", "test", "true", "yes"),
    ("hostname", "id", "kill", "nproc", "ps", "sh", "sleep", "timeout", "tty", "uname", "usleep"),
    ("base64", "md5sum", "nc", "sha256sum", "wget", "which", "xargs"),
)

_ACCOUNTS = {
    "etc/passwd": f"root:x:0:0::/:/bin/sh\nnonroot:x:{NOBODY}:{NOBODY}::/work:/bin/sh\n",
    "etc/group": f"root:x:0:\nnonroot:x:{NOBODY}:\n",
}


@dataclass(frozen=True)
class Image:
    """An image on top of a static busybox.

    ``files`` maps absolute paths in the image to files of the host, whose execute permission is
    kept. ``entrypoint`` and ``arguments`` are the command.
    """

    tag: str
    entrypoint: Sequence[str]
    arguments: Sequence[str] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = f"{NOBODY}:{NOBODY}"
    working_dir: str = "/work"


def busybox_image(tag: str = "proctor.local/busybox:1") -> Image:
    """Return an image with a shell and the usual small programs."""
    return Image(tag, ("/bin/sh",))


def pause_image(tag: str) -> Image:
    """Return the image that holds a pod's namespaces: it sleeps and lets orphans be cleared."""
    return Image(tag, ("/bin/busybox", "sh", "-c", "trap '' CHLD; exec /bin/busybox sleep inf"))


def write_image(image: Image, target: Path) -> Path:
    """Write an image as a docker-archive. The same contents give the same bytes."""
    layer = _layer(image)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(_config(image, digest), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [image.tag], "Layers": [layer_name]}]
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, layer_name, layer)
        _add(archive, config_name, config)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return target


def archive_tags(path: Path) -> list[str]:
    """Return the names of the images in an archive; raises UsageError where it is none."""
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            if "manifest.json" in names:
                entries = json.loads(_read(archive, "manifest.json"))
                return [tag for entry in entries for tag in entry.get("RepoTags") or []]
            if "index.json" in names:
                return _index_tags(json.loads(_read(archive, "index.json")))
    except (OSError, tarfile.TarError, ValueError) as problem:
        raise UsageError(f"{path} cannot be read as an image archive: {problem}") from problem
    raise UsageError(
        f"{path} is no image archive: it has neither manifest.json nor index.json",
        remedy="write one with `docker save -o FILE.tar IMAGE`, or with `build-image`",
    )


def _index_tags(index: Mapping[str, list[Mapping[str, Mapping[str, str]]]]) -> list[str]:
    keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    notes = [entry.get("annotations") or {} for entry in index.get("manifests", [])]
    return [
        next(note[key] for key in keys if key in note) for note in notes if note.keys() & {*keys}
    ]


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    return member.read() if member is not None else b""


def _layer(image: Image) -> bytes:
    busybox = require_busybox(to_stderr)
    sink = io.BytesIO()
    folders = {*_FOLDERS}
    for target in image.files:
        if not target.startswith("/") or ".." in PurePosixPath(target).parts:
            raise UsageError(f"{target!r} must be an absolute path in the image")
        folders |= {str(parent)[1:] for parent in PurePosixPath(target).parents}
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for folder in sorted(folders - {""}):
            _add_folder(layer, folder)
        _add(layer, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in chain.from_iterable(_APPLETS):
            _add_link(layer, f"bin/{applet}", "/bin/busybox")
        for name, text in _ACCOUNTS.items():
            _add(layer, name, text.encode())
        for target, source in sorted(image.files.items()):
            _add_file(layer, target.removeprefix("/"), source)
    return sink.getvalue()


def _add_folder(archive: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o1777 if name in ("tmp", "work") else 0o755
    archive.addfile(entry)


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.SYMTYPE
    entry.linkname = target
    archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, name: str, source: Path) -> None:
    if source.is_dir():
        for inner in sorted(source.rglob("*")):
            path = f"{name}/{inner.relative_to(source)}"
            if inner.is_dir():
                _add_folder(archive, path)
            else:
                _add_file(archive, path, inner)
        return
    try:
        content, mode = source.read_bytes(), source.stat().st_mode
    except OSError as problem:
        raise UsageError(f"cannot add {source}: {problem}") from problem
    _add(archive, name, content, mode=0o755 if mode & 0o111 else 0o644)


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))


def _config(image: Image, layer_digest: str) -> dict[str, object]:
    machine = platform.machine()
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/work", **image.environment}
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": image.user,
            "Env": [f"{key}={value}" for key, value in variables.items()],
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.arguments),
            "WorkingDir": image.working_dir,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "proctor localcluster"}],
    }
