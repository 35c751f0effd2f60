"""Kubeconfig files. They are written as JSON, which every YAML reader takes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from localcluster.certificates import Pair, write_private


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def certificate_user(pair: Pair) -> dict[str, object]:
    """Return the user entry of somebody with a client certificate."""
    return {
        "client-certificate-data": _text(pair.certificate),
        "client-key-data": _text(pair.key),
    }


def token_user(token: str) -> dict[str, object]:
    """Return the user entry of somebody with a bearer token."""
    return {"token": token}


def write_kubeconfig(
    path: Path, *, context: str, server: str, ca: bytes, user: dict[str, object]
) -> Path:
    """Write a self-contained kubeconfig with one context; only its owner may read it."""
    cluster = {"server": server, "certificate-authority-data": _text(ca)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(content, indent=2).encode())
    return path
