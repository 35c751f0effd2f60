"""A cluster that somebody has already: kind, k3d, minikube, or a test cluster elsewhere."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localcluster.binary import ensure_binaries
from localcluster.certificates import Pair, signing_request
from localcluster.cluster import run_tool
from localcluster.errors import LocalClusterError, UsageError
from localcluster.images import archive_tags
from localcluster.kubeconfig import certificate_user, token_user, write_kubeconfig
from localcluster.waiting import to_stderr, wait_until

LOADER_VARIABLE = "PROCTOR_TEST_IMAGE_LOADER"
_SIGNER = "kubernetes.io/kube-apiserver-client"


class NodeCluster(Protocol):
    """What tests use of a cluster that runs pods, whoever made it."""

    @property
    def name(self) -> str: ...
    @property
    def kubeconfig(self) -> Path: ...
    @property
    def context(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def ca_file(self) -> Path: ...
    @property
    def kubectl_path(self) -> Path: ...
    def environment(self) -> dict[str, str]: ...
    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]: ...
    def helm(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]: ...
    def client_kubeconfig(self, user: str, groups: Sequence[str], path: Path) -> Path: ...
    def service_account_kubeconfig(
        self, namespace: str, name: str, path: Path, *, seconds: int = ...
    ) -> Path: ...
    def load_image(self, path: Path) -> list[str]: ...


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster known by a context of the person's kubeconfig; nothing of it is ever removed."""

    context: str
    kubeconfig: Path
    folder: Path
    kubectl_path: Path
    helm_path: Path

    @classmethod
    def of(cls, context: str, folder: Path) -> ExistingCluster:
        """Take a context from the person's kubeconfig; ``folder`` takes the files made for it.

        The programs on PATH are used where there are any, since they fit the person's cluster.
        """
        tools = {name: _program(name) for name in ("kubectl", "helm")}
        view = ["config", "view", "--minify", "--flatten", "--output=json", f"--context={context}"]
        shown = run_tool([tools["kubectl"], *view], dict(os.environ), None, check=False)
        if shown.returncode != 0:
            raise UsageError(
                f"kubectl knows no context {context}: {shown.stderr.strip()}",
                remedy="see `kubectl config get-contexts`",
            )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(shown.stdout)
        cluster = cls(context, kubeconfig, folder, tools["kubectl"], tools["helm"])
        cluster.ca_file.write_bytes(cluster._ca())
        return cluster

    @property
    def name(self) -> str:
        """The context's name."""
        return self.context

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._cluster_entry()["server"])

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server, in PEM."""
        return self.folder / "ca.crt"

    def environment(self) -> dict[str, str]:
        """Return the environment in which kubectl and helm act as the person."""
        return os.environ | {"KUBECONFIG": str(self.kubeconfig)}

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the person, or as whoever ``kubeconfig`` is for."""
        environment = self.environment()
        if kubeconfig is not None:
            environment["KUBECONFIG"] = str(kubeconfig)
        return run_tool([self.kubectl_path, *arguments], environment, stdin, check=check)

    def helm(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm as the person."""
        return run_tool([self.helm_path, *arguments], self.environment(), stdin, check=check)

    def client_kubeconfig(self, user: str, groups: Sequence[str], path: Path) -> Path:
        """Write a kubeconfig with a client certificate, asked for as anybody would."""
        request, key = signing_request(user, groups)
        spec = {
            "request": base64.b64encode(request).decode(),
            "signerName": _SIGNER,
            "usages": ["client auth"],
        }
        manifest = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "proctor-test-"},
            "spec": spec,
        }
        created = self.kubectl("create", "-f-", "-oname", stdin=json.dumps(manifest)).stdout.strip()
        try:
            self.kubectl("certificate", "approve", created)
            certificate = self._issued(created)
        finally:
            self.kubectl("delete", created, check=False)
        return self._write(path, certificate_user(Pair(certificate, key)))

    def service_account_kubeconfig(
        self, namespace: str, name: str, path: Path, *, seconds: int = 24 * 3600
    ) -> Path:
        """Write a kubeconfig with a fresh token of a service account."""
        asked = self.kubectl("-n", namespace, "create", "token", name, f"--duration={seconds}s")
        return self._write(path, token_user(asked.stdout.strip()))

    def load_image(self, path: Path) -> list[str]:
        """Put an image archive on the cluster's nodes with the tool that made the cluster.

        For other clusters PROCTOR_TEST_IMAGE_LOADER is a command that gets the file's path.
        """
        command = _loader(self.context)
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalClusterError(f"{shlex.join(command)} failed: {done.stderr.strip()}")
        return archive_tags(path)

    def _issued(self, request: str) -> bytes:
        found: list[str] = []

        def issued() -> bool:
            shown = self.kubectl("get", request, "-ojsonpath={.status.certificate}").stdout
            found.append(shown)
            return bool(shown)

        if not wait_until(issued, seconds=30, interval=0.3):
            raise LocalClusterError(f"{request} was approved and not issued within 30 s")
        return base64.b64decode(found[-1])

    def _write(self, path: Path, user: dict[str, object]) -> Path:
        ca = self.ca_file.read_bytes()
        return write_kubeconfig(path, context=self.context, server=self.server, ca=ca, user=user)

    def _ca(self) -> bytes:
        data = self._cluster_entry().get("certificate-authority-data")
        if not data:
            raise UsageError(
                f"context {self.context} has no certificate authority",
                remedy="tests check certificates: give the context one",
            )
        return base64.b64decode(data)

    def _cluster_entry(self) -> dict[str, Any]:
        clusters: list[dict[str, Any]] = json.loads(self.kubeconfig.read_text())["clusters"]
        entry: dict[str, Any] = clusters[0]["cluster"]
        return entry


def _program(name: str) -> Path:
    found = shutil.which(name)
    return Path(found) if found else ensure_binaries(to_stderr).path(name)


def _loader(context: str) -> list[str]:
    if command := os.environ.get(LOADER_VARIABLE):
        return shlex.split(command)
    maker, _, rest = context.partition("-")
    if maker == "kind":
        return ["kind", "load", "image-archive", f"--name={rest}"]
    if maker == "k3d":
        return ["k3d", "image", "import", f"--cluster={rest}"]
    if maker == "minikube":
        return ["minikube", "image", "load", f"--profile={context}"]
    raise UsageError(
        f"it is not known how images get to the nodes of {context}",
        remedy=f"set {LOADER_VARIABLE} to a command that loads the archive named after it; "
        "set it to `true` where the images are there already",
    )
