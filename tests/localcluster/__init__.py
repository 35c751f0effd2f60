"""A real Kubernetes on one Linux machine, for tests and demonstrations.

Level ``api`` is etcd, the API server and the controller manager; level ``full`` adds a node that
runs pods: scheduler, containerd, kubelet and kube-proxy.
"""

from __future__ import annotations

from localcluster.cluster import LocalCluster, connect, up
from localcluster.config import Level, Tuning
from localcluster.errors import LocalClusterError
from localcluster.images import Image, busybox_image, write_image

__all__ = [
    "Image",
    "Level",
    "LocalCluster",
    "LocalClusterError",
    "Tuning",
    "busybox_image",
    "connect",
    "up",
    "write_image",
]
